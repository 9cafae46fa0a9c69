// SPDX-License-Identifier: Apache-2.0
// At most L holders of a slot at once, each for a lease it must renew. Twin of lua/concurrency.lua.
#pragma once

#include "limiter/algorithms/algorithm.hpp"

namespace weir::limiter::concurrency {

[[nodiscard]] parameters to_parameters(const quota& q, std::int64_t now_us) noexcept;  ///< L lease holder
[[nodiscard]] evaluation evaluate(const stored_state& state, const parameters& p, operation op,
                                  std::int64_t cost, std::int64_t now_us);
void conclude(stored_state& state, const parameters& p, const evaluation& e, bool commit, std::int64_t now_us,
              rule_state& answer);

}  // namespace weir::limiter::concurrency
