// SPDX-License-Identifier: Apache-2.0
#include "limiter/algorithms/token_bucket.hpp"

#include "limiter/algorithms/integer.hpp"

#include <algorithm>

namespace weir::limiter::token_bucket {
namespace {

constexpr std::int64_t exact_limit = std::int64_t{1} << 53;

struct time_to_full {
  std::int64_t whole_us;
  std::int64_t fraction;  // in 1/r us
};

struct reading {
  std::int64_t used = 0;  // credits, 0 ... cap
  bool beyond = false;    // more than the bucket holds: the clock went back or the capacity shrank
};

// A fraction written under another rate, in units of this one. May reach r, a full microsecond.
std::int64_t rescale(std::int64_t fraction, std::int64_t base, std::int64_t r) noexcept {
  const wide product = static_cast<wide>(fraction) * r;
  if (product >= exact_limit) return r - 1;  // Lua cannot form the product; it rounds up the same way
  return ceil_div(static_cast<std::int64_t>(product), base);
}

reading read(const stored_state& state, std::int64_t r, std::int64_t cap, std::int64_t now_us) noexcept {
  std::int64_t full_at_us = state.expires_at_us;
  if (full_at_us < now_us) return {};
  std::int64_t fraction = state.count;
  if (fraction > 0 && state.base != r) {
    fraction = rescale(fraction, state.base, r);
    if (fraction == r) {
      ++full_at_us;
      fraction = 0;
    }
  }
  const std::int64_t time_to_full_us = full_at_us - now_us;
  const wide used = static_cast<wide>(time_to_full_us) * r + fraction;  // an instant may lie far ahead
  if (used > cap) return {cap, true};
  return {static_cast<std::int64_t>(used), false};
}

// What has flowed in since the charge is not given back once more.
std::int64_t to_give_back(wide demand, std::int64_t r, std::int64_t cap, std::int64_t age_us) noexcept {
  if (age_us > cap / r) return 0;
  return std::max<std::int64_t>(0, static_cast<std::int64_t>(std::min<wide>(demand, cap)) - age_us * r);
}

void write(stored_state& state, const time_to_full& full, std::int64_t r, std::int64_t now_us) noexcept {
  if (full.whole_us == 0 && full.fraction == 0) {
    state.expires_at_us = 0;
    state.count = 0;
    return;
  }
  state.expires_at_us = now_us + full.whole_us;
  state.count = static_cast<std::uint32_t>(full.fraction);
  state.base = static_cast<std::uint32_t>(r);
}

}  // namespace

parameters to_parameters(const quota& q, std::int64_t) noexcept {
  const credits c = to_credits(q);
  return {{c.r, c.q, c.cap}, 3, {}};
}

evaluation evaluate(const stored_state& state, const parameters& p, operation op, std::int64_t cost,
                    std::int64_t now_us) {
  const auto [r, q, cap, age_us] = p.values;
  const reading stored = read(state, r, cap, now_us);
  const std::int64_t free = cap - stored.used;
  evaluation e;
  e.used = e.used_after = stored.used;
  e.repair = stored.beyond && op != operation::peek;

  const wide demand = static_cast<wide>(cost) * q;
  switch (op) {
    case operation::refund:
      e.used_after = stored.used - std::min(stored.used, to_give_back(demand, r, cap, age_us));
      break;
    case operation::take_upto:
      e.granted = std::min(cost, free / q);
      e.used_after = stored.used + e.granted * q;
      e.allowed = e.granted > 0 || cost == 0;
      if (!e.allowed) e.retry_after_us = ceil_div(q - free, r);
      break;
    case operation::renew:  // of slots only
      break;
    case operation::take:
    case operation::peek:
      e.allowed = cost == 0 || demand <= free;
      if (e.allowed) {
        e.used_after = stored.used + static_cast<std::int64_t>(demand);
      } else {
        e.retry_after_us = demand > cap ? -1 : ceil_div(static_cast<std::int64_t>(demand) - free, r);
      }
      break;
  }
  return e;
}

void conclude(stored_state& state, const parameters& p, const evaluation& e, bool commit, std::int64_t now_us,
              rule_state& answer) {
  const auto [r, q, cap, unused] = p.values;
  const std::int64_t used = commit ? e.used_after : e.used;
  const time_to_full full{used / r, used % r};
  if (e.repair || used != e.used) write(state, full, r, now_us);
  const std::int64_t free = cap - used;
  const std::int64_t remaining = free / q;
  state.pinned_until_us = remaining > 0 ? 0 : now_us + ceil_div(q - free, r);
  answer = {.allowed = e.allowed,
            .remaining = remaining,
            .retry_after_us = e.retry_after_us,
            .reset_after_us = full.whole_us + (full.fraction != 0 ? 1 : 0),
            .granted = commit ? e.granted : 0,
            .used = used};
}

}  // namespace weir::limiter::token_bucket
