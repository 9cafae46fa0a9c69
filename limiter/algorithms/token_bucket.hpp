// SPDX-License-Identifier: Apache-2.0
// Exact-rational GCRA. State is one instant, "when the bucket is full", in whole and fractional microseconds.
// Twin of lua/token_bucket.lua.
#pragma once

#include "limiter/algorithms/algorithm.hpp"

namespace weir::limiter::token_bucket {

[[nodiscard]] parameters to_parameters(const quota& q, std::int64_t now_us) noexcept;  ///< r q cap
[[nodiscard]] evaluation evaluate(const stored_state& state, const parameters& p, operation op,
                                  std::int64_t cost, std::int64_t now_us);
void conclude(stored_state& state, const parameters& p, const evaluation& e, bool commit, std::int64_t now_us,
              rule_state& answer);

}  // namespace weir::limiter::token_bucket
