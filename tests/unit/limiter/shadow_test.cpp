// SPDX-License-Identifier: Apache-2.0
// Rules that are only watched: mode shadow, and the keys outside enforce_percent.
#include "limiter/limiter.hpp"
#include "limiter/policy.hpp"
#include "sharing_fakes.hpp"

#include <doctest/doctest.h>
#include <set>
#include <string>
#include <vector>

using namespace weir::limiter;
using namespace weir::limiter::testing;

namespace {

quota per_second(std::int64_t limit) {
  return {.limit = limit, .period_us = second, .burst = limit};
}

charge of(const rule& r, bool shadow = false, int who = 1) {
  charge c{.matched = &r, .subject = subject(who)};
  c.shadow = shadow;
  return c;
}

std::int64_t remaining(process& p, const rule& r) {
  const charge c = of(r);
  store_reply reply;
  p.shared.table->execute(operation::peek, {&c, 1}, reply);
  return reply.states[0].remaining;
}

struct request final : pending_decision {
  void on_decision() override { ++decisions; }
  int decisions = 0;
};

struct house {
  explicit house(std::int64_t members = 1)
      : p(time), limiter(p.sharing, p.local_store, members, {.clock = [this] { return time.now_us; }}) {}
  const decision& decide(std::vector<charge> charges) {
    pending.charges.assign(charges.begin(), charges.end());
    limiter.decide(pending);
    return pending.result;
  }
  virtual_time time;
  process p;
  rate_limiter limiter;
  request pending;
};

}  // namespace

TEST_CASE("raising enforce_percent only adds keys, and every process agrees which") {
  rule r = make_rule(0, per_second(1));
  const auto enforced = [&](int percent) {
    r.enforce_percent = percent;
    std::set<int> keys;
    for (int key = 0; key < 2000; ++key) {
      if (!r.shadows(subject(key).view())) keys.insert(key);
    }
    return keys;
  };
  std::set<int> before = enforced(0);
  CHECK(before.empty());
  for (int percent = 1; percent <= 100; ++percent) {
    const std::set<int> now = enforced(percent);
    INFO("percent ", percent);
    CHECK(std::includes(now.begin(), now.end(), before.begin(), before.end()));
    CHECK(static_cast<int>(now.size()) > 2000 * percent / 100 - 120);  // of 2000 keys; sigma is 22 at most
    CHECK(static_cast<int>(now.size()) < 2000 * percent / 100 + 120);
    before = now;
  }
  CHECK(before.size() == 2000);
  // written down, so that no release picks other keys
  const rule_id rid = make_rule_id("org-tokens");
  CHECK(percentile_of(rid, "AAAAAAAAAAAAAAAAAAAAAA") == 75);
  CHECK(percentile_of(rid, "AAAAAAAAAAAAAAAAAAAAAB") == 52);
  CHECK(percentile_of(make_rule_id("other"), "AAAAAAAAAAAAAAAAAAAAAA") == 78);
}

TEST_CASE("a rule that is disabled charges nothing, one that is shadow marks its charges") {
  struct no_headers final : header_source {
    std::optional<std::string_view> header(std::string_view) const override { return std::nullopt; }
  } none;
  std::vector<rule> rules{make_rule(0, per_second(1)), make_rule(1, per_second(1)),
                          make_rule(2, per_second(1))};
  for (rule& r : rules) r.key = {parse_selector("client_ip").value()};
  rules[0].mode = rule_mode::disabled;
  rules[1].mode = rule_mode::shadow;
  const policy_set policy(rules);
  request_attributes attributes;
  attributes.client_ip = "192.0.2.1";
  attributes.headers = &none;
  std::string scratch;
  match_result result;
  policy.match(attributes, scratch, result);
  REQUIRE(result.charges.size() == 2);
  CHECK(result.charges[0].matched->name == "r1");
  CHECK(result.charges[0].shadow);
  CHECK_FALSE(result.charges[1].shadow);
  CHECK(modes_in_words(policy.rules()) == "3 rules: 1 enforced, 1 shadow, 1 disabled");
  CHECK(modes_in_words({rules[2]}) == "1 rule: 1 enforced, 0 shadow, 0 disabled");
}

