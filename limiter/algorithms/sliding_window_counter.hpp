// SPDX-License-Identifier: Apache-2.0
// Two counters that stand for a window that slides; exact rationals. Twin of lua/sliding_window_counter.lua.
#pragma once

#include "limiter/algorithms/algorithm.hpp"

namespace weir::limiter::sliding_window_counter {

[[nodiscard]] parameters to_parameters(const quota& q, std::int64_t now_us) noexcept;  ///< L W
[[nodiscard]] std::int64_t began(const parameters& p, std::int64_t now_us) noexcept;
[[nodiscard]] evaluation evaluate(const stored_state& state, const parameters& p, operation op,
                                  std::int64_t cost, std::int64_t now_us);
void conclude(stored_state& state, const parameters& p, const evaluation& e, bool commit, std::int64_t now_us,
              rule_state& answer);

}  // namespace weir::limiter::sliding_window_counter
