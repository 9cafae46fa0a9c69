// SPDX-License-Identifier: Apache-2.0
#include "limiter/policy_change.hpp"

#include <doctest/doctest.h>

using namespace weir::limiter;

namespace {

rule make_rule(std::string name, std::vector<const char*> key = {"client_ip"}) {
  rule r;
  r.name = std::move(name);
  r.rid = make_rule_id(r.name);
  for (const char* selector : key) r.key.push_back(*parse_selector(selector));
  r.quota = {.limit = 10, .period_us = 1'000'000, .burst = 10};
  return r;
}

/// What becomes of a rule that is `after` instead of `before`.
rule_change change(const rule& before, const rule& after) {
  return compare_rules({before}, {after}).at(0);
}

}  // namespace

TEST_CASE("a rule that only moves in the file is kept") {
  rule moved = make_rule("a");
  moved.index = 7;
  CHECK(change(make_rule("a"), moved).fate == rule_fate::kept);
}

TEST_CASE("other numbers, costs and matches keep the state and are a change") {
  const rule before = make_rule("a");
  rule after = before;
  SUBCASE("limit") {
    after.quota.limit = 20;
  }
  SUBCASE("burst") {
    after.quota.burst = 20;
  }
  SUBCASE("period") {
    after.quota.period_us = 2'000'000;
  }
  SUBCASE("cost") {
    after.cost_default = 2;
  }
  SUBCASE("match") {
    after.match.paths = {"/x"};
  }
  SUBCASE("networks") {
    after.match.clients = address_set(std::vector<address_range>(1));
  }
  SUBCASE("failure_mode") {
    after.failure_mode = failure_mode::deny;
  }
  SUBCASE("fallback") {
    after.fallback = {*parse_selector("host")};
  }
  SUBCASE("a share of the store's units") {
    after.sharing = sharing_mode::balanced;
  }
  CHECK(change(before, after).fate == rule_fate::changed);
  CHECK(change(before, after).why.empty());
}

TEST_CASE("another algorithm, key or place of counting starts empty, and says why") {
  const rule before = make_rule("a");
  rule after = before;
  const char* why = "";
  SUBCASE("algorithm") {
    after.quota.algorithm = algorithm::sliding_window_log;
    why = "algorithm: token_bucket -> sliding_window_log";
  }
  SUBCASE("key") {
    after = make_rule("a", {"client_ip", "route"});
    why = "key: [client_ip] -> [client_ip, route]";
  }
  SUBCASE("place") {
    after.sharing = sharing_mode::local;
    why = "counted: in the store -> in each process";
  }
  CHECK(change(before, after).fate == rule_fate::reset);
  CHECK(change(before, after).why == why);
}

TEST_CASE("the order of the selectors is part of the key") {
  CHECK(change(make_rule("a", {"host", "route"}), make_rule("a", {"route", "host"})).fate ==
        rule_fate::reset);
}

TEST_CASE("windows of the epoch and of a calendar are two algorithms") {
  rule before = make_rule("a");
  before.quota.algorithm = algorithm::fixed_window;
  rule after = before;
  after.quota.calendar = calendar_unit::day;
  CHECK(change(before, after).fate == rule_fate::reset);
  CHECK(change(before, after).why ==
        "algorithm: fixed_window since the epoch -> fixed_window by the calendar");
}

TEST_CASE("a new name is a new rule and the old one is removed") {
  const auto changes = compare_rules({make_rule("a"), make_rule("b")}, {make_rule("c"), make_rule("b")});
  REQUIRE(changes.size() == 3);
  CHECK(changes[0].name == "c");
  CHECK(changes[0].fate == rule_fate::added);
  CHECK(changes[1].fate == rule_fate::kept);
  CHECK(changes[2].name == "a");
  CHECK(changes[2].fate == rule_fate::removed);
  CHECK(changes[2].after == nullptr);
}