TEST_CASE("a shadow rule is charged while it allows and never denies") {
  house h;
  const rule watched = make_rule(0, per_second(2));
  const rule enforced = make_rule(1, per_second(5));
  for (int i = 0; i < 2; ++i) {
    const decision& d = h.decide({of(watched, true), of(enforced)});
    CHECK(d.verdict == verdict::allow);
    CHECK(d.states[0].remaining == 1 - i);
  }
  for (int i = 0; i < 3; ++i) {
    const decision& d = h.decide({of(watched, true), of(enforced)});
    CHECK(d.verdict == verdict::shadow_deny);
    CHECK(d.admitted());
    CHECK(d.limiting == -1);
    CHECK(d.retry_after_us == 0);
    CHECK(d.shadow_denied == 1);
    CHECK(d.states[0].retry_after_us == 500'000);
    CHECK(d.states[1].remaining == 2 - i);
  }
  CHECK(remaining(h.p, watched) == 0);
  const decision& last = h.decide({of(watched, true), of(enforced)});
  CHECK(last.verdict == verdict::deny);
  CHECK(last.limiting == 1);
  CHECK(last.retry_after_us == 200'000);
  CHECK(last.shadow_denied == 1);
}

TEST_CASE("a shadow rule is not charged for a request that another rule denies") {
  house h;
  const rule watched = make_rule(0, per_second(10));
  const rule enforced = make_rule(1, per_second(1));
  CHECK(h.decide({of(watched, true), of(enforced)}).admitted());
  CHECK_FALSE(h.decide({of(watched, true), of(enforced)}).admitted());
  CHECK(remaining(h.p, watched) == 9);
}

TEST_CASE("what is remembered of a shadow rule denies nothing, and it is charged by every call") {
  house h;
  const rule watched = make_rule(0, per_second(1));
  CHECK(h.decide({of(watched, true)}).verdict == verdict::allow);
  for (int i = 0; i < 3; ++i) CHECK(h.decide({of(watched, true)}).verdict == verdict::shadow_deny);
  CHECK(h.p.shared.calls == 4);
  h.time.now_us += second;
  CHECK(h.decide({of(watched, true)}).verdict == verdict::allow);
}

TEST_CASE("a balanced shadow rule spends leased units and lets pass what finds none") {
  house h;
  const rule watched = make_rule(0, per_second(100), sharing_mode::balanced);
  int allowed = 0, over = 0;
  for (int i = 0; i < 250; ++i) {
    const decision& d = h.decide({of(watched, true)});
    REQUIRE(d.admitted());
    ++(d.verdict == verdict::allow ? allowed : over);
  }
  CHECK(allowed == 100);
  CHECK(over == 150);
  CHECK(h.p.shared.grants > 0);
  CHECK(h.p.shared.calls < 60);
}

TEST_CASE("units that a balanced shadow rule did not spend are not put back") {
  house h;
  const rule watched = make_rule(0, per_second(8), sharing_mode::balanced);
  const rule enforced = make_rule(1, {.limit = 1, .period_us = second, .burst = 40});
  for (int i = 0; i < 40; ++i) CHECK(h.decide({of(watched, true), of(enforced)}).admitted());
  for (int i = 0; i < 40; ++i) CHECK_FALSE(h.decide({of(watched, true), of(enforced)}).admitted());
  CHECK(h.decide({of(watched, true)}).verdict == verdict::shadow_deny);
}

TEST_CASE("a shadow rule of each process lets pass what its share denies") {
  house h;
  const rule watched = make_rule(0, per_second(2), sharing_mode::local);
  const rule enforced = make_rule(1, per_second(3), sharing_mode::local);
  for (int i = 0; i < 3; ++i) CHECK(h.decide({of(watched, true), of(enforced)}).admitted());
  CHECK(h.pending.result.verdict == verdict::shadow_deny);
  CHECK_FALSE(h.decide({of(watched, true), of(enforced)}).admitted());
  CHECK(h.p.shared.calls == 0);
}

TEST_CASE("without the store a shadow rule denies by no failure mode") {
  for (const failure_mode mode : {failure_mode::allow, failure_mode::deny, failure_mode::local}) {
    INFO("mode ", static_cast<int>(mode));
    house h;
    rule watched = make_rule(0, per_second(1));
    watched.failure_mode = mode;
    h.p.shared.down = errc::timeout;
    for (int i = 0; i < 3; ++i) CHECK(h.decide({of(watched, true)}).admitted());
    CHECK((h.pending.result.verdict == verdict::shadow_deny) == (mode == failure_mode::local));
  }
}

TEST_CASE("without the store a shadow rule takes nothing from what an enforced one does") {
  house h;
  rule watched = make_rule(0, per_second(1)), enforced = make_rule(1, per_second(2));
  h.p.shared.down = errc::timeout;
  CHECK(h.decide({of(watched, true), of(enforced)}).verdict == verdict::allow);
  CHECK(h.decide({of(watched, true), of(enforced)}).verdict == verdict::shadow_deny);
  CHECK(h.decide({of(watched, true), of(enforced)}).verdict == verdict::deny);
}

TEST_CASE("a shadow charge that was not taken is not settled") {
  house h;
  rule watched = make_rule(0, per_second(1));
  watched.count.codes = {401};
  CHECK(h.decide({of(watched, true)}).verdict == verdict::allow);
  CHECK(h.pending.take_permit().owes());
  const decision& over = h.decide({of(watched, true)});
  REQUIRE(over.verdict == verdict::shadow_deny);
  CHECK_FALSE(h.pending.take_permit().owes());
}
