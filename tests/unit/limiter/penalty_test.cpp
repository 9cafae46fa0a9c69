// SPDX-License-Identifier: Apache-2.0
#include "limiter/penalty.hpp"

#include "limiter/time_zone.hpp"
#include "sharing_fakes.hpp"

#include <doctest/doctest.h>
#include <vector>

using namespace weir::limiter;
using namespace weir::limiter::testing;

namespace {

constexpr std::int64_t minute = 60 * second;

rule punishing(quota q, std::int64_t penalty_us) {
  rule r = make_rule(0, q);
  r.penalty_us = penalty_us;
  return r;
}

charge of(const rule& r, std::int64_t cost = 1, int who = 1) {
  return {.matched = &r, .subject = subject(who), .cost = cost};
}

/// A memory table on a clock the test sets.
struct table {
  rule_state execute(operation op, const charge& c) {
    store_reply reply;
    data.execute(op, {&c, 1}, reply);
    return reply.states.front();
  }
  rule_state take(const rule& r, std::int64_t cost = 1, int who = 1) {
    return execute(operation::take, of(r, cost, who));
  }
  std::int64_t now_us = start_us;
  memory_table data{{.max_keys = 100'000, .shards = 1, .clock = [this] { return now_us; }}};
};

const quota two{.limit = 2, .period_us = second, .burst = 2};

}  // namespace

TEST_CASE("the first denial blocks the key for exactly the penalty, later ones do not prolong it") {
  table t;
  const rule r = punishing(two, minute);
  CHECK(t.take(r).allowed);
  CHECK(t.take(r).remaining == 0);
  const rule_state first = t.take(r);
  CHECK_FALSE(first.allowed);
  CHECK(first.retry_after_us == minute);
  CHECK(first.remaining == 0);
  CHECK(first.reset_after_us == minute);
  for (int i = 1; i < 6; ++i) {
    t.now_us += 10 * second - (i == 5 ? 1 : 0);
    const rule_state again = t.take(r);
    INFO("after ", t.now_us - start_us);
    CHECK_FALSE(again.allowed);
    CHECK(again.remaining == 0);
    CHECK(again.retry_after_us == start_us + minute - t.now_us);
  }
  t.now_us = start_us + minute - 1;
  CHECK(t.take(r).retry_after_us == 1);
  t.now_us += 1;
  const rule_state free = t.take(r);
  CHECK(free.allowed);
  CHECK(free.remaining == 1);
  CHECK(t.take(r).allowed);
  CHECK(t.take(r).retry_after_us == minute);  // the next first denial
}

TEST_CASE(
    "a client that waits what it is told is admitted, also when the limit takes longer than the penalty") {
  table t;
  const rule r = punishing({.limit = 1, .period_us = minute, .burst = 1}, 5 * second);
  CHECK(t.take(r).allowed);
  const rule_state denied = t.take(r);
  CHECK(denied.retry_after_us == minute);
  t.now_us += 2 * second;
  CHECK(t.take(r).retry_after_us == minute - 2 * second);
  t.now_us += minute - 2 * second;
  CHECK(t.take(r).allowed);
}

TEST_CASE("every algorithm of rules can punish") {
  const std::vector<quota> quotas{
      two,
      {.algorithm = algorithm::fixed_window, .limit = 2, .period_us = second, .burst = 2},
      {.algorithm = algorithm::sliding_window_counter, .limit = 2, .period_us = second, .burst = 2},
      {.algorithm = algorithm::sliding_window_log, .limit = 2, .period_us = second, .burst = 2},
      {.algorithm = algorithm::fixed_window,
       .limit = 2,
       .period_us = 24 * 60 * minute,
       .burst = 2,
       .calendar = calendar_unit::day,
       .zone = find_time_zone("UTC")}};
  for (const quota& q : quotas) {
    INFO("algorithm ", static_cast<int>(q.algorithm));
    table t;
    const rule r = punishing(q, 48 * 60 * minute);
    CHECK(t.take(r).allowed);
    CHECK(t.take(r).allowed);
    CHECK(t.take(r).retry_after_us == 48 * 60 * minute);
    t.now_us += 48 * 60 * minute - 1;
    CHECK(t.take(r).retry_after_us == 1);
    t.now_us += 1;
    CHECK(t.take(r).allowed);
  }
}

TEST_CASE("a peek tells of the block and begins none") {
  table t;
  const rule r = punishing(two, minute);
  t.take(r, 2);
  const rule_state asked = t.execute(operation::peek, of(r));
  CHECK(asked.retry_after_us == minute);  // what a take would be told
  CHECK(asked.reset_after_us == second);  // as it is
  t.now_us += second;
  CHECK(t.execute(operation::peek, of(r)).allowed);
  t.take(r, 2);
  t.take(r);
  CHECK(t.execute(operation::peek, of(r)).remaining == 0);
  CHECK(t.execute(operation::peek, of(r)).reset_after_us == minute);
}

TEST_CASE("what costs nothing passes a block, and what no wait helps begins none") {
  table t;
  const rule r = punishing(two, minute);
  CHECK(t.take(r, 3).retry_after_us == -1);
  CHECK(t.take(r, 2).allowed);
  CHECK(t.take(r).retry_after_us == minute);
  CHECK(t.take(r, 0).allowed);
  CHECK(t.take(r, 3).retry_after_us == -1);
}

TEST_CASE("units given back do not end a block") {
  table t;
  const rule r = punishing(two, minute);
  t.take(r, 2);
  t.take(r);
  CHECK(t.execute(operation::refund, of(r, 2)).remaining == 2);
  CHECK(t.take(r).retry_after_us == minute);
}

TEST_CASE(
    "a block that lies beyond the penalty is shortened to it: the clock went back, or the policy changed") {
  table t;
  const rule longer = punishing(two, minute), shorter = punishing(two, 10 * second);
  t.take(longer, 2);
  t.take(longer);
  CHECK(t.take(shorter).retry_after_us == 10 * second);
  t.now_us += 10 * second;
  CHECK(t.take(longer).allowed);  // it was stored so
}

TEST_CASE("a reload that drops and brings back the penalty keeps the block") {
  table t;
  const rule r = punishing(two, minute), plain = make_rule(0, two);
  t.take(r, 2);
  t.take(r);
  t.now_us += second;
  CHECK(t.take(plain).allowed);
  CHECK(t.take(r).retry_after_us == minute - second);
}

TEST_CASE("only the rule that denies punishes, and whoever else was asked is not charged") {
  table t;
  const rule r = punishing(two, minute);
  rule other = make_rule(1, {.limit = 1, .period_us = second, .burst = 1});
  other.penalty_us = minute;
  const auto both = [&] {
    const std::vector<charge> charges{of(r), of(other)};
    store_reply reply;
    t.data.execute(operation::take, charges, reply);
    return reply;
  };
  CHECK(both().admitted == 1);
  const store_reply denied = both();
  CHECK(denied.states[0].allowed);
  CHECK(denied.states[0].remaining == 1);
  CHECK(denied.states[1].retry_after_us == minute);
  CHECK(t.take(r).allowed);
}

TEST_CASE("a shadow rule tells what its penalty would do") {
  table t;
  const rule r = punishing(two, minute);
  charge c = of(r, 2);
  c.shadow = true;
  CHECK(t.execute(operation::take, c).allowed);
  CHECK(t.execute(operation::take, c).retry_after_us == minute);
  t.now_us += 2 * second;
  const rule_state blocked = t.execute(operation::take, c);
  CHECK(blocked.retry_after_us == minute - 2 * second);
  CHECK(t.execute(operation::take_upto, of(r)).remaining == 1);  // it was not charged meanwhile
}

TEST_CASE("a full table keeps a block: new keys do not free it") {
  std::int64_t now_us = start_us;
  memory_table data({.max_keys = 256, .shards = 1, .clock = [&] { return now_us; }});
  const rule r = punishing(two, minute);
  const auto take = [&](int who, std::int64_t cost) {
    const charge c = of(r, cost, who);
    store_reply reply;
    data.execute(operation::take, {&c, 1}, reply);
    return reply.states.front();
  };
  take(1, 2);
  CHECK_FALSE(take(1, 1).allowed);
  now_us += 2 * second;
  for (int who = 2; who < 5000; ++who) take(who, 1);
  CHECK(take(1, 1).retry_after_us == minute - 2 * second);
}

TEST_CASE("a table of blocked keys stays within twice its bound") {
  std::int64_t now_us = start_us;
  memory_table data({.max_keys = 256, .shards = 1, .clock = [&] { return now_us; }});
  const rule r = punishing(two, 24 * 60 * minute);
  for (int who = 0; who < 5000; ++who) {
    const charge c = of(r, 2, who);
    store_reply reply;
    for (int i = 0; i < 2; ++i) data.execute(operation::take, {&c, 1}, reply);
    if (who % 100 == 0) now_us += 2 * second;
  }
  CHECK(data.keys() <= 513);  // the shared bucket of those without a place is one
}

TEST_CASE("a block is answered from memory, and the denial that begins it never is") {
  virtual_time time;
  process p(time);
  const rule r = punishing(two, minute);
  CHECK(p.take(r, 1, 2).allowed());
  CHECK_FALSE(p.take(r).allowed());
  CHECK(p.shared.calls == 2);
  time.now_us += 30 * second;
  const answer again = p.take(r);
  CHECK_FALSE(again.allowed());
  CHECK(again.reply.states[0].retry_after_us == 30 * second);
  CHECK(again.reply.states[0].remaining == 0);
  CHECK(p.shared.calls == 2);
  time.now_us += 30 * second;
  CHECK(p.take(r).allowed());
  CHECK(p.shared.calls == 3);
}

TEST_CASE("without the store a penalty is kept by the share of this process") {
  virtual_time time;
  process p(time);
  rule r = punishing(two, minute);
  r.sharing = sharing_mode::local;
  CHECK(p.take(r, 1, 2).allowed());
  CHECK(p.take(r).reply.states[0].retry_after_us == minute);
  time.now_us += 2 * second;
  CHECK(p.take(r).reply.states[0].retry_after_us == minute - 2 * second);
}
