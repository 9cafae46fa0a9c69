// SPDX-License-Identifier: Apache-2.0
#include "limiter/limiter.hpp"

#include <algorithm>
#include <cassert>
#include <cstddef>

namespace weir::limiter {

namespace {

/// -1 = never, longer than any wait.
bool longer_wait(std::int64_t a, std::int64_t b) noexcept {
  return b != -1 && (a == -1 || a > b);
}

/// Verdict, limiting rule, wait and reason from what each rule says. The first of equal waits is limiting.
void judge(decision& result) noexcept {
  result.verdict = verdict::allow;
  result.reason = decision_reason::within_limits;
  for (std::size_t i = 0; i < result.states.size(); ++i) {
    const rule_state& state = result.states[i];
    if (state.allowed) continue;
    result.verdict = verdict::deny;
    if (result.limiting >= 0 && !longer_wait(state.retry_after_us, result.retry_after_us)) continue;
    result.limiting = static_cast<int>(i);
    result.retry_after_us = state.retry_after_us;
  }
  if (result.verdict == verdict::deny) {
    result.reason =
        result.retry_after_us == -1 ? decision_reason::cost_exceeds_capacity : decision_reason::over_limit;
  }
}

/// The local store's answer, which is there when execute() returns.
struct local_answer final : store_waiter {
  void on_store_reply(errc error, const store_reply& reply) override {
    failure = error;
    states = reply.states;
  }
  errc failure = errc::closed;
  decltype(store_reply::states) states;
};

/// What a rule that lets a request pass without counting it looks like: never used.
rule_state untouched(const rule& matched) noexcept {
  rule_state state;
  state.remaining = matched.quota.burst;
  return state;
}

}  // namespace

quota quota_share(const quota& whole, std::int64_t replicas) noexcept {
  if (replicas <= 1) return whole;
  quota part = whole;
  if (whole.algorithm == algorithm::concurrency) {
    part.limit = part.burst = std::max<std::int64_t>(1, whole.limit / replicas);
    return part;
  }
  part.algorithm = algorithm::token_bucket;
  part.calendar = calendar_unit::none;
  part.zone = nullptr;
  // A period too long to be computed exactly takes the smallest share that can be.
  for (std::int64_t n = replicas; n > 1; n /= 2) {
    part.burst = std::max<std::int64_t>(1, whole.burst / replicas);
    if (__builtin_mul_overflow(whole.period_us, n, &part.period_us)) continue;
    if (validate(part).problem == quota_problem::none) return part;
  }
  part.period_us = whole.period_us;
  return part;
}

rate_limiter::rate_limiter(store& primary, store& local, std::int64_t replicas)
    : primary_(primary), local_(local), replicas_(replicas) {}

void rate_limiter::decide(pending_decision& pending) {
  pending.owner_ = this;
  pending.result = {};
  if (pending.charges.empty()) return pending.on_decision();
  primary_.execute(operation::take, pending.charges, pending);
}

void rate_limiter::cancel(pending_decision& pending) noexcept {
  primary_.cancel(pending);
}

/// Every rule must let the request pass: one `deny` settles it, `allow` rules do not matter, the `local` ones
/// decide.
void rate_limiter::apply_failure_modes(pending_decision& pending, errc failure) {
  decision& result = pending.result;
  const charge_list& charges = pending.charges;
  result.failure = failure;
  result.reason = decision_reason::store_failed;
  const auto find = [&charges](failure_mode mode) {
    return std::find_if(charges.begin(), charges.end(),
                        [mode](const charge& c) { return c.matched->failure_mode == mode; });
  };
  if (const auto denying = find(failure_mode::deny); denying != charges.end()) {
    result.mode = failure_mode::deny;
    result.verdict = verdict::deny;
    result.limiting = static_cast<int>(denying - charges.begin());
    return;
  }
  result.mode = failure_mode::allow;
  if (find(failure_mode::local) != charges.end()) decide_locally(pending);
}

/// One call for all rules with mode `local`, so that they too are charged all or none.
void rate_limiter::decide_locally(pending_decision& pending) {
  decision& result = pending.result;
  result.mode = failure_mode::local;
  charge_list charges;
  for (const charge& c : pending.charges) {
    if (c.matched->failure_mode != failure_mode::local) continue;
    const rule* const part = replicas_ <= 1 ? c.matched : &local_rule(*c.matched);
    charges.push_back({.matched = part, .subject = c.subject, .cost = c.cost});
  }
  local_answer answer;
  local_.execute(operation::take, charges, answer);
  if (answer.failure != errc::ok) {  // no limit is ever lifted silently
    result.verdict = verdict::deny;
    return;
  }
  const rule_state* next = answer.states.data();
  for (const charge& c : pending.charges) {
    const bool local = c.matched->failure_mode == failure_mode::local;
    result.states.push_back(local ? *next++ : untouched(*c.matched));
  }
  judge(result);
}

const rule& rate_limiter::local_rule(const rule& matched) {
  if (shares_.size() <= matched.index) shares_.resize(matched.index + std::size_t{1});
  auto& entry = shares_[matched.index];
  if (!entry) entry = std::make_unique<share>();
  if (entry->part.rid != matched.rid || entry->whole != matched.quota) {
    entry->whole = matched.quota;
    entry->part.name = matched.name;
    entry->part.rid = matched.rid;
    entry->part.index = matched.index;
    entry->part.quota = quota_share(matched.quota, replicas_);
  }
  return entry->part;
}

void pending_decision::on_store_reply(errc error, const store_reply& reply) {
  if (error == errc::ok) {
    assert(reply.states.size() == charges.size());
    result.states = reply.states;
    judge(result);
  } else {
    owner_->apply_failure_modes(*this, error);
  }
  on_decision();
}

permit pending_decision::take_permit() noexcept {
  assert(result.verdict == verdict::allow);
  return permit{};
}

}  // namespace weir::limiter
