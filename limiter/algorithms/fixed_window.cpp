// SPDX-License-Identifier: Apache-2.0
#include "limiter/algorithms/fixed_window.hpp"

#include "limiter/algorithms/window_count.hpp"

namespace weir::limiter::fixed_window {

parameters to_parameters(const quota& q, std::int64_t) noexcept {
  return {{q.limit, q.period_us}, 2, {}};
}

std::int64_t began(const parameters& p, std::int64_t now_us) noexcept {
  return now_us - now_us % p.values[1];
}

evaluation evaluate(const stored_state& state, const parameters& p, operation op, std::int64_t cost,
                    std::int64_t now_us) {
  const std::int64_t start_us = began(p, now_us);
  const std::int64_t stored_start_us = state.expires_at_us - state.extra.number();
  const bool counts = state.expires_at_us >= now_us && stored_start_us >= start_us;
  auto e = evaluate_window(op, counts ? state.count : 0, cost, p.values[0], start_us + p.values[1] - now_us);
  // A window ahead of the clock: it went back.
  e.repair = counts && stored_start_us > start_us && op != operation::peek;
  return e;
}

void conclude(stored_state& state, const parameters& p, const evaluation& e, bool commit, std::int64_t now_us,
              rule_state& answer) {
  const std::int64_t used = commit ? e.used_after : e.used;
  const std::int64_t end_us = began(p, now_us) + p.values[1];
  if (e.repair || used != e.used) {
    write_window(state, used, end_us);
    state.extra.set_number(p.values[1]);
  }
  answer = answer_window(state, e, commit, used, p.values[0], end_us - now_us, now_us);
}

}  // namespace weir::limiter::fixed_window
