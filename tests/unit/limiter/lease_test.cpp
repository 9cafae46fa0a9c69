// SPDX-License-Identifier: Apache-2.0
#include "limiter/sharing/lease.hpp"

#include "sharing_fakes.hpp"

#include <doctest/doctest.h>
#include <memory>
#include <string>

using namespace weir::limiter;
using namespace weir::limiter::testing;

namespace {

const rule hot = make_rule(0, {.limit = 1000, .period_us = second, .burst = 1000}, sharing_mode::balanced);

/// `count` requests, one per `gap_us`, with maintenance; returns how many were allowed.
int run(process& p, const rule& r, int count, std::int64_t gap_us) {
  int allowed = 0;
  for (int i = 0; i < count; ++i) {
    p.time.now_us += gap_us;
    p.sharing.maintain();
    if (p.take(r).allowed()) ++allowed;
  }
  return allowed;
}

std::int64_t level(process& p, const rule& r) {  // units left in the store
  const charge c{.matched = &r, .subject = subject(1)};
  store_reply reply;
  p.shared.table->execute(operation::peek, {&c, 1}, reply);
  return reply.states[0].remaining;
}

}  // namespace

TEST_CASE("a lease is what one lease time needs, and at most a quarter of the burst") {
  const lease_tuning tuning;
  CHECK(lease_size(4.0, 1000, tuning) == 4);
  CHECK(lease_size(4.1, 1000, tuning) == 5);
  CHECK(lease_size(9999, 1000, tuning) == 250);
}

TEST_CASE("while plenty remains a grant is at most a quarter of it, else whatever is left") {
  const lease_tuning tuning;
  CHECK(units_to_ask(200, 0, 1, 1000, 1000, tuning) == 200);
  CHECK(units_to_ask(200, 0, 1, 400, 1000, tuning) == 100);
  CHECK(units_to_ask(200, 0, 150, 400, 1000, tuning) == 150);
  CHECK(units_to_ask(200, 0, 1, 250, 1000, tuning) == 200);
  CHECK(units_to_ask(200, 150, 1, 1000, 1000, tuning) == 50);
}

