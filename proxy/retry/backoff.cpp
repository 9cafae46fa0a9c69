// SPDX-License-Identifier: Apache-2.0
#include "proxy/retry/backoff.hpp"

#include <algorithm>

namespace weir::proxy {

std::int64_t backoff_us(const retry_settings& settings, int attempts_made, random_below random,
                        void* random_state) {
  const std::int64_t max = std::chrono::microseconds(settings.backoff_max).count();
  std::int64_t wait = std::min<std::int64_t>(std::chrono::microseconds(settings.backoff_base).count(), max);
  for (int n = 1; n < attempts_made && wait < max; ++n) wait = std::min(wait * 2, max);
  if (!settings.jitter_full) return wait;
  return static_cast<std::int64_t>(random(random_state, static_cast<std::uint64_t>(wait) + 1));
}

}  // namespace weir::proxy
