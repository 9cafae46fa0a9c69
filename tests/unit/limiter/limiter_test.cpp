// SPDX-License-Identifier: Apache-2.0
#include "limiter/limiter.hpp"

#include <doctest/doctest.h>
#include <vector>

using namespace weir::limiter;

namespace {

/// Answers with what it was told, at once or when asked to.
class fake_store final : public store {
 public:
  void execute(operation op, std::span<const charge> charges, store_waiter& waiter) override {
    if (op == operation::refund) {
      given_back.assign(charges.begin(), charges.end());
      given_back_rules.clear();
      for (const charge& c : charges) given_back_rules.push_back(c.matched->name);
      return waiter.on_store_reply(errc::ok, {});
    }
    ++calls;
    if (op == operation::take) ++takes;
    last_operation = op;
    last_charges.assign(charges.begin(), charges.end());
    last_rules.clear();
    for (const charge& c : charges) last_rules.push_back(*c.matched);
    waiting = &waiter;
    if (!later) answer();
  }
  void cancel(store_waiter& waiter) noexcept override { cancelled = &waiter; }
  [[nodiscard]] bool available() const noexcept override { return error == errc::ok; }

  void answer() {
    store_reply reply;
    if (error == errc::ok) reply.states.assign(states.begin(), states.end());
    reply.failures.assign(failures.begin(), failures.end());
    waiting->on_store_reply(error, reply);
  }

  errc error = errc::ok;
  std::vector<rule_state> states;
  std::vector<errc> failures;
  bool later = false;

  int calls = 0;
  int takes = 0;
  operation last_operation = operation::peek;
  std::vector<charge> last_charges;
  std::vector<charge> given_back;
  std::vector<std::string> given_back_rules;
  std::vector<rule> last_rules;
  store_waiter* waiting = nullptr;
  store_waiter* cancelled = nullptr;
};

struct request final : pending_decision {
  void on_decision() override { ++decisions; }
  int decisions = 0;
};

rule make_rule(std::uint32_t index, failure_mode mode,
               quota q = {.limit = 10, .period_us = 1'000'000, .burst = 10}) {
  rule r;
  r.name = "r" + std::to_string(index);
  r.rid = make_rule_id(r.name);
  r.index = index;
  r.quota = q;
  r.failure_mode = mode;
  return r;
}

rule_state allowed(std::int64_t remaining) {
  return {.remaining = remaining};
}
rule_state denied(std::int64_t retry_after_us) {
  return {.allowed = false, .retry_after_us = retry_after_us};
}

struct house {
  explicit house(std::int64_t replicas = 1) : limiter(primary, local, replicas) {}

  void decide(const std::vector<const rule*>& rules) {
    pending.charges.clear();
    for (const rule* r : rules) pending.charges.push_back({.matched = r, .subject = {}, .cost = 1});
    limiter.decide(pending);
  }
  [[nodiscard]] const decision& result() const { return pending.result; }

  fake_store primary;
  fake_store local;
  rate_limiter limiter;
  request pending;
};

const rule allow_rule = make_rule(0, failure_mode::allow);
const rule deny_rule = make_rule(1, failure_mode::deny);
const rule local_rule = make_rule(2, failure_mode::local);

}  // namespace

TEST_CASE("a request without charges is allowed without the store") {
  house h;
  h.decide({});
  CHECK(h.pending.decisions == 1);
  CHECK(h.result().verdict == verdict::allow);
  CHECK(h.result().reason == decision_reason::within_limits);
  CHECK(h.primary.calls == 0);
}

TEST_CASE("all charges are taken in one call") {
  house h;
  h.primary.states = {allowed(4), allowed(7)};
  h.decide({&allow_rule, &deny_rule});
  CHECK(h.primary.calls == 1);
  CHECK(h.primary.last_operation == operation::take);
  CHECK(h.primary.last_charges.size() == 2);
  CHECK(h.result().verdict == verdict::allow);
  CHECK(h.result().reason == decision_reason::within_limits);
  CHECK(h.result().failure == errc::ok);
  CHECK(h.result().limiting == -1);
  REQUIRE(h.result().states.size() == 2);
  CHECK(h.result().states[1].remaining == 7);
  (void)h.pending.take_permit();
}

TEST_CASE("the longest wait of the denying rules limits") {
  house h;
  h.primary.states = {denied(5), allowed(9), denied(70), denied(70)};
  h.decide({&local_rule, &local_rule, &local_rule, &local_rule});
  CHECK(h.result().verdict == verdict::deny);
  CHECK(h.result().reason == decision_reason::over_limit);
  CHECK(h.result().limiting == 2);
  CHECK(h.result().retry_after_us == 70);
  CHECK(h.result().states.size() == 4);
}

