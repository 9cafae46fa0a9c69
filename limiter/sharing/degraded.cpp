// SPDX-License-Identifier: Apache-2.0
#include "limiter/sharing/degraded.hpp"

#include "limiter/algorithms/integer.hpp"
#include "limiter/answers.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace weir::limiter {
namespace {

bool is_set(std::uint32_t bits, std::size_t i) noexcept {
  return (bits >> i & 1) != 0;
}

std::int64_t steady_us() {
  using namespace std::chrono;
  return duration_cast<microseconds>(steady_clock::now().time_since_epoch()).count();
}

/// After this time units used by nobody else are back, and telling of them would change nothing.
bool forgotten(const quota& q, std::int64_t units, std::int64_t age_us) noexcept {
  return static_cast<wide>(age_us) * q.limit >= static_cast<wide>(units) * q.period_us;
}

}  // namespace

degraded_mode::degraded_mode(store& shared, store& local, options o)
    : shared_(shared),
      options_(std::move(o)),
      shares_(local, options_.seed),
      calls_(shared, options_.max_reports),
      usage_(options_.max_usage, options_.seed) {
  if (!options_.clock) options_.clock = steady_us;
}

/// The grace runs from the first failure. It is over until the store has answered for as long without one:
/// a store that flaps does not begin it anew each time.
void degraded_mode::note_failure() {
  const std::int64_t now_us = options_.clock();
  if (failing_since_us_ < 0) failing_since_us_ = now_us;
  answering_since_us_ = -1;
  grace_over_ = options_.allow_grace_us >= 0 && now_us - failing_since_us_ >= options_.allow_grace_us;
}

void degraded_mode::note_answer() noexcept {
  const std::int64_t now_us = options_.clock();
  if (answering_since_us_ < 0) answering_since_us_ = now_us;
  if (now_us - answering_since_us_ >= std::max<std::int64_t>(0, options_.allow_grace_us))
    failing_since_us_ = -1;
}

failure_mode degraded_mode::mode_of(const rule& r) const noexcept {
  return r.failure_mode == failure_mode::allow && grace_over_ ? failure_mode::deny : r.failure_mode;
}

bool degraded_mode::decide(std::span<const charge> charges, std::uint32_t failed, errc failure,
                           decision& result) {
  note_failure();
  result.failure = last_failure_ = failure;
  result.failed = failed;
  result.mode = failure_mode::allow;
  const bool all_failed = result.states.empty();
  result.states.resize(charges.size());
  bool denied = false;
  for (std::size_t i = 0; i < charges.size(); ++i) {
    if (is_set(failed, i)) result.states[i] = rule_state::unknown();
    denied = denied || !passes(charges[i], result.states[i]);
  }
  if (denied) return true;  // by a rule that was answered; the others need not count the request

  charge_list local;
  for (std::size_t i = 0; i < charges.size(); ++i) {
    if (!is_set(failed, i)) continue;
    const failure_mode mode = mode_of(*charges[i].matched);
    if (mode == failure_mode::deny && !charges[i].shadow) {
      give_back(charges, failed, result);
      result.mode = failure_mode::deny;
      result.reason = decision_reason::store_failed;
      result.verdict = verdict::deny;
      result.limiting = static_cast<int>(i);
      result.states.clear();
      return false;
    }
    if (mode == failure_mode::local) local.push_back(charges[i]);
  }
  if (local.empty()) {
    if (all_failed) {
      result.reason = decision_reason::store_failed;
      result.states.clear();
    }
    return !all_failed;
  }

  result.mode = failure_mode::local;
  store_reply answer;
  if (shares_.take(local, members_, options_.last_known, answer) != errc::ok) {
    give_back(charges, failed, result);  // no limit is ever lifted silently
    result.reason = decision_reason::store_failed;
    result.verdict = verdict::deny;
    result.states.clear();
    return false;
  }
  const rule_state* next = answer.states.data();
  for (std::size_t i = 0; i < charges.size(); ++i) {
    if (!is_set(failed, i) || mode_of(*charges[i].matched) != failure_mode::local) continue;
    denied = denied || !passes(charges[i], *next);
    result.states[i] = *next++;
  }
  if (denied) give_back(charges, failed, result);
  for (std::size_t i = 0; i < local.size(); ++i) note_usage(local[i], !denied && answer.states[i].allowed);
  return true;
}

