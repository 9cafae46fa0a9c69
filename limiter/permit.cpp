// SPDX-License-Identifier: Apache-2.0
// The life of a permit, and the slots that are counted in this process.
#include "limiter/permit.hpp"

#include "limiter/algorithms/integer.hpp"
#include "limiter/answers.hpp"
#include "limiter/limiter.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <exception>
#include <vector>

namespace weir::limiter {

std::int64_t final_cost(const rule& matched, std::int64_t reserved, const outcome& how) {
  if (!matched.response_cost) {
    if (matched.count.empty() || how.status == 0) return reserved;
    return matched.count.contains(how.status) ? reserved : 0;
  }
  const response_cost& from = *matched.response_cost;
  const auto found = how.actual ? how.actual(matched) : std::nullopt;
  if (!found) return from.refund_missing ? 0 : reserved;
  const std::int64_t cost = std::min(ceil_div(std::max<std::int64_t>(*found, 0), from.unit), from.max);
  if (how.complete) return cost;
  return from.refund_missing ? 0 : std::max(reserved, cost);
}

/// What one permit owes.
struct permit::debts {
  struct debt {
    charge what;          // its cost is the reserve; charged_at_us is known
    const rule* decided;  // the rule of the policy
    bool by_share;        // this process' share of the rule decided
    store* where;
  };

  rate_limiter& limiter;
  std::shared_ptr<const void> keep;
  std::array<char, settler::max_holder> holder{};
  std::vector<debt> list;

  /// To the store that decided, in its words.
  void send(operation op, const debt& d, std::int64_t cost) const {
    charge order = d.what;
    order.cost = cost;
    if (!d.by_share) return limiter.settlements_.send(*d.where, op, order, *d.decided, keep);
    const auto share = limiter.degraded_.share_of(order);
    if (!d.decided->slots) limiter.degraded_.correct_usage(order, op == operation::refund ? -cost : cost);
    limiter.settlements_.send(*d.where, op, share.what, *d.decided, keep, share.units);
  }

  /// Without memory an order is lost: units return with time, a slot with its lease.
  template <class Order>
  void attempt(const debt& d, Order order) const noexcept {
    try {
      order();
    } catch (const std::exception&) {
      limiter.settlements_.lost(*d.decided, d.what.subject);
    }
  }

