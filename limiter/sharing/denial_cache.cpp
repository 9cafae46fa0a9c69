// SPDX-License-Identifier: Apache-2.0
#include "limiter/sharing/denial_cache.hpp"

#include "limiter/algorithms/integer.hpp"

#include <algorithm>

namespace weir::limiter {

bool cacheable(algorithm a) noexcept {
  return a != algorithm::concurrency;
}

std::optional<rule_state> denial_cache::ask(const charge& c, std::int64_t now_us) {
  const entry* const known = known_about(c);
  if (known == nullptr || now_us >= known->expires_at_us) return std::nullopt;
  return state_of(*known, c, now_us);
}

std::optional<rule_state> denial_cache::recall(const charge& c, std::int64_t now_us) {
  const entry* const known = known_about(c);
  if (known == nullptr || now_us >= known->sent_us + longest_life_us) return std::nullopt;
  return state_of(*known, c, now_us);
}

const denial_cache::entry* denial_cache::known_about(const charge& c) noexcept {
  if (c.cost == 0 || !cacheable(c.quota().algorithm)) return nullptr;
  const entry* const known = entries_.find(key_of(c));
  return known != nullptr && known->quota == c.quota() ? known : nullptr;
}

std::optional<rule_state> denial_cache::state_of(const entry& known, const charge& c, std::int64_t now_us) {
  rule_state state;
  if (!known.by_level) {
    if (c.cost < known.cost || now_us >= known.denied_until_us) return std::nullopt;
    state.allowed = false;
    state.remaining = known.blocked ? 0 : known.cost - 1;
    state.retry_after_us = known.denied_until_us - now_us + known.delay_us;
    state.reset_after_us = state.retry_after_us;
    return state;
  }
  const credits rate = to_credits(known.quota);
  const wide regained = static_cast<wide>(rate.r) * std::max<std::int64_t>(0, now_us - known.sent_us);
  const std::int64_t used = known.used > regained ? known.used - static_cast<std::int64_t>(regained) : 0;
  const std::int64_t free = rate.cap - used;
  state.remaining = free / rate.q;
  state.reset_after_us = ceil_div(used, rate.r);
  state.used = used;
  if (c.cost <= state.remaining) return state;
  state.allowed = false;
  state.retry_after_us =
      c.cost > known.quota.burst ? -1 : ceil_div(c.cost * rate.q - free, rate.r) + known.delay_us;
  return state;
}

void denial_cache::learn(const charge& c, operation op, const rule_state& answered, const exchange& when,
                         std::int64_t life_us) {
  const quota& q = c.quota();
  if (c.cost == 0 || !cacheable(q.algorithm)) return;
  // Below its limit a rule with a penalty is asked: the denial that begins the block must reach the store.
  const bool penalty = c.matched->penalty_us > 0;
  const bool bucket = q.algorithm == algorithm::token_bucket && !penalty;
  const bool denied = !answered.allowed && answered.retry_after_us > 0;
  if (!bucket && !denied) {
    // the rule allowed what an older answer denied: units came back
    if (entry* known = entries_.find(key_of(c)); known != nullptr && known->cost <= c.cost)
      entries_.erase(key_of(c));
    return;
  }
  entry* const known = place_for(c, bucket ? answered.remaining == 0 : denied, when.received_us);
  if (known == nullptr) return;
  if (known->expires_at_us > when.received_us && known->store_now_us > when.store_now_us) return;
  known->quota = q;
  known->sent_us = when.sent_us;
  known->delay_us = when.received_us - when.sent_us;
  known->store_now_us = when.store_now_us;
  known->expires_at_us = when.sent_us + std::min(life_us, longest_life_us);
  known->by_level = bucket;
  known->blocked = penalty;
  known->used = answered.used;
  known->cost = op == operation::take_upto ? 1 : c.cost;
  known->denied_until_us = bucket ? 0 : when.sent_us + answered.retry_after_us;
  known->denies = bucket ? answered.remaining == 0 : denied;
}

/// An entry that denies makes room for itself; one that merely knows a level does not push out one that
/// denies.
denial_cache::entry* denial_cache::place_for(const charge& c, bool denies, std::int64_t now_us) {
  const entry_key key = key_of(c);
  if (entry* const known = entries_.find(key)) return known;
  if (entries_.full()) {
    const entry& oldest = entries_.oldest();
    if (!denies && oldest.denies && oldest.expires_at_us > now_us) return nullptr;
    entries_.erase(entries_.oldest_key());
  }
  return &entries_.insert(key);
}

}  // namespace weir::limiter
