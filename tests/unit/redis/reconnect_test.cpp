// SPDX-License-Identifier: Apache-2.0
#include "limiter/redis/reconnect.hpp"

#include <doctest/doctest.h>

using namespace std::chrono_literals;
using weir::limiter::redis::dial_limiter;
using weir::limiter::redis::reconnect;

namespace {

constexpr dial_limiter::clock::time_point start{1000h};
constexpr auto at_once = dial_limiter::clock::duration::zero();
constexpr double almost_one = 0.999999;

}  // namespace

TEST_CASE("the first dial happens at once") {
  reconnect way(std::make_shared<dial_limiter>());
  CHECK(way.may_dial(start) == at_once);
}

TEST_CASE("the backoff doubles from 50 ms to 1 s with full jitter") {
  reconnect way(std::make_shared<dial_limiter>());
  for (const auto ceiling : {50ms, 100ms, 200ms, 400ms, 800ms, 1000ms, 1000ms}) {
    CAPTURE(ceiling.count());
    const auto wait = way.lost(almost_one);
    CHECK(wait < ceiling);
    CHECK(wait > ceiling - 1ms);
  }
  CHECK(way.lost(0.0) == at_once);
  CHECK(way.lost(0.25) == 250ms);
}

TEST_CASE("an answered command resets the backoff, a mere connection does not") {
  reconnect way(std::make_shared<dial_limiter>());
  (void)way.lost(0.5);
  (void)way.lost(0.5);
  REQUIRE(way.may_dial(start) == at_once);
  way.connected();
  CHECK(way.lost(0.5) == 100ms);
  way.answered();
  CHECK(way.lost(0.5) == 25ms);
}

TEST_CASE("at most three dials fail within a second") {
  dial_limiter limiter;
  for (int i = 0; i < 3; ++i) {
    const auto grant = limiter.acquire(start + i * 100ms);
    REQUIRE(grant.slot != dial_limiter::no_slot);
    limiter.failed(grant.slot, start + i * 100ms);
  }
  const auto refused = limiter.acquire(start + 250ms);
  CHECK(refused.slot == dial_limiter::no_slot);
  CHECK(refused.wait == dial_limiter::longest_wait);
  CHECK(limiter.acquire(start + 970ms).wait == 30ms);
  CHECK(limiter.acquire(start + 1s - 1ns).slot == dial_limiter::no_slot);
  CHECK(limiter.acquire(start + 1s).slot != dial_limiter::no_slot);
  CHECK(limiter.acquire(start + 1s).slot == dial_limiter::no_slot);
}

TEST_CASE("dials under way count until they have an outcome") {
  dial_limiter limiter;
  const auto first = limiter.acquire(start);
  (void)limiter.acquire(start);
  (void)limiter.acquire(start);
  const auto refused = limiter.acquire(start + 10s);
  CHECK(refused.slot == dial_limiter::no_slot);
  CHECK(refused.wait == dial_limiter::shortest_wait);
  limiter.abandoned(first.slot);
  CHECK(limiter.acquire(start + 10s).slot == first.slot);
}

TEST_CASE("one success lets everybody follow") {
  dial_limiter limiter;
  const auto failing = limiter.acquire(start);
  const auto late = limiter.acquire(start);
  limiter.failed(failing.slot, start);
  const auto lucky = limiter.acquire(start);
  REQUIRE(limiter.acquire(start).slot == dial_limiter::no_slot);
  limiter.succeeded(lucky.slot);
  // the slots of the failed and the successful dial are free, that of the dial under way is not
  CHECK(limiter.acquire(start).slot != late.slot);
  CHECK(limiter.acquire(start).slot != late.slot);
  CHECK(limiter.acquire(start).slot == dial_limiter::no_slot);
}

TEST_CASE("a connection gives its slot back") {
  const auto limiter = std::make_shared<dial_limiter>();
  {
    reconnect a(limiter);
    reconnect b(limiter);
    reconnect c(limiter);
    REQUIRE(a.may_dial(start) == at_once);
    REQUIRE(b.may_dial(start) == at_once);
    REQUIRE(c.may_dial(start) == at_once);
    (void)b.failed(start, 0.5);
    c.abandon();
    c.abandon();
    REQUIRE(c.may_dial(start) == at_once);
    reconnect d(limiter);
    REQUIRE(d.may_dial(start) > at_once);
  }
  // a and c were destroyed while dialling; b failed
  CHECK(limiter->acquire(start).slot != dial_limiter::no_slot);
  CHECK(limiter->acquire(start).slot != dial_limiter::no_slot);
  CHECK(limiter->acquire(start).slot == dial_limiter::no_slot);
}
