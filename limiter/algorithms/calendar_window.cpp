// SPDX-License-Identifier: Apache-2.0
#include "limiter/algorithms/calendar_window.hpp"

#include "limiter/algorithms/window_count.hpp"
#include "limiter/calendar.hpp"

namespace weir::limiter::calendar_window {
namespace {

struct bounds {
  std::int64_t start_us = 0;
  std::int64_t end_us = 0;
};

// The window that holds the clock, of the two the parameters tell.
bounds window_of(const parameters& p, std::int64_t now_us) noexcept {
  const auto [limit, a, b, c] = p.values;
  return now_us < b ? bounds{a, b} : bounds{b, c};
}

}  // namespace

parameters to_parameters(const quota& q, std::int64_t now_us) noexcept {
  const calendar_windows w = windows_around(*q.zone, q.calendar, now_us);
  return {{q.limit, w.current_us, w.next_us, w.after_next_us}, 4, {}};
}

std::int64_t began(const parameters& p, std::int64_t now_us) noexcept {
  return window_of(p, now_us).start_us;
}

evaluation evaluate(const stored_state& state, const parameters& p, operation op, std::int64_t cost,
                    std::int64_t now_us) {
  const std::int64_t end_us = window_of(p, now_us).end_us;
  const bool counts = state.expires_at_us > now_us;
  // The stored end stands: two processes with different zone data share one window.
  const std::int64_t stop_us = counts ? std::min(state.expires_at_us, end_us) : end_us;
  auto e = evaluate_window(op, counts ? state.count : 0, cost, p.values[0], stop_us - now_us);
  e.carried = stop_us;
  e.repair = counts && state.expires_at_us > end_us && op != operation::peek;
  return e;
}

void conclude(stored_state& state, const parameters& p, const evaluation& e, bool commit, std::int64_t now_us,
              rule_state& answer) {
  const std::int64_t used = commit ? e.used_after : e.used;
  if (e.repair || used != e.used) write_window(state, used, e.carried);
  answer = answer_window(state, e, commit, used, p.values[0], e.carried - now_us, now_us);
}

}  // namespace weir::limiter::calendar_window
