// SPDX-License-Identifier: Apache-2.0
// How long to wait before an attempt is repeated.
#pragma once

#include "proxy/settings.hpp"

#include <cstdint>

namespace weir::proxy {

/// Uniform random number in [0, bound); injected so that tests are exact.
using random_below = std::uint64_t (*)(void* state, std::uint64_t bound);

/// Wait after the n-th attempt (n >= 1): base * 2^(n-1), at most max; with full jitter uniform in [0, that].
[[nodiscard]] std::int64_t backoff_us(const retry_settings& settings, int attempts_made, random_below random,
                                      void* random_state);

}  // namespace weir::proxy