  void settle(const debt& d, const outcome& how) const {
    const std::int64_t cost = final_cost(*d.decided, d.what.cost, how);
    if (cost < d.what.cost) {
      send(operation::refund, d, d.what.cost - cost);
    } else if (cost > d.what.cost) {
      send(operation::take_upto, d, cost - d.what.cost);
    } else {
      limiter.settlements_.exact(*d.decided, d.what.subject, cost);
    }
  }
};

permit::permit(std::unique_ptr<debts> owed) noexcept : debts_(std::move(owed)) {}
permit::permit(permit&&) noexcept = default;

permit& permit::operator=(permit&& other) noexcept {
  if (this == &other) return *this;
  settle({});
  debts_ = std::move(other.debts_);
  return *this;
}

permit::~permit() {
  settle({});
}

void permit::settle(const outcome& how) noexcept {
  release_slots();
  const std::unique_ptr<debts> owed = std::move(debts_);
  if (!owed) return;
  for (const debts::debt& d : owed->list) {
    owed->attempt(d, [&] { owed->settle(d, how); });
  }
}

void permit::release_slots() noexcept {
  if (!debts_) return;
  std::erase_if(debts_->list, [this](const debts::debt& d) {
    if (!d.decided->slots) return false;
    debts_->attempt(d, [&] { debts_->send(operation::refund, d, 1); });
    return true;
  });
  if (debts_->list.empty()) debts_.reset();
}

void permit::renew() noexcept {
  if (!debts_) return;
  for (const debts::debt& d : debts_->list) {
    if (!d.decided->slots) continue;
    debts_->attempt(d, [&] { debts_->send(operation::renew, d, 1); });
  }
}

std::int64_t permit::renew_every_us() const noexcept {
  if (!debts_) return 0;
  std::int64_t every = 0;
  for (const debts::debt& d : debts_->list) {
    if (!d.decided->slots) continue;
    const std::int64_t third = std::max<std::int64_t>(1, d.decided->quota.period_us / 3);
    every = every == 0 ? third : std::min(every, third);
  }
  return every;
}

/// Makes the permit of what this decision took.
permit pending_decision::take_permit() {
  assert(result.admitted());
  const auto owes = [](const charge& c) { return c.matched->slots || c.matched->settles(); };
  const bool any = std::any_of(charges.begin(), charges.end(), owes);
  if (!any && here.empty()) return permit{nullptr};

  auto owed = std::unique_ptr<permit::debts>(
      new permit::debts{.limiter = *owner_, .keep = rules_owner(), .list = {}});
  owed->list.reserve(charges.size() + here.size());
  const auto add = [&](const charge& c, bool by_share, store& where) {
    charge what = c;
    what.charged_at_us = result.now_us;
    what.holder = {owed->holder.data(), std::min(c.holder.size(), owed->holder.size())};
    std::copy_n(c.holder.data(), what.holder.size(), owed->holder.data());  // one request, one holder
    owed->list.push_back({what, c.matched, by_share, &where});
  };
  for (std::size_t i = 0; i < charges.size(); ++i) {
    const charge& c = charges[i];
    const bool taken =
        i >= result.states.size() || result.states[i].allowed;  // not so of some shadow charges
    if (!owes(c) || !taken) continue;
    const bool failed = (result.failed >> i & 1) != 0;
    if (!failed) add(c, false, owner_->primary_);
    if (failed && c.matched->failure_mode == failure_mode::local) add(c, true, owner_->local_);
  }
  for (const charge& c : here) add(c, false, owner_->local_);
  if (owed->list.empty()) return permit{nullptr};
  return permit{std::move(owed)};
}

/// A limit of rules is the better reason than a missing slot: its wait is exact.
void pending_decision::prefer_rules() noexcept {
  if (result.verdict != verdict::deny || result.limiting < 0 || result.states.empty()) return;
  const auto is_slot = [this](std::size_t i) { return charges[i].matched->slots.has_value(); };
  if (!is_slot(static_cast<std::size_t>(result.limiting))) return;
  int limiting = -1;
  for (std::size_t i = 0; i < result.states.size(); ++i) {
    const rule_state& state = result.states[i];
    if (state.allowed || is_slot(i)) continue;
    if (limiting >= 0 && !longer_wait(state.retry_after_us, result.retry_after_us)) continue;
    limiting = static_cast<int>(i);
    result.retry_after_us = state.retry_after_us;
  }
  if (limiting < 0) {
    result.no_slot = charges[static_cast<std::size_t>(result.limiting)].matched;
    return;
  }
  result.limiting = limiting;
  result.reason =
      result.retry_after_us == -1 ? decision_reason::cost_exceeds_capacity : decision_reason::over_limit;
}

// ---- slots of this process

/// False: there is no slot, and the decision says so.
bool rate_limiter::take_here(pending_decision& pending) {
  if (pending.here.empty()) return true;
  immediate_answer answer;
  local_.execute(operation::take, pending.here, answer);
  decision& result = pending.result;
  for (std::size_t i = 0; i < answer.reply.states.size(); ++i) {
    const rule_state& state = answer.reply.states[i];
    if (state.allowed || (result.no_slot != nullptr && state.retry_after_us <= result.retry_after_us))
      continue;
    result.no_slot = pending.here[i].matched;
    result.retry_after_us = state.retry_after_us;
  }
  if (result.no_slot == nullptr) return true;
  result.verdict = verdict::deny;
  result.reason = decision_reason::over_limit;
  return false;
}

void rate_limiter::release_here(const pending_decision& pending) noexcept {
  for (const charge& c : pending.here) settlements_.send(local_, operation::refund, c, *c.matched, {});
}

/// The call may have left already: its slots, if it gets any, have no owner.
void rate_limiter::release_unknown(const pending_decision& pending) noexcept {
  for (const charge& c : pending.charges) {
    if (c.matched->slots)
      settlements_.send(primary_, operation::refund, c, *c.matched, pending.rules_owner());
  }
}

}  // namespace weir::limiter
