// SPDX-License-Identifier: Apache-2.0
// Exactly L units in any window: one stamp per admitted unit. Twin of lua/sliding_window_log.lua.
#pragma once

#include "limiter/algorithms/algorithm.hpp"

namespace weir::limiter::sliding_window_log {

[[nodiscard]] parameters to_parameters(const quota& q, std::int64_t now_us) noexcept;  ///< L W
[[nodiscard]] std::int64_t began(const parameters& p, std::int64_t now_us) noexcept;
[[nodiscard]] evaluation evaluate(const stored_state& state, const parameters& p, operation op,
                                  std::int64_t cost, std::int64_t now_us);
void conclude(stored_state& state, const parameters& p, const evaluation& e, bool commit, std::int64_t now_us,
              rule_state& answer);

}  // namespace weir::limiter::sliding_window_log
