// SPDX-License-Identifier: Apache-2.0
#include "limiter/algorithms/concurrency.hpp"

#include "limiter/algorithms/slot_holders.hpp"

#include <algorithm>

namespace weir::limiter::concurrency {
namespace {

const slot_holders nobody;

const slot_holders& holders_of(const stored_state& state) noexcept {
  const auto* holders = state.extra.object<slot_holders>();
  return holders != nullptr ? *holders : nobody;
}

/// Time until a slot is free when `held` >= L are not: after a reload more than one lease must end.
std::int64_t time_until_free(const slot_holders& holders, std::int64_t held, const parameters& p,
                             std::int64_t now_us) {
  const auto [limit, lease_us, unused, unused_too] = p.values;
  return std::min(holders.end_of(held - limit, now_us), now_us + lease_us) - now_us;
}

void write(stored_state& state, const parameters& p, const evaluation& e, slot_change change,
           std::int64_t now_us) {
  auto& holders = state.extra.made<slot_holders>();
  const std::int64_t end_us = now_us + p.values[1];
  if (e.repair) holders.shorten(end_us);
  if (change != slot_change::none) holders.drop_ended(now_us);
  if (change == slot_change::hold) holders.hold(p.holder, end_us);
  if (change == slot_change::release) holders.release(p.holder);
  state.expires_at_us = holders.latest();
}

}  // namespace

parameters to_parameters(const quota& q, std::int64_t) noexcept {
  return {{q.limit, q.period_us}, 2, {}};
}

evaluation evaluate(const stored_state& state, const parameters& p, operation op, std::int64_t cost,
                    std::int64_t now_us) {
  const slot_holders& holders = holders_of(state);
  const std::int64_t held = holders.held(now_us);
  const bool mine = holders.lease_of(p.holder) > now_us;
  evaluation e;
  e.used = e.used_after = held;
  e.repair = op != operation::peek && holders.latest() > now_us + p.values[1];
  if (cost == 0) return e;
  switch (op) {
    case operation::refund:
      e.allowed = mine;
      if (mine) {
        e.used_after = held - 1;
        e.change = slot_change::release;
      }
      return e;
    case operation::renew:
      e.allowed = mine;
      if (mine) e.change = slot_change::hold;
      return e;
    case operation::take:
    case operation::peek:
    case operation::take_upto:
      break;
  }
  e.allowed = mine || held < p.values[0];
  if (e.allowed) {
    e.change = slot_change::hold;
    e.used_after = mine ? held : held + 1;
    e.granted = op == operation::take_upto ? 1 : 0;
  } else {
    e.retry_after_us = time_until_free(holders, held, p, now_us);
  }
  return e;
}

void conclude(stored_state& state, const parameters& p, const evaluation& e, bool commit, std::int64_t now_us,
              rule_state& answer) {
  const auto change = commit ? e.change : slot_change::none;
  if (e.repair || change != slot_change::none) write(state, p, e, change, now_us);
  const std::int64_t held = commit ? e.used_after : e.used;
  const slot_holders& holders = holders_of(state);
  const auto [limit, lease_us, unused, unused_too] = p.values;
  state.pinned_until_us = held >= limit ? now_us + time_until_free(holders, held, p, now_us) : 0;
  answer = {.allowed = e.allowed,
            .remaining = std::max<std::int64_t>(0, limit - held),
            .retry_after_us = e.retry_after_us,
            .reset_after_us = held > 0 ? std::min(holders.latest(), now_us + lease_us) - now_us : 0,
            .granted = commit ? e.granted : 0,
            .used = held};
}

}  // namespace weir::limiter::concurrency
