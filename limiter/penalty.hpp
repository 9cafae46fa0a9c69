// SPDX-License-Identifier: Apache-2.0
// `penalty` of a rule: the first denial of a key blocks it for a time, later ones do not prolong that. Twin
// of lua/penalty.lua.
#pragma once

#include "limiter/algorithms/algorithm.hpp"

#include <algorithm>
#include <cstdint>

namespace weir::limiter {

/// When a key is free again, microseconds since the epoch; a past instant (0) = it is not blocked.
struct block {
  std::int64_t ends_us = 0;  ///< after the operation, if it commits what penalties do: a take
  std::int64_t read_us = 0;  ///< before it
};

/// Changes what the rule's algorithm said (`outcome`, of a take or a peek) into what the rule says.
/// `stored_us` is the end that is stored; one beyond now + penalty is repaired to that. A charge of nothing,
/// and one that no wait helps, begin no block.
[[nodiscard]] inline block apply_penalty(std::int64_t stored_us, std::int64_t penalty_us, std::int64_t cost,
                                         std::int64_t now_us, evaluation& outcome) noexcept {
  block b;
  b.ends_us = b.read_us = std::min(stored_us, now_us + penalty_us);
  if (cost == 0) return b;
  if (b.ends_us > now_us) {
    if (outcome.retry_after_us >= 0)
      outcome.retry_after_us = std::max(outcome.retry_after_us, b.ends_us - now_us);
    outcome.allowed = false;
    outcome.used_after = outcome.used;
  } else if (!outcome.allowed && outcome.retry_after_us > 0) {
    b.ends_us = now_us + penalty_us;
    outcome.retry_after_us = std::max(outcome.retry_after_us, penalty_us);
  }
  return b;
}

/// What a blocked key looks like until `ends_us`.
inline void show_block(std::int64_t ends_us, std::int64_t now_us, rule_state& state) noexcept {
  if (ends_us <= now_us) return;
  state.remaining = 0;
  state.reset_after_us = std::max(state.reset_after_us, ends_us - now_us);
}

}  // namespace weir::limiter
