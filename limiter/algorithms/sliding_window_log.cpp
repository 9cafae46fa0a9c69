// SPDX-License-Identifier: Apache-2.0
#include "limiter/algorithms/sliding_window_log.hpp"

#include "limiter/algorithms/stamp_ring.hpp"

#include <algorithm>

namespace weir::limiter::sliding_window_log {
namespace {

// A stamp beyond the clock counts as taken now.
std::int64_t stamp_at(const stamp_ring& stamps, std::int64_t i, std::int64_t now_us) noexcept {
  return std::min(stamps.at(i), now_us);
}

// Time until `units` more units fit: the oldest units in the way must leave the window. `live` stamps are the
// tail.
std::int64_t time_until_free(const stamp_ring& stamps, std::int64_t live, std::int64_t units,
                             std::int64_t limit, std::int64_t window_us, std::int64_t now_us) noexcept {
  const std::int64_t in_the_way = live + units - limit;
  if (in_the_way <= 0) return 0;
  return stamp_at(stamps, stamps.size() - live + in_the_way - 1, now_us) + window_us - now_us;
}

void change_by(std::int64_t units, stamp_ring& stamps, stored_state& state, std::int64_t expired,
               std::int64_t window_us, std::int64_t now_us) {
  stamps.pop_front(expired);
  const std::int64_t ahead = stamps.size() - stamps.count_until(now_us);
  stamps.pop_back(ahead);
  const std::int64_t at_now = ahead + units;  // stamps beyond the clock become `now`, newest refunded first
  stamps.pop_back(std::max<std::int64_t>(0, -at_now));
  stamps.reserve(stamps.size() + std::max<std::int64_t>(0, at_now), window_us, state.extra);
  stamps.push_back(now_us, std::max<std::int64_t>(0, at_now));
  stamps.keep(state, window_us);
}

// A log that has free units denies until no instant to come: its oldest stamp, see stamp_ring.
std::int64_t pinned_until(const stamp_ring& stamps, std::int64_t wait_us, std::int64_t now_us) noexcept {
  if (stamps.size() == 0) return 0;
  return wait_us == 0 ? stamps.at(0) : std::max(now_us + wait_us, stamps.at(stamps.size() - 1) + 1);
}

}  // namespace

std::int64_t began(const parameters& p, std::int64_t now_us) noexcept {
  return now_us - p.values[1] + 1;
}

parameters to_parameters(const quota& q, std::int64_t) noexcept {
  return {{q.limit, q.period_us}, 2, {}};
}

evaluation evaluate(const stored_state& state, const parameters& p, operation op, std::int64_t cost,
                    std::int64_t now_us) {
  const std::int64_t limit = p.values[0];
  const std::int64_t window_us = p.values[1];
  const stamp_ring stamps(state);
  stamps.prefetch_end();
  const std::int64_t length = stamps.size();
  evaluation e;
  e.expired = stamps.count_until(now_us - window_us);
  e.used = e.used_after = length - e.expired;
  e.repair = op != operation::peek && length > 0 && stamps.at(length - 1) > now_us;

  switch (op) {
    case operation::refund:
      e.used_after = std::max<std::int64_t>(0, e.used - cost);
      break;
    case operation::take_upto:
      e.granted = std::clamp<std::int64_t>(limit - e.used, 0, cost);
      e.used_after = e.used + e.granted;
      e.allowed = e.granted > 0 || cost == 0;
      if (!e.allowed) e.retry_after_us = time_until_free(stamps, e.used, 1, limit, window_us, now_us);
      break;
    case operation::renew:  // of slots only
      break;
    case operation::take:
    case operation::peek:
      e.allowed = cost == 0 || e.used + cost <= limit;
      if (e.allowed) {
        e.used_after = e.used + cost;
      } else {
        e.retry_after_us =
            cost > limit ? -1 : time_until_free(stamps, e.used, cost, limit, window_us, now_us);
      }
      break;
  }
  return e;
}

void conclude(stored_state& state, const parameters& p, const evaluation& e, bool commit, std::int64_t now_us,
              rule_state& answer) {
  const std::int64_t limit = p.values[0];
  const std::int64_t window_us = p.values[1];
  const std::int64_t used = commit ? e.used_after : e.used;
  stamp_ring stamps(state);
  if (e.repair || used != e.used) {
    change_by(used - e.used, stamps, state, e.expired, window_us, now_us);
  }
  const std::int64_t wait_us = time_until_free(stamps, used, 1, limit, window_us, now_us);
  state.pinned_until_us = pinned_until(stamps, wait_us, now_us);
  answer = {.allowed = e.allowed,
            .remaining = std::max<std::int64_t>(0, limit - used),
            .retry_after_us = e.retry_after_us,
            .reset_after_us = used > 0 ? stamp_at(stamps, stamps.size() - 1, now_us) + window_us - now_us : 0,
            .granted = commit ? e.granted : 0,
            .used = std::min(used, limit)};
}

}  // namespace weir::limiter::sliding_window_log
