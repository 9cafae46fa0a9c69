// SPDX-License-Identifier: Apache-2.0
// One rule's state under one algorithm, and the properties every algorithm has.
#pragma once

#include "limiter/algorithms/algorithm.hpp"

#include <cstdint>
#include <doctest/doctest.h>
#include <random>

namespace weir::tests {

using limiter::operation;
using limiter::rule_state;

constexpr std::int64_t epoch_us = 1'800'000'000'000'000;

/// A subject of one rule. Applies operations like a store that holds nothing else.
class single_rule {
 public:
  explicit single_rule(const limiter::quota& q) : quota_(q) {}

  void reload(const limiter::quota& q) { quota_ = q; }

  rule_state apply(operation op, std::int64_t cost, std::int64_t now_us) {
    const auto& functions = limiter::functions_of(quota_);
    const auto parameters = functions.to_parameters(quota_, now_us);
    const auto outcome = functions.evaluate(state_, parameters, op, cost, now_us);
    const bool commit = op != operation::peek && (outcome.allowed || op == operation::refund);
    rule_state answer;
    functions.conclude(state_, parameters, outcome, commit, now_us, answer);
    return answer;
  }

  rule_state take(std::int64_t cost, std::int64_t now_us) { return apply(operation::take, cost, now_us); }
  rule_state peek(std::int64_t cost, std::int64_t now_us) { return apply(operation::peek, cost, now_us); }
  rule_state refund(std::int64_t cost, std::int64_t now_us) { return apply(operation::refund, cost, now_us); }
  rule_state take_upto(std::int64_t cost, std::int64_t now_us) {
    return apply(operation::take_upto, cost, now_us);
  }
  /// What a peek of cost 1 tells of the state.
  rule_state look(std::int64_t now_us) { return peek(1, now_us); }

  [[nodiscard]] const limiter::stored_state& state() const { return state_; }
  [[nodiscard]] const limiter::quota& quota() const { return quota_; }

 private:
  limiter::quota quota_;
  limiter::stored_state state_;
};

inline bool same(const rule_state& a, const rule_state& b) {
  return a.allowed == b.allowed && a.remaining == b.remaining && a.retry_after_us == b.retry_after_us &&
         a.reset_after_us == b.reset_after_us && a.granted == b.granted;
}

/// Replays a random history; `seen(rule, now, random)` is called after every step of it.
template <class Quotas, class Visitor>
void random_history(Quotas make_quota, Visitor seen) {
  std::mt19937_64 random(20'260'101);
  for (int trial = 0; trial < 200; ++trial) {
    single_rule rule(make_quota(random));
    std::int64_t now_us = epoch_us + static_cast<std::int64_t>(random() % 1'000'000);
    for (int step = 0; step < 40; ++step) {
      const auto cost =
          static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(rule.quota().burst + 2));
      rule.apply(static_cast<operation>(random() % 4), cost, now_us);
      seen(rule, now_us, random);
      const auto most = static_cast<std::uint64_t>(rule.quota().period_us / rule.quota().limit * 3 + 2);
      now_us += static_cast<std::int64_t>(random() % most);
    }
  }
}

/// What holds after any history.
template <class Quotas>
void check_properties(Quotas make_quota) {
  SUBCASE("a peek changes nothing") {
    random_history(make_quota, [](single_rule& rule, std::int64_t now_us, auto& random) {
      const rule_state before = rule.look(now_us);
      rule.peek(static_cast<std::int64_t>(random() % 9), now_us);
      CHECK(same(rule.look(now_us), before));
    });
  }
  SUBCASE("a denied operation changes nothing") {
    random_history(make_quota, [](single_rule& rule, std::int64_t now_us, auto&) {
      const rule_state before = rule.look(now_us);
      const rule_state denied = rule.take(before.remaining + 1, now_us);
      CHECK_FALSE(denied.allowed);
      CHECK(denied.remaining == before.remaining);
      CHECK(same(rule.look(now_us), before));
    });
  }
  SUBCASE("a denied take is allowed after retry_after and not a microsecond before") {
    random_history(make_quota, [](single_rule& rule, std::int64_t now_us, auto&) {
      const std::int64_t cost = rule.look(now_us).remaining + 1;
      const std::int64_t wait = rule.peek(cost, now_us).retry_after_us;
      if (cost > rule.quota().burst) {
        CHECK(wait == -1);
        return;
      }
      REQUIRE(wait >= 1);
      CHECK(rule.peek(cost, now_us + wait).allowed);
      CHECK_FALSE(rule.peek(cost, now_us + wait - 1).allowed);
    });
  }
  SUBCASE("remaining is the largest cost that is allowed") {
    random_history(make_quota, [](single_rule& rule, std::int64_t now_us, auto&) {
      const std::int64_t remaining = rule.look(now_us).remaining;
      CHECK(rule.peek(remaining, now_us).allowed);
      CHECK_FALSE(rule.peek(remaining + 1, now_us).allowed);
    });
  }
  SUBCASE("reset_after is the time until the subject is as new") {
    random_history(make_quota, [](single_rule& rule, std::int64_t now_us, auto&) {
      const std::int64_t reset = rule.look(now_us).reset_after_us;
      CHECK(rule.look(now_us + reset).reset_after_us == 0);
      if (reset > 0) CHECK(rule.look(now_us + reset - 1).reset_after_us == 1);
      CHECK(rule.look(now_us + reset).remaining == rule.quota().burst);
    });
  }
  SUBCASE("a refund right after a take undoes it") {
    random_history(make_quota, [](single_rule& rule, std::int64_t now_us, auto&) {
      const rule_state before = rule.look(now_us);
      if (before.remaining == 0) return;
      CHECK(rule.take(before.remaining, now_us).allowed);
      rule.refund(before.remaining, now_us);
      CHECK(same(rule.look(now_us), before));
    });
  }
  SUBCASE("one take of n is n takes of one") {
    random_history(make_quota, [](single_rule& rule, std::int64_t now_us, auto&) {
      const std::int64_t n = rule.look(now_us).remaining;
      rule.take(n, now_us);
      const rule_state batched = rule.look(now_us);
      rule.refund(n, now_us);
      for (std::int64_t i = 0; i < n; ++i) CHECK(rule.take(1, now_us).allowed);
      CHECK(same(rule.look(now_us), batched));
    });
  }
  SUBCASE("take_upto grants what is left, at most what was asked") {
    random_history(make_quota, [](single_rule& rule, std::int64_t now_us, auto& random) {
      const std::int64_t left = rule.look(now_us).remaining;
      const auto asked = static_cast<std::int64_t>(random() % 9);
      const rule_state got = rule.take_upto(asked, now_us);
      CHECK(got.granted == std::min(asked, left));
      CHECK(got.remaining == left - got.granted);
      CHECK(got.allowed == (got.granted > 0 || asked == 0));
    });
  }
}

}  // namespace weir::tests