/// What the store took before the request was denied here.
void degraded_mode::give_back(std::span<const charge> charges, std::uint32_t failed, decision& result) {
  charge_list taken;
  for (std::size_t i = 0; i < charges.size() && i < result.states.size(); ++i) {
    if (is_set(failed, i)) continue;
    if (!passes(charges[i], result.states[i])) return;  // nothing was taken
    if (!result.states[i].allowed) continue;
    taken.push_back(charges[i]);
    taken.back().charged_at_us = result.now_us;
    result.states[i].remaining += charges[i].cost;
  }
  if (!taken.empty()) calls_.send(operation::refund, taken);
}

void degraded_mode::note_usage(const charge& c, bool allowed) {
  if (c.cost == 0 || c.quota().algorithm == algorithm::concurrency) return;
  const entry_key key = key_of(c);
  usage* known = usage_.find(key);
  if (known == nullptr) {
    if (usage_.full()) usage_.erase(usage_.oldest_key());
    known = &usage_.insert(key);
    known->name = c.name;
  }
  known->last_us = options_.clock();
  if (known->first_us < 0) known->first_us = known->last_us;
  if (!known->of || known->of->rid != c.matched->rid || known->of->quota != c.quota()) {
    known->of = std::make_shared<const rule>(as_charged(c));
  }
  if (!allowed) return;
  known->used_us = known->last_us;  // units of before it are not forgotten with time
  known->units = std::min(known->units + c.cost, c.quota().burst);
}

void degraded_mode::correct_usage(const charge& c, std::int64_t units) {
  const entry_key key = key_of(c);
  usage* const known = usage_.find(key);
  if (known == nullptr) return;
  known->units = std::clamp<std::int64_t>(known->units + units, 0, c.quota().burst);
}

// ---- The store is back -----------------------------------------------------------------------------------

std::int64_t degraded_mode::held_until_us(const usage& u) const noexcept {
  return u.last_us + std::min(u.last_us - u.first_us, options_.longest_hold_us);
}

bool degraded_mode::hold_to_share(std::span<const charge> charges, std::uint32_t& held, decision& result) {
  if (!shared_.available()) return true;  // it will be decided here alone
  const std::int64_t now_us = options_.clock();
  charge_list local;
  for (std::size_t i = 0; i < charges.size(); ++i) {
    const usage* const known = usage_.find(key_of(charges[i]));
    if (known == nullptr || now_us >= held_until_us(*known)) continue;
    if (charges[i].matched->settles() || charges[i].shadow) continue;
    held |= std::uint32_t{1} << i;
    local.push_back(charges[i]);
  }
  store_reply answer;
  if (local.empty() || shares_.take(local, members_, nullptr, answer) != errc::ok) {
    held = 0;
    return true;
  }
  const bool allowed = std::all_of(answer.states.begin(), answer.states.end(),
                                   [](const rule_state& state) { return state.allowed; });
  if (allowed) return true;
  result.failure = last_failure_;
  result.failed = std::exchange(held, 0);
  result.mode = failure_mode::local;
  const rule_state* next = answer.states.data();
  for (std::size_t i = 0; i < charges.size(); ++i) {
    result.states.push_back(is_set(result.failed, i) ? *next++ : rule_state::unknown());
  }
  return false;
}

void degraded_mode::put_back(std::span<const charge> charges, std::uint32_t held) {
  charge_list local;
  for (std::size_t i = 0; i < charges.size(); ++i) {
    if (is_set(held, i)) local.push_back(charges[i]);
  }
  if (!local.empty()) shares_.put_back(local, members_);
}

void degraded_mode::report_usage(std::span<const charge> charges) {
  if (!shared_.available()) return;
  for (const charge& c : charges) {
    const entry_key key = key_of(c);
    usage* const known = usage_.find(key);
    if (known != nullptr && report_one(key, *known)) (void)forget(key, *known);
  }
  constexpr int with_each_request = 4;
  for (int i = 0; i < with_each_request && usage_.size() > 0; ++i) {
    const entry_key key = usage_.oldest_key();
    if (!report_one(key, usage_.oldest())) return;
    if (!forget(key, usage_.oldest())) (void)usage_.find(key);  // the others are next
  }
}

/// True: there is nothing left to tell.
bool degraded_mode::report_one(const entry_key& key, usage& u) {
  if (u.units == 0 || forgotten(u.of->quota, u.units, options_.clock() - u.used_us)) return true;
  const charge used{.matched = u.of.get(), .subject = key.subject, .cost = u.units, .name = u.name};
  if (!calls_.send(operation::take_upto, {&used, 1})) return false;
  u.units = 0;
  return true;
}

/// False: the subject is still held to its share.
bool degraded_mode::forget(const entry_key& key, const usage& u) {
  if (options_.clock() < held_until_us(u)) return false;
  usage_.erase(key);
  return true;
}

}  // namespace weir::limiter