TEST_CASE("a cost above the capacity wins over every wait") {
  house h;
  h.primary.states = {denied(70), denied(-1), denied(-1), denied(90)};
  h.decide({&local_rule, &local_rule, &local_rule, &local_rule});
  CHECK(h.result().reason == decision_reason::cost_exceeds_capacity);
  CHECK(h.result().limiting == 1);
  CHECK(h.result().retry_after_us == -1);
}

TEST_CASE("a rule that never lets through limits even when it comes first") {
  house h;
  h.primary.states = {denied(-1), denied(90)};
  h.decide({&local_rule, &local_rule});
  CHECK(h.result().limiting == 0);
  CHECK(h.result().retry_after_us == -1);
}

TEST_CASE("nothing of an earlier decision shines through") {
  house h;
  h.primary.states = {denied(70)};
  h.decide({&local_rule});
  h.primary.states = {allowed(1)};
  h.decide({&local_rule});
  CHECK(h.result().verdict == verdict::allow);
  CHECK(h.result().limiting == -1);
  CHECK(h.result().retry_after_us == 0);
  h.primary.error = errc::timeout;
  h.decide({&allow_rule});
  CHECK(h.result().states.empty());
}

TEST_CASE("failure mode allow lets the request pass and names the failure") {
  house h;
  h.primary.error = errc::timeout;
  h.decide({&allow_rule});
  CHECK(h.pending.decisions == 1);
  CHECK(h.result().verdict == verdict::allow);
  CHECK(h.result().reason == decision_reason::store_failed);
  CHECK(h.result().failure == errc::timeout);
  CHECK(h.result().mode == failure_mode::allow);
  CHECK(h.result().states.empty());
  CHECK(h.local.calls == 0);
}

TEST_CASE("failure mode deny denies, whatever the other rules say") {
  house h;
  h.primary.error = errc::refused;
  h.decide({&allow_rule, &local_rule, &deny_rule});
  CHECK(h.result().verdict == verdict::deny);
  CHECK(h.result().reason == decision_reason::store_failed);
  CHECK(h.result().failure == errc::refused);
  CHECK(h.result().mode == failure_mode::deny);
  CHECK(h.result().limiting == 2);
  CHECK(h.result().states.empty());
  CHECK(h.local.calls == 0);
}

TEST_CASE("failure mode local asks the local store for the local rules together") {
  house h;
  h.primary.error = errc::closed;
  h.local.states = {denied(30), denied(40)};
  const rule other = make_rule(3, failure_mode::local);
  h.decide({&local_rule, &allow_rule, &other});
  CHECK(h.local.takes == 1);
  CHECK(h.local.last_operation == operation::take);
  CHECK(h.local.last_charges.size() == 2);
  CHECK(h.result().verdict == verdict::deny);
  CHECK(h.result().reason == decision_reason::over_limit);
  CHECK(h.result().failure == errc::closed);
  CHECK(h.result().mode == failure_mode::local);
  CHECK(h.result().limiting == 2);
  CHECK(h.result().retry_after_us == 40);
  REQUIRE(h.result().states.size() == 3);
  CHECK(h.result().states[1].allowed);
  CHECK_FALSE(h.result().states[1].known());
}

TEST_CASE("a local decision that allows is within limits and still names the failure") {
  house h;
  h.primary.error = errc::oom;
  h.local.states = {allowed(3)};
  h.decide({&local_rule});
  CHECK(h.result().verdict == verdict::allow);
  CHECK(h.result().reason == decision_reason::within_limits);
  CHECK(h.result().failure == errc::oom);
  CHECK(h.result().mode == failure_mode::local);
}

TEST_CASE("a local store that fails too lifts no limit") {
  house h;
  h.primary.error = errc::timeout;
  h.local.error = errc::overloaded;
  h.decide({&local_rule});
  CHECK(h.result().verdict == verdict::deny);
  CHECK(h.result().reason == decision_reason::store_failed);
  CHECK(h.result().failure == errc::timeout);
}

TEST_CASE("one replica decides locally by the whole rule") {
  house h(1);
  h.primary.error = errc::timeout;
  h.local.states = {allowed(3)};
  h.decide({&local_rule});
  CHECK(h.local.last_rules[0].quota == local_rule.quota);
  CHECK(h.local.last_charges[0].cost == 1);
}

