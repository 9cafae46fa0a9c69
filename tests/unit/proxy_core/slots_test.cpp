// SPDX-License-Identifier: Apache-2.0
// Lines of requests that wait for a slot, and the renewal of leases. No sockets, no clock.
#include "limiter/limiter.hpp"
#include "limiter/stores/memory_store.hpp"
#include "proxy/slots/slot_desk.hpp"

#include <doctest/doctest.h>
#include <random>
#include <string>
#include <utility>
#include <vector>

using namespace weir;
using namespace weir::proxy::slots;

namespace {

slot_key key(char c) {
  slot_key k;
  k.rid = limiter::make_rule_id("s");
  k.subject.text.fill(c);
  return k;
}

struct waiter final : slot_waiter {
  void on_slot_free() override { ++calls; }
  int calls = 0;
};

/// Two workers of one process; calls are delivered when asked to, as a loop would.
struct process {
  void deliver() {
    const auto now = std::exchange(calls, {});
    for (const ticket& t : now) (t.worker == 0 ? a : b).deliver(t.number);
  }
  std::vector<ticket> calls;
  waiting_room room{[this](const ticket& t) { calls.push_back(t); }};
  proxy::timer_wheel wheel{0};
  std::mt19937_64 random{1};
  slot_desk::random_below below = [this](std::uint64_t bound) { return random() % bound; };
  slot_desk a{room, 0, wheel, below};
  slot_desk b{room, 1, wheel, below};
};

}  // namespace

TEST_CASE("a line is first come first served over all workers") {
  process p;
  waiter w1, w2, w3;
  waiting_place p1, p2, p3;
  CHECK_FALSE(p.a.anybody_waits(key('x')));
  REQUIRE(p.a.enter(p1, key('x'), 5, w1));
  REQUIRE(p.b.enter(p2, key('x'), 5, w2));
  REQUIRE(p.a.enter(p3, key('x'), 5, w3));
  CHECK(p.b.anybody_waits(key('x')));
  CHECK_FALSE(p.b.anybody_waits(key('y')));
  CHECK(p.a.first(p1));
  CHECK_FALSE(p.b.first(p2));

  p.b.freed(key('x'));
  p.deliver();
  CHECK(w1.calls == 1);
  CHECK(w2.calls == 0);
  p1.leave();  // it got the slot: the next is called, there may be more
  p.deliver();
  CHECK(w2.calls == 1);
  CHECK(p.b.first(p2));
  p3.leave();  // from the middle: nobody's turn changes
  p.deliver();
  CHECK(w2.calls == 1);
  p2.leave();
  CHECK(p.room.lines() == 0);
}

TEST_CASE("a line has a bound, each key its own line, and leaving twice is leaving once") {
  process p;
  waiter w;
  waiting_place p1, p2, p3;
  CHECK_FALSE(p.a.enter(p1, key('x'), 0, w));
  CHECK(p.a.enter(p1, key('x'), 1, w));
  CHECK_FALSE(p.b.enter(p2, key('x'), 1, w));
  CHECK_FALSE(p2.taken());
  CHECK(p.b.enter(p2, key('y'), 1, w));
  p1.leave();
  p1.leave();
  CHECK(p.b.enter(p3, key('x'), 1, w));
}

TEST_CASE("a call for somebody who left meanwhile reaches nobody") {
  process p;
  waiter w1, w2;
  waiting_place p2;
  {
    waiting_place p1;
    REQUIRE(p.a.enter(p1, key('x'), 5, w1));
    REQUIRE(p.a.enter(p2, key('x'), 5, w2));
    p.a.freed(key('x'));
  }
  p.deliver();
  CHECK(w1.calls == 0);
  CHECK(w2.calls == 1);  // called because it became the first
}

TEST_CASE("a slot freed without a line is nobody's business") {
  process p;
  p.a.freed(key('x'));
  CHECK(p.calls.empty());
}

TEST_CASE("holders are unique and made of what a store takes") {
  process p;
  std::string one, two, other;
  p.a.append_holder(one);
  p.a.append_holder(two);
  p.b.append_holder(other);
  CHECK(one != two);
  CHECK(one.substr(0, 12) == two.substr(0, 12));
  CHECK(one.substr(0, 12) != other.substr(0, 12));
  CHECK(one.size() <= 40);
  CHECK(one.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos);
}

TEST_CASE("the first of a line polls within 50 ms and never before half of its wait") {
  process p;
  for (int i = 0; i < 1000; ++i) {
    const std::int64_t usual = p.a.poll_delay_us(30'000'000);
    CHECK((usual >= 25'000 && usual <= 50'000));
    const std::int64_t near = p.a.poll_delay_us(1000);
    CHECK((near >= 500 && near <= 1000));
    CHECK(p.a.poll_delay_us(0) >= 25'000);
  }
}

namespace {

struct asked final : limiter::pending_decision {
  void on_decision() override {}
};

struct leases {
  limiter::permit take(const limiter::rule& r, std::string_view holder) {
    asked pending;
    pending.charges.push_back({.matched = &r, .subject = {}, .cost = 1, .holder = holder});
    decider.decide(pending);
    REQUIRE(pending.result.verdict == limiter::verdict::allow);
    return pending.take_permit();
  }
  std::int64_t held(const limiter::rule& r) {
    limiter::store_reply reply;
    const limiter::charge c{.matched = &r, .subject = {}, .cost = 1, .holder = "nobody"};
    table->execute(limiter::operation::peek, {&c, 1}, reply);
    return r.quota.limit - reply.states[0].remaining;
  }
  std::int64_t now = 4'000'000'000;
  std::shared_ptr<limiter::memory_table> table = std::make_shared<limiter::memory_table>(
      limiter::memory_table::options{.clock = [this] { return now; }});
  limiter::memory_store store{table};
  limiter::rate_limiter decider{store, store, 1};
};

}  // namespace

TEST_CASE("a lease is renewed every third of its life for as long as its request lives") {
  process p;
  leases l;
  limiter::rule r;
  r.name = "s";
  r.rid = limiter::make_rule_id(r.name);
  r.quota = {.algorithm = limiter::algorithm::concurrency, .limit = 5, .period_us = 3'000'000, .burst = 5};
  r.slots = limiter::slot_limit{};
  auto one = l.take(r, "a");
  auto two = l.take(r, "b");
  auto plain = l.take(r, "c");
  {
    lease_entry first, second;
    p.a.enrol(first, one, 0);
    p.a.enrol(second, two, 500'000);
    CHECK(p.a.leases() == 2);
    for (std::int64_t t = 0; t <= 20'000'000; t += 4000) {
      l.now = 4'000'000'000 + t;
      p.wheel.advance(t);
    }
    CHECK(l.held(r) == 2);  // the third was not enrolled
    first.leave();
    first.leave();
    for (std::int64_t t = 20'000'000; t <= 30'000'000; t += 4000) {
      l.now = 4'000'000'000 + t;
      p.wheel.advance(t);
    }
    CHECK(l.held(r) == 1);
  }
  CHECK(p.a.leases() == 0);
}
