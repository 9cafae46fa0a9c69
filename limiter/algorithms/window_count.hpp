// SPDX-License-Identifier: Apache-2.0
// What the windows that count units share: one operation on a count with a limit.
#pragma once

#include "limiter/algorithms/algorithm.hpp"

#include <algorithm>

namespace weir::limiter {

/// Evaluates `op` on `used` units of a window that ends in `wait_us`. repair and carried are the caller's.
[[nodiscard]] inline evaluation evaluate_window(operation op, std::int64_t used, std::int64_t cost,
                                                std::int64_t limit, std::int64_t wait_us) noexcept {
  evaluation e;
  e.used = e.used_after = used;
  switch (op) {
    case operation::refund:
      e.used_after = std::max<std::int64_t>(0, used - cost);
      break;
    case operation::take_upto:
      e.granted = std::max<std::int64_t>(0, std::min(cost, limit - used));
      e.used_after = used + e.granted;
      e.allowed = e.granted > 0 || cost == 0;
      if (!e.allowed) e.retry_after_us = wait_us;
      break;
    case operation::renew:  // of slots only
      break;
    case operation::take:
    case operation::peek:
      e.allowed = cost == 0 || used + cost <= limit;
      if (e.allowed) {
        e.used_after = used + cost;
      } else {
        e.retry_after_us = cost > limit ? -1 : wait_us;
      }
      break;
  }
  return e;
}

/// The answer of such a window with `used` units, `wait_us` before its end; pins a state without free units.
[[nodiscard]] inline rule_state answer_window(stored_state& state, const evaluation& e, bool commit,
                                              std::int64_t used, std::int64_t limit, std::int64_t wait_us,
                                              std::int64_t now_us) noexcept {
  state.pinned_until_us = used >= limit ? now_us + wait_us : 0;
  return {.allowed = e.allowed,
          .remaining = std::max<std::int64_t>(0, limit - used),
          .retry_after_us = e.retry_after_us,
          .reset_after_us = used > 0 ? wait_us : 0,
          .granted = commit ? e.granted : 0,
          .used = used};
}

/// Stores `used` units of the window that ends at `end_us`.
inline void write_window(stored_state& state, std::int64_t used, std::int64_t end_us) noexcept {
  state.expires_at_us = used > 0 ? end_us : 0;
  state.count = static_cast<std::uint32_t>(used);
}

}  // namespace weir::limiter