TEST_CASE("several replicas decide locally by their share, also after a reload") {
  house h(4);
  h.primary.error = errc::timeout;
  h.local.states = {allowed(3)};
  h.decide({&local_rule});
  CHECK(h.local.last_rules[0].quota == part_of(local_rule.quota, 4).quota);
  CHECK(h.local.last_rules[0].rid == local_rule.rid);
  const rule* const share = h.local.last_charges[0].matched;

  // nothing changed: the share is kept
  h.decide({&local_rule});
  CHECK(h.local.last_charges[0].matched == share);

  // another rule, or another quota, at the same index
  rule changed =
      make_rule(local_rule.index, failure_mode::local, {.limit = 80, .period_us = 1'000'000, .burst = 40});
  h.decide({&changed});
  CHECK(h.local.last_rules[0].quota == part_of(changed.quota, 4).quota);
  changed.name = "renamed";
  changed.rid = make_rule_id(changed.name);
  h.decide({&changed});
  CHECK(h.local.last_rules[0].rid == changed.rid);
  CHECK(h.local.last_rules[0].name == "renamed");

  // shares made earlier in one decision stay where they are while later ones are made
  const rule far = make_rule(500, failure_mode::local);
  h.local.states = {allowed(3), allowed(3)};
  h.decide({&changed, &far});
  CHECK(h.local.last_rules[0].rid == changed.rid);
  CHECK(h.local.last_rules[1].rid == far.rid);
}

TEST_CASE("an answer may come later") {
  house h;
  h.primary.later = true;
  h.primary.states = {allowed(1)};
  h.decide({&local_rule});
  CHECK(h.pending.decisions == 0);
  h.primary.answer();
  CHECK(h.pending.decisions == 1);
}

TEST_CASE("a caller that leaves is forgotten by the store") {
  house h;
  h.primary.later = true;
  h.decide({&local_rule});
  h.limiter.cancel(h.pending);
  CHECK(h.primary.cancelled == h.primary.waiting);
}

TEST_CASE("rules whose part of the store is silent decide by their own failure mode") {
  const rule strict = make_rule(0, failure_mode::deny);
  const rule open = make_rule(1, failure_mode::allow);
  house h;
  h.primary.states = {allowed(4), {}};
  h.primary.failures = {errc::ok, errc::timeout};
  h.decide({&strict, &open});
  CHECK(h.result().verdict == verdict::allow);
  CHECK(h.result().failure == errc::timeout);
  CHECK(h.result().failed == 2);
  REQUIRE(h.result().states.size() == 2);
  CHECK(h.result().states[0].remaining == 4);
  CHECK_FALSE(h.result().states[1].known());
  CHECK(h.primary.given_back.empty());
}

TEST_CASE("a silent rule that denies gives back what the others took") {
  const rule strict = make_rule(0, failure_mode::deny);
  const rule open = make_rule(1, failure_mode::allow);
  house h;
  h.primary.states = {allowed(4), {}};
  h.primary.failures = {errc::ok, errc::closed};
  h.decide({&open, &strict});
  CHECK(h.result().verdict == verdict::deny);
  CHECK(h.result().mode == failure_mode::deny);
  CHECK(h.result().limiting == 1);
  REQUIRE(h.primary.given_back.size() == 1);
  CHECK(h.primary.given_back_rules[0] == open.name);
  CHECK(h.pending.charges.size() == 2);
}

TEST_CASE("a silent rule that counts in this process is asked alone, and its denial gives back, too") {
  const rule mine = make_rule(0, failure_mode::local);
  const rule other = make_rule(1, failure_mode::local);
  house h;
  h.primary.states = {{}, allowed(4)};
  h.primary.failures = {errc::timeout, errc::ok};
  h.local.states = {denied(300)};
  h.decide({&mine, &other});
  CHECK(h.local.last_charges.size() == 1);
  CHECK(h.result().verdict == verdict::deny);
  CHECK(h.result().limiting == 0);
  CHECK(h.result().retry_after_us == 300);
  REQUIRE(h.result().states.size() == 2);
  CHECK_FALSE(h.result().states[0].allowed);
  CHECK(h.result().states[1].remaining == 5);
  CHECK(h.primary.given_back.size() == 1);
}

TEST_CASE("a denial beside a silent rule is the store's own and gives nothing back again") {
  const rule strict = make_rule(0, failure_mode::deny);
  const rule open = make_rule(1, failure_mode::allow);
  house h;
  h.primary.states = {{}, denied(700)};
  h.primary.failures = {errc::timeout, errc::ok};
  h.decide({&strict, &open});
  CHECK(h.result().verdict == verdict::deny);
  CHECK(h.result().reason == decision_reason::over_limit);
  CHECK(h.result().retry_after_us == 700);
  CHECK(h.result().limiting == 1);
  CHECK(h.primary.given_back.empty());
}
