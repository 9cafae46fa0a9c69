// SPDX-License-Identifier: Apache-2.0
#include "limiter/sharing/denial_cache.hpp"

#include "sharing_fakes.hpp"

#include <doctest/doctest.h>

using namespace weir::limiter;
using namespace weir::limiter::testing;

TEST_CASE("a denied subject is denied again without a call, and let through when it waited") {
  virtual_time time;
  process p(time);
  const rule r = make_rule(0, {.limit = 10, .period_us = second, .burst = 3});
  for (int i = 0; i < 3; ++i) CHECK(p.take(r).allowed());
  CHECK(p.shared.calls == 3);

  const answer first = p.take(r);  // the third answer told that nothing remains
  CHECK(p.shared.calls == 3);
  CHECK(!first.allowed());
  CHECK(first.reply.states[0].retry_after_us == 100'000);
  CHECK(first.reply.states[0].remaining == 0);
  CHECK(first.reply.states[0].reset_after_us == 300'000);
  time.now_us += 99'999;
  CHECK(!p.take(r).allowed());
  CHECK(p.shared.calls == 3);
  time.now_us += 1;
  CHECK(p.take(r).allowed());
  CHECK(p.shared.calls == 4);
}

TEST_CASE("a remembered level answers every cost") {
  virtual_time time;
  process p(time);
  const rule r = make_rule(0, {.limit = 10, .period_us = second, .burst = 10});
  CHECK(p.take(r, 1, 7).allowed());
  const answer five = p.take(r, 1, 5);
  CHECK(!five.allowed());
  CHECK(five.reply.states[0].retry_after_us == 200'000);
  CHECK(five.reply.states[0].remaining == 3);
  CHECK(p.shared.calls == 1);
  CHECK(p.take(r, 1, 11).reply.states[0].retry_after_us == -1);
  CHECK(p.take(r, 1, 3).allowed());
  CHECK(p.shared.calls == 2);
}

TEST_CASE("the time on the wire makes the wait longer, never shorter") {
  virtual_time time;
  process p(time);
  p.shared.at_once = false;
  const rule r = make_rule(0, {.limit = 10, .period_us = second, .burst = 1});
  const charge c{.matched = &r, .subject = subject(1)};
  answer a;
  p.sharing.execute(operation::take, {&c, 1}, a);
  time.now_us += 300;  // on the way there
  p.shared.deliver();
  time.now_us += 200;
  CHECK(a.allowed());
  // the answer came at once after the decision: sent 300 us before it
  const answer denied = p.take(r);
  CHECK(!denied.allowed());
  CHECK(denied.reply.states[0].retry_after_us == 100'000 - 500 + 300);
}

TEST_CASE("a window denies what it denied, until then") {
  denial_cache cache(8, 1);
  const rule r =
      make_rule(0, {.algorithm = algorithm::sliding_window_log, .limit = 5, .period_us = second, .burst = 5});
  charge c{.matched = &r, .subject = subject(1), .cost = 3};
  cache.learn(c, operation::take, {.allowed = false, .remaining = 2, .retry_after_us = 1000},
              {.sent_us = 50, .received_us = 70, .store_now_us = 1}, denial_cache::longest_life_us);
  REQUIRE(cache.ask(c, 70));
  CHECK(!cache.ask(c, 70)->allowed);
  CHECK(cache.ask(c, 70)->retry_after_us == 1000);
  CHECK(!cache.ask(c, 1050));
  c.cost = 2;
  CHECK(!cache.ask(c, 70));
  c.cost = 5;
  CHECK(!cache.ask(c, 1049)->allowed);
  cache.learn(c, operation::take, {.remaining = 0}, {.sent_us = 80, .received_us = 90, .store_now_us = 2},
              denial_cache::longest_life_us);
  CHECK(!cache.ask(c, 100));
}

TEST_CASE("the answer with the newest clock of the store wins") {
  denial_cache cache(8, 1);
  const rule r = make_rule(0, {.limit = 1, .period_us = second, .burst = 10});
  const charge c{.matched = &r, .subject = subject(1)};
  const auto learn = [&](std::int64_t used_units, std::int64_t store_now_us) {
    cache.learn(c, operation::take, {.remaining = 10 - used_units, .used = used_units * second},
                {.sent_us = 100, .received_us = 100, .store_now_us = store_now_us},
                denial_cache::longest_life_us);
  };
  learn(10, 20);
  learn(9, 19);
  CHECK(cache.ask(c, 100)->remaining == 0);
  learn(8, 21);
  CHECK(cache.ask(c, 100)->remaining == 2);
}

TEST_CASE("an answer lives for a minute, and shorter where units may come back") {
  virtual_time time;
  process p(time);
  rule slow = make_rule(0, {.limit = 1, .period_us = 3600 * second, .burst = 1});
  CHECK(p.take(slow).allowed());
  time.now_us += 60 * second - 1;
  CHECK(!p.take(slow).allowed());
  CHECK(p.shared.calls == 1);
  time.now_us += 1;
  CHECK(!p.take(slow).allowed());
  CHECK(p.shared.calls == 2);

  slow.count.classes[4] = true;  // refunded by status
  CHECK(!p.take(slow, 1).allowed());
  time.now_us += 70 * second;
  CHECK(!p.take(slow, 1).allowed());
  CHECK(p.shared.calls == 3);
  time.now_us += 99'999;
  CHECK(!p.take(slow, 1).allowed());
  CHECK(p.shared.calls == 3);
  time.now_us += 1;
  CHECK(!p.take(slow, 1).allowed());
  CHECK(p.shared.calls == 4);
}

TEST_CASE("a group over several slots is remembered for a tenth of a second") {
  virtual_time time;
  process p(time, {.several_slots = true});
  const rule a = make_rule(0, {.limit = 1, .period_us = 3600 * second, .burst = 1});
  const rule b = make_rule(1, {.limit = 100, .period_us = second, .burst = 100});
  const std::vector<charge> both{{.matched = &a, .subject = subject(1)},
                                 {.matched = &b, .subject = subject(2)}};
  CHECK(p.take(both).allowed());
  time.now_us += 99'999;
  CHECK(!p.take(both).allowed());
  CHECK(p.shared.calls == 1);
  time.now_us += 1;
  CHECK(!p.take(both).allowed());
  CHECK(p.shared.calls == 2);
}

TEST_CASE("a denial from memory tells what is known of every rule and consumes nothing") {
  virtual_time time;
  process p(time);
  const rule tight = make_rule(0, {.limit = 1, .period_us = second, .burst = 1});
  const rule wide = make_rule(1, {.limit = 10, .period_us = second, .burst = 10});
  const rule unknown = make_rule(2, {.limit = 7, .period_us = second, .burst = 7});
  const auto charges = [&] {
    return std::vector<charge>{{.matched = &wide, .subject = subject(1)},
                               {.matched = &tight, .subject = subject(2)},
                               {.matched = &unknown, .subject = subject(3)}};
  };
  CHECK(p.take({charges()[0], charges()[1]}).allowed());
  const answer denied = p.take(charges());
  CHECK(p.shared.calls == 1);
  REQUIRE(denied.reply.states.size() == 3);
  CHECK(denied.reply.states[0].allowed);
  CHECK(denied.reply.states[0].remaining == 9);
  CHECK(!denied.reply.states[1].allowed);
  CHECK(denied.reply.states[1].retry_after_us == second);
  CHECK(denied.reply.states[2].allowed);
  CHECK_FALSE(denied.reply.states[2].known());
}

TEST_CASE("a reload and a reset forget what was known") {
  virtual_time time;
  process p(time);
  const rule r = make_rule(0, {.limit = 1, .period_us = 100 * second, .burst = 1});
  CHECK(p.take(r).allowed());
  CHECK(!p.take(r).allowed());
  CHECK(p.shared.calls == 1);
  p.sharing.reload();
  CHECK(!p.take(r).allowed());
  CHECK(p.shared.calls == 2);
  p.sharing.forget_answers();
  CHECK(!p.take(r).allowed());
  CHECK(p.shared.calls == 3);
}

TEST_CASE("an answer to a question of before a reload is not remembered") {
  virtual_time time;
  process p(time);
  p.shared.at_once = false;
  const rule r = make_rule(0, {.limit = 1, .period_us = 100 * second, .burst = 1});
  const charge c{.matched = &r, .subject = subject(1)};
  answer a;
  p.sharing.execute(operation::take, {&c, 1}, a);
  p.sharing.reload();
  p.shared.deliver();
  CHECK(a.allowed());
  CHECK(p.take(r).answers == 0);  // it asks
  CHECK(p.shared.waiting.size() == 1);
  p.shared.waiting.clear();
}

TEST_CASE("a rule with other numbers is not judged by what the old one left") {
  virtual_time time;
  process p(time);
  const rule r = make_rule(0, {.limit = 1, .period_us = 100 * second, .burst = 1});
  const rule more = make_rule(0, {.limit = 1, .period_us = 100 * second, .burst = 5});
  CHECK(p.take(r).allowed());
  CHECK(p.take(more).allowed());
  CHECK(p.shared.calls == 2);
}

TEST_CASE("the table is bounded, and levels do not push out denials") {
  denial_cache cache(4, 1);
  const rule r = make_rule(0, {.limit = 1, .period_us = second, .burst = 10});
  const auto learn = [&](int who, std::int64_t remaining) {
    const charge c{.matched = &r, .subject = subject(who)};
    cache.learn(c, operation::take, {.remaining = remaining, .used = (10 - remaining) * second},
                {.sent_us = 100, .received_us = 100, .store_now_us = who}, denial_cache::longest_life_us);
  };
  for (int who = 0; who < 4; ++who) learn(who, 0);
  for (int who = 4; who < 100; ++who) learn(who, 5);
  CHECK(cache.size() == 4);
  const charge first{.matched = &r, .subject = subject(0)};
  CHECK(cache.ask(first, 100));
  learn(100, 0);
  CHECK(cache.size() == 4);
  const charge second_one{.matched = &r, .subject = subject(1)};
  CHECK(!cache.ask(second_one, 100));
}
