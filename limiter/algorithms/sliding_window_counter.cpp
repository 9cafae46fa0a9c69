// SPDX-License-Identifier: Apache-2.0
#include "limiter/algorithms/sliding_window_counter.hpp"

#include "limiter/algorithms/integer.hpp"

#include <algorithm>

namespace weir::limiter::sliding_window_counter {
namespace {

/// The two counts at an instant, and how long the current window still lasts.
struct counts {
  std::int64_t current = 0;
  std::int64_t previous = 0;
  std::int64_t rest_us = 0;
};

std::int64_t remaining_of(const counts& c, std::int64_t limit, std::int64_t window_us) noexcept {
  // previous * rest passes 64 bits' exact range only after a reload that lowered L
  const wide free =
      static_cast<wide>(limit - c.current) * window_us - static_cast<wide>(c.previous) * c.rest_us;
  return free > 0 ? static_cast<std::int64_t>(free / window_us) : 0;
}

bool fits(const counts& c, std::int64_t units, std::int64_t limit, std::int64_t window_us) noexcept {
  const std::int64_t left = limit - c.current - units;
  return left >= 0 && static_cast<wide>(c.previous) * c.rest_us <= static_cast<wide>(left) * window_us;
}

/// Time until units <= L more fit, which they do not now.
std::int64_t time_until_fits(const counts& c, std::int64_t units, std::int64_t limit,
                             std::int64_t window_us) noexcept {
  const std::int64_t left = limit - c.current - units;
  if (left >= 0) return c.rest_us - left * window_us / c.previous;
  return c.rest_us + std::max<std::int64_t>(0, window_us - (limit - units) * window_us / c.current);
}

}  // namespace

parameters to_parameters(const quota& q, std::int64_t) noexcept {
  return {{q.limit, q.period_us}, 2, {}};
}

std::int64_t began(const parameters& p, std::int64_t now_us) noexcept {
  return now_us - now_us % p.values[1];
}

evaluation evaluate(const stored_state& state, const parameters& p, operation op, std::int64_t cost,
                    std::int64_t now_us) {
  const std::int64_t limit = p.values[0];
  const std::int64_t window_us = p.values[1];
  const std::int64_t start_us = began(p, now_us);
  counts c{0, 0, start_us + window_us - now_us};
  evaluation e;
  if (state.expires_at_us >= now_us && !state.unused()) {
    const std::int64_t stored_start_us = state.expires_at_us - 2 * state.extra.number();
    if (stored_start_us >= start_us) {
      c.current = state.count;
      c.previous = state.base;
      e.repair = stored_start_us > start_us && op != operation::peek;  // the clock went back
    } else if (stored_start_us == start_us - window_us) {
      c.previous = state.count;
    }
  }
  e.used = e.used_after = c.current;
  e.carried = c.previous;

  switch (op) {
    case operation::refund:
      e.used_after = std::max<std::int64_t>(0, e.used - cost);
      break;
    case operation::take_upto:
      e.granted = std::min(cost, remaining_of(c, limit, window_us));
      e.used_after = e.used + e.granted;
      e.allowed = e.granted > 0 || cost == 0;
      if (!e.allowed) e.retry_after_us = time_until_fits(c, 1, limit, window_us);
      break;
    case operation::renew:  // of slots only
      break;
    case operation::take:
    case operation::peek:
      e.allowed = cost == 0 || fits(c, cost, limit, window_us);
      if (e.allowed) {
        e.used_after = e.used + cost;
      } else {
        e.retry_after_us = cost > limit ? -1 : time_until_fits(c, cost, limit, window_us);
      }
      break;
  }
  return e;
}

void conclude(stored_state& state, const parameters& p, const evaluation& e, bool commit, std::int64_t now_us,
              rule_state& answer) {
  const std::int64_t limit = p.values[0];
  const std::int64_t window_us = p.values[1];
  const counts c{commit ? e.used_after : e.used, e.carried, began(p, now_us) + window_us - now_us};
  if (e.repair || c.current != e.used) {
    const bool any = c.current > 0 || c.previous > 0;
    state.expires_at_us = any ? now_us + c.rest_us + window_us : 0;
    state.count = static_cast<std::uint32_t>(c.current);
    state.base = static_cast<std::uint32_t>(c.previous);
    state.extra.set_number(window_us);
  }
  const std::int64_t remaining = remaining_of(c, limit, window_us);
  state.pinned_until_us = remaining > 0 ? 0 : now_us + time_until_fits(c, 1, limit, window_us);
  std::int64_t reset_us = c.previous > 0 ? c.rest_us : 0;
  if (c.current > 0) reset_us = c.rest_us + window_us;
  answer = {.allowed = e.allowed,
            .remaining = remaining,
            .retry_after_us = e.retry_after_us,
            .reset_after_us = reset_us,
            .granted = commit ? e.granted : 0,
            .used = c.current};
}

}  // namespace weir::limiter::sliding_window_counter
