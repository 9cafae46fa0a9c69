// SPDX-License-Identifier: Apache-2.0
#include "limiter/limiter.hpp"

#include "limiter/answers.hpp"

#include <cassert>
#include <cstddef>
#include <utility>

namespace weir::limiter {

namespace {

/// Verdict, limiting rule, wait and reason from what each rule says. The first of equal waits is limiting.
void judge(std::span<const charge> charges, decision& result) noexcept {
  result.verdict = verdict::allow;
  result.reason = decision_reason::within_limits;
  for (std::size_t i = 0; i < result.states.size(); ++i) {
    const rule_state& state = result.states[i];
    if (state.allowed) continue;
    if (charges[i].shadow) {
      result.shadow_denied |= std::uint32_t{1} << i;
      continue;
    }
    result.verdict = verdict::deny;
    if (result.limiting >= 0 && !longer_wait(state.retry_after_us, result.retry_after_us)) continue;
    result.limiting = static_cast<int>(i);
    result.retry_after_us = state.retry_after_us;
  }
  if (result.verdict == verdict::deny) {
    result.reason =
        result.retry_after_us == -1 ? decision_reason::cost_exceeds_capacity : decision_reason::over_limit;
  } else if (result.shadow_denied != 0) {
    result.verdict = verdict::shadow_deny;
  }
}

/// Bit i: charge i has no answer. Also the first reason.
std::uint32_t failed_charges(const store_reply& reply, errc& first) noexcept {
  std::uint32_t failed = 0;
  for (std::size_t i = 0; i < reply.failures.size(); ++i) {
    if (reply.failures[i] == errc::ok) continue;
    if (failed == 0) first = reply.failures[i];
    failed |= std::uint32_t{1} << i;
  }
  return failed;
}

}  // namespace

rate_limiter::rate_limiter(store& primary, store& local, std::int64_t replicas,
                           degraded_mode::options degraded)
    : primary_(primary), local_(local), degraded_(primary, local, std::move(degraded)) {
  degraded_.set_members(replicas);
}

void rate_limiter::decide(pending_decision& pending) {
  pending.owner_ = this;
  pending.result = {};
  if (!take_here(pending)) return pending.on_decision();
  if (pending.charges.empty()) return pending.on_decision();
  degraded_.report(pending.charges);
  pending.held_ = 0;
  if (!degraded_.hold(pending.charges, pending.held_, pending.result)) {
    judge(pending.charges, pending.result);
    release_here(pending);
    return pending.on_decision();
  }
  primary_.execute(operation::take, pending.charges, pending);
}

void rate_limiter::cancel(pending_decision& pending) noexcept {
  primary_.cancel(pending);
  release_here(pending);
  release_unknown(pending);
}

void rate_limiter::put_back_held(pending_decision& pending) {
  if (pending.held_ != 0) degraded_.put_back(pending.charges, std::exchange(pending.held_, 0));
}

/// Every rule must let the request pass: those that were answered and those decided by their failure_mode.
void rate_limiter::apply_failure_modes(pending_decision& pending, std::uint32_t failed, errc failure) {
  if (degraded_.decide(pending.charges, failed, failure, pending.result))
    judge(pending.charges, pending.result);
}

void pending_decision::on_store_reply(errc error, const store_reply& reply) {
  errc failure = error;
  std::uint32_t failed = ~std::uint32_t{0};
  if (error == errc::ok) {
    assert(reply.states.size() == charges.size());
    result.states = reply.states;
    result.now_us = reply.now_us;
    failed = failed_charges(reply, failure);
  }
  if (failed != 0) {
    owner_->put_back_held(*this);
    owner_->apply_failure_modes(*this, failed, failure);
  } else {
    owner_->degraded_.answered();
    judge(charges, result);
  }
  prefer_rules();
  if (result.verdict == verdict::deny) {
    owner_->put_back_held(*this);
    owner_->release_here(*this);
  }
  on_decision();
}

}  // namespace weir::limiter