TEST_CASE("a store that is low is left alone for a lease time, longer when many share a slow limit") {
  const lease_tuning tuning;
  const quota fast{.limit = 30'000, .period_us = second, .burst = 30'000};
  const quota slow{.limit = 10, .period_us = second, .burst = 1000};
  CHECK(probe_pause_us(fast, 100, tuning) == 200'000);
  CHECK(probe_pause_us(slow, 100, tuning) == 3'333'333);
  CHECK(probe_pause_us(slow, 1, tuning) == 0);
}

TEST_CASE("only balanced rules with a unit for each member are leased, and no log") {
  const lease_tuning tuning;
  const auto can_lease = [](const rule& r, std::int64_t members, const lease_tuning& t) {
    return leasable({.matched = &r, .subject = {}}, members, t);
  };
  CHECK(can_lease(hot, 1000, tuning));
  CHECK(!can_lease(hot, 1001, tuning));
  CHECK(!can_lease(make_rule(0, hot.quota), 1, tuning));
  CHECK(!can_lease(make_rule(0, {.limit = 3, .period_us = second, .burst = 3}, sharing_mode::balanced), 1,
                   tuning));
  CHECK(!can_lease(
      make_rule(0,
                {.algorithm = algorithm::sliding_window_log, .limit = 100, .period_us = second, .burst = 100},
                sharing_mode::balanced),
      1, tuning));
  rule punishing = hot;
  punishing.penalty_us = second;
  CHECK(!can_lease(punishing, 1, tuning));
  const quota small{.limit = 3, .period_us = second, .burst = 3};
  CHECK(!leasable({.matched = &hot, .subject = {}, .special = &small}, 1, tuning));
}

TEST_CASE("a cold key is decided in the store, request by request") {
  virtual_time time;
  process p(time);
  CHECK(run(p, hot, 30, 100'000) == 30);  // 2 units per lease time
  CHECK(p.shared.calls == 30);
  CHECK(p.shared.grants == 0);
}

TEST_CASE("a hot key costs a few calls per lease time, and every unit is charged") {
  virtual_time time;
  process p(time);
  p.sharing.set_members(2);
  CHECK(run(p, hot, 2000, 2'000) == 2000);  // 100 units per lease time, 20 lease times
  CHECK(p.shared.calls < 120);
  time.now_us += 10 * second;
  p.sharing.maintain();
  CHECK(level(p, hot) == 1000);
}

TEST_CASE("a strict rule is never leased") {
  virtual_time time;
  process p(time);
  const rule strict = make_rule(0, hot.quota);
  CHECK(run(p, strict, 500, 2'000) == 500);
  CHECK(p.shared.calls == 500);
}

TEST_CASE("what idles for a lease time goes back") {
  virtual_time time;
  process p(time);
  const rule slow =
      make_rule(0, {.limit = 1, .period_us = 1000 * second, .burst = 1000}, sharing_mode::balanced);
  CHECK(run(p, slow, 100, 2'000) == 100);
  CHECK(level(p, slow) < 900);
  REQUIRE(p.sharing.next_wake_us() > 0);
  while (p.sharing.next_wake_us() >= 0) {
    time.now_us = p.sharing.next_wake_us();
    p.sharing.maintain();
  }
  CHECK(level(p, slow) == 900);
  CHECK(p.sharing.settled());
}

TEST_CASE("a reload and the end of the process give back every unit") {
  for (const bool end : {false, true}) {
    CAPTURE(end);
    virtual_time time;
    process p(time);
    const rule slow =
        make_rule(0, {.limit = 1, .period_us = 1000 * second, .burst = 1000}, sharing_mode::balanced);
    CHECK(run(p, slow, 100, 2'000) == 100);
    p.shared.at_once = false;
    end ? p.sharing.drain() : p.sharing.reload();
    CHECK(!p.sharing.settled());
    p.shared.deliver();
    CHECK(p.sharing.settled());
    CHECK(level(p, slow) == 900);
  }
}

TEST_CASE("after the end has begun every request is asked about") {
  virtual_time time;
  process p(time);
  run(p, hot, 100, 2'000);
  p.sharing.drain();
  const int before = p.shared.calls;
  CHECK(run(p, hot, 50, 1'000) == 50);
  CHECK(p.shared.calls == before + 50);
  CHECK(p.sharing.settled());
}

TEST_CASE("units debited here come back when another rule denies") {
  virtual_time time;
  process p(time);
  const rule slow =
      make_rule(0, {.limit = 1, .period_us = 1000 * second, .burst = 1000}, sharing_mode::balanced);
  rule tight = make_rule(1, {.limit = 1, .period_us = 1000 * second, .burst = 1});
  tight.count.classes[4] = true;
  CHECK(run(p, slow, 100, 2'000) == 100);
  const std::vector<charge> both{{.matched = &slow, .subject = subject(1)},
                                 {.matched = &tight, .subject = subject(2)}};
  CHECK(p.take(both).allowed());
  for (int i = 0; i < 20; ++i) {
    time.now_us += 101'000;  // the denial is not remembered for longer
    p.sharing.maintain();
    const answer denied = p.take(both);
    CHECK(!denied.allowed());
    CHECK(denied.reply.states[0].allowed);
  }
  p.sharing.drain();
  CHECK(level(p, slow) == 899);
}

TEST_CASE("requests wait for the grant under way, first come, first served") {
  virtual_time time;
  process p(time);
  const rule small =
      make_rule(0, {.limit = 1, .period_us = 1000 * second, .burst = 40}, sharing_mode::balanced);
  CHECK(run(p, small, 10, 2'000) == 10);
  p.sharing.reload();
  p.shared.at_once = false;
  std::vector<answer> answers(50);
  const charge c{.matched = &small, .subject = subject(1)};
  const int before = p.shared.grants;
  for (answer& a : answers) p.sharing.execute(operation::take, {&c, 1}, a);
  CHECK(p.shared.grants == before + 1);
  p.shared.deliver();
  int allowed = 0;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    CHECK(answers[i].answers == 1);
    if (answers[i].allowed()) ++allowed;
    CHECK(answers[i].allowed() == (i < 30));
  }
  CHECK(allowed == 30);
  CHECK(p.shared.grants < before + 12);
  CHECK(answers.back().reply.states[0].retry_after_us > 0);
  p.sharing.cancel(answers.back());  // nothing is known of it any more
}

TEST_CASE("a request that leaves while it waits gets nothing and costs nothing") {
  virtual_time time;
  process p(time);
  const rule small =
      make_rule(0, {.limit = 1, .period_us = 1000 * second, .burst = 40}, sharing_mode::balanced);
  run(p, small, 10, 2'000);
  p.sharing.reload();
  p.shared.at_once = false;
  answer a, b;
  const charge c{.matched = &small, .subject = subject(1)};
  p.sharing.execute(operation::take, {&c, 1}, a);
  p.sharing.execute(operation::take, {&c, 1}, b);
  p.sharing.cancel(a);
  p.shared.deliver();
  CHECK(a.answers == 0);
  CHECK(b.allowed());
  p.sharing.drain();
  p.shared.deliver();
  CHECK(level(p, small) == 29);
}

TEST_CASE("a store that is low is not probed by every request") {
  virtual_time time;
  process p(time);
  p.sharing.set_members(10);
  const rule busy = make_rule(0, {.limit = 100, .period_us = second, .burst = 100}, sharing_mode::balanced);
  run(p, busy, 2000, 1'000);  // ten times the limit
  const int before = p.shared.calls;
  const int allowed = run(p, busy, 10'000, 1'000);
  CHECK(p.shared.calls - before < 150);  // 10 s, 5 lease times each
  CHECK(allowed >= 950);
  CHECK(allowed <= 1100);
  const answer denied = p.take(busy);
  if (!denied.allowed()) CHECK(denied.reply.states[0].retry_after_us > 0);
}

TEST_CASE("a lost store fails who waits, and grants nothing") {
  virtual_time time;
  process p(time);
  run(p, hot, 100, 2'000);
  p.sharing.reload();
  p.shared.down = errc::closed;
  const answer a = p.take(hot);
  CHECK(a.answers == 1);
  CHECK(a.error == errc::closed);
  p.shared.down = errc::ok;
  CHECK(p.take(hot).allowed());
}

TEST_CASE("headers tell the last known state and the units held") {
  virtual_time time;
  process p(time);
  const rule slow =
      make_rule(0, {.limit = 1, .period_us = 1000 * second, .burst = 1000}, sharing_mode::balanced);
  run(p, slow, 100, 2'000);
  const answer a = p.take(slow);
  CHECK(a.reply.states[0].remaining == 899);
}

TEST_CASE("a share without a call: rate and burst by N in each process") {
  virtual_time time;
  process p(time);
  p.sharing.set_members(4);
  const rule own = make_rule(0, {.limit = 100, .period_us = second, .burst = 100}, sharing_mode::local);
  int allowed = 0;
  for (int i = 0; i < 100; ++i) allowed += p.take(own).allowed() ? 1 : 0;
  CHECK(allowed == 25);
  CHECK(run(p, own, 4000, 1'000) == 100);
  CHECK(p.shared.calls == 0);

  p.sharing.set_members(101);  // less than a unit each: as strict
  time.now_us += 10 * second;
  CHECK(p.take(own).allowed());
  CHECK(p.shared.calls == 1);
}

TEST_CASE("a local share comes back when the store denies") {
  virtual_time time;
  process p(time);
  p.sharing.set_members(2);
  const rule own = make_rule(0, {.limit = 1, .period_us = 1000 * second, .burst = 8}, sharing_mode::local);
  const rule tight = make_rule(1, {.limit = 1, .period_us = 1000 * second, .burst = 1});
  CHECK(p.take(tight, 2).allowed());
  p.sharing.forget_answers();
  for (int i = 0; i < 20; ++i) {
    p.sharing.forget_answers();
    CHECK(!p.take({{.matched = &own, .subject = subject(1)}, {.matched = &tight, .subject = subject(2)}})
               .allowed());
  }
  int allowed = 0;
  for (int i = 0; i < 10; ++i) allowed += p.take(own).allowed() ? 1 : 0;
  CHECK(allowed == 4);
}

TEST_CASE("a lease is asked for and given back under the readable name") {
  virtual_time time;
  process p(time);
  const charge named{
      .matched = &hot, .subject = subject(1), .name = std::make_shared<const std::string>("user=alice")};
  for (int i = 0; i < 100; ++i) {
    time.now_us += 1'000;
    CHECK(p.take({named}).allowed());
  }
  CHECK(p.shared.grants > 0);
  p.sharing.drain();
  CHECK(p.shared.refunds == 1);
  for (const std::string& name : p.shared.names) CHECK(name == "user=alice");
}
