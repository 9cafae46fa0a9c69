// SPDX-License-Identifier: Apache-2.0
// At most L units in each window of W aligned to the epoch. Twin of lua/fixed_window.lua.
#pragma once

#include "limiter/algorithms/algorithm.hpp"

namespace weir::limiter::fixed_window {

[[nodiscard]] parameters to_parameters(const quota& q, std::int64_t now_us) noexcept;  ///< L W
[[nodiscard]] std::int64_t began(const parameters& p, std::int64_t now_us) noexcept;
[[nodiscard]] evaluation evaluate(const stored_state& state, const parameters& p, operation op,
                                  std::int64_t cost, std::int64_t now_us);
void conclude(stored_state& state, const parameters& p, const evaluation& e, bool commit, std::int64_t now_us,
              rule_state& answer);

}  // namespace weir::limiter::fixed_window
