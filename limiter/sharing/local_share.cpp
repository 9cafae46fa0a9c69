// SPDX-License-Identifier: Apache-2.0
#include "limiter/sharing/local_share.hpp"

#include "limiter/algorithms/integer.hpp"
#include "limiter/answers.hpp"

#include <algorithm>

namespace weir::limiter {
namespace {

constexpr std::int64_t largest_cost = std::int64_t{1} << 31;

bool full(const rule_state& state, const quota& q) noexcept {
  return state.remaining >= q.burst && state.reset_after_us == 0;
}

/// Whole units that are used, rounded down.
std::int64_t used_units(const rule_state& state, const quota& q) noexcept {
  return q.algorithm == algorithm::token_bucket ? state.used / to_credits(q).q : q.burst - state.remaining;
}

bool no_slot(const charge& share) noexcept {
  return share.matched->quota.limit == 0;
}

bool no_slot_in(const charge_list& shares) noexcept {
  return std::any_of(shares.begin(), shares.end(), no_slot);
}

/// A limit of fewer slots than there are processes has none for each of them.
errc refuse_slots(const charge_list& shares, store_reply& reply) {
  constexpr std::int64_t try_again_us = 1'000'000;
  reply.states.clear();
  for (const charge& share : shares) {
    rule_state state;
    if (no_slot(share)) {
      state.allowed = false;
      state.retry_after_us = try_again_us;
    } else {
      state.remaining = share.matched->quota.burst;
    }
    reply.states.push_back(state);
  }
  return errc::ok;
}

}  // namespace

quota_part part_of(const quota& whole, std::int64_t members) noexcept {
  if (members <= 1) return {whole, 1};
  quota_part part{whole, members};
  quota& q = part.quota;
  if (whole.algorithm == algorithm::concurrency) {
    q.limit = q.burst = whole.limit / members;
    part.units = 1;
    return part;
  }
  q.calendar = calendar_unit::none;
  q.zone = nullptr;
  q.algorithm = algorithm::token_bucket;
  q.burst = std::max(whole.burst, members);
  if (validate(q).problem == quota_problem::none) return part;
  // A window whose numbers have no common factor: the next slower rate that has one.
  q.period_us = ceil_div(whole.period_us, whole.limit);
  q.limit = 1;
  if (const quota_check check = validate(q); check.problem != quota_problem::none) {
    part.units = q.burst = std::max<std::int64_t>(1, check.nearest_legal);
  }
  return part;
}

const local_share::part& local_share::part_for(const charge& c, std::int64_t members) {
  const rule& whole = *c.matched;
  const limiter::quota& quota = c.quota();
  const std::size_t place = 2 * std::size_t{whole.index} + (whole.slots ? 1 : 0);  // each counts from 0
  if (parts_.size() <= place) parts_.resize(place + 1);
  auto& entry = parts_[place];
  if (!entry) entry = std::make_unique<part>();
  if (entry->share.rid == whole.rid && entry->whole == quota && entry->members == members &&
      entry->share.penalty_us == whole.penalty_us)
    return *entry;
  const quota_part share = part_of(quota, members);
  entry->whole = quota;
  entry->members = members;
  entry->units = share.units;
  entry->share.name = whole.name;
  entry->share.rid = whole.rid;
  entry->share.index = whole.index;
  entry->share.quota = share.quota;
  entry->share.penalty_us = whole.penalty_us;
  return *entry;
}

local_share::share_of_charge local_share::scaled(const charge& c, std::int64_t members) {
  const part& p = part_for(c, members);
  const charge what{.matched = &p.share,
                    .subject = c.subject,
                    .cost = std::min(c.cost * p.units, largest_cost),
                    .holder = c.holder,
                    .shadow = c.shadow};
  return {what, p.units};
}

errc local_share::take(std::span<const charge> charges, std::int64_t members, const last_known& known,
                       store_reply& reply) {
  charge_list shares;
  for (const charge& c : charges) shares.push_back(scaled(c, members).what);
  if (no_slot_in(shares)) return refuse_slots(shares, reply);
  immediate_answer before;
  table_.execute(operation::peek, shares, before);
  if (before.failure != errc::ok) return before.failure;
  for (std::size_t i = 0; i < charges.size(); ++i) {
    if (shares[i].matched->quota.algorithm == algorithm::concurrency) continue;
    lower(charges[i], shares[i], before.reply.states[i], members, known);
  }
  immediate_answer answer;
  table_.execute(operation::take, shares, answer);
  reply = std::move(answer.reply);
  for (std::size_t i = 0; i < reply.states.size(); ++i) {
    reply.states[i].remaining /= part_for(charges[i], members).units;
  }
  return answer.failure;
}

/// A share of less than one unit is drawn anew whenever it is full. Any other has used at least its part of
/// what the whole has used.
void local_share::lower(const charge& whole, const charge& share, const rule_state& before,
                        std::int64_t members, const last_known& known) {
  const std::int64_t burst = whole.quota().burst;
  const quota& q = share.matched->quota;
  std::int64_t used = 0;  // units of the share
  if (burst < members) {
    if (!full(before, q)) return;
    std::uniform_int_distribution<std::int64_t> lot(1, members);
    if (lot(random_) > burst) used = q.burst;
  } else if (const auto state = known ? known(whole) : std::nullopt) {
    const wide parts = static_cast<wide>(burst - state->remaining) * part_for(whole, members).units;
    used = static_cast<std::int64_t>((parts + members - 1) / members);
  }
  const std::int64_t missing = used - used_units(before, q);
  if (missing <= 0) return;
  charge level = share;
  level.cost = std::min(missing, largest_cost);
  immediate_answer ignored;
  table_.execute(operation::take_upto, {&level, 1}, ignored);
}

errc local_share::settle(operation op, const charge& c, std::int64_t members, store_reply& reply) {
  const share_of_charge share = scaled(c, members);
  immediate_answer answer;
  table_.execute(op, {&share.what, 1}, answer);
  reply = std::move(answer.reply);
  for (rule_state& state : reply.states) {
    state.remaining /= share.units;
    state.granted /= share.units;
  }
  return answer.failure;
}

void local_share::put_back(std::span<const charge> charges, std::int64_t members) {
  charge_list shares;
  for (const charge& c : charges) shares.push_back(scaled(c, members).what);
  immediate_answer ignored;
  table_.execute(operation::refund, shares, ignored);
}

}  // namespace weir::limiter
