// SPDX-License-Identifier: Apache-2.0
#include "limiter/redis/breaker.hpp"

#include <doctest/doctest.h>

using namespace std::chrono_literals;
using weir::limiter::redis::breaker;
using weir::limiter::redis::lateness;
using effect = breaker::effect;

namespace {

const breaker::clock::time_point start{std::chrono::hours(1)};
const weir::limiter::redis_breaker three{.failures = 3, .open_for = 1000ms};

void answer(breaker& b, int times, breaker::clock::time_point now = start) {
  for (int i = 0; i < times; ++i) b.answered(now);
}

}  // namespace

TEST_CASE("a breaker opens after so many failures in a row") {
  breaker b(three);
  CHECK(b.failed(start, 0, 0) == effect::none);
  CHECK(b.failed(start, 0, 0) == effect::none);
  b.answered(start);
  CHECK(b.failed(start, 0, 0) == effect::none);
  CHECK(b.failed(start, 0, 0) == effect::none);
  CHECK(b.closed());
  CHECK(b.failed(start, 0, 0) == effect::opened_by_row);
  CHECK_FALSE(b.closed());
  CHECK(b.failed(start, 0, 0) == effect::none);  // already
}

TEST_CASE("probes are spread over the second half of the pause") {
  breaker b(three);
  CHECK(b.trip(start, 0));
  CHECK(b.probe_at() == start + 500ms);
  CHECK_FALSE(b.trip(start, 0));
  b.probe_begins();
  CHECK(b.probing());
  b.probe_failed(start + 500ms, 0.5);
  CHECK_FALSE(b.probing());
  CHECK_FALSE(b.closed());
  CHECK(b.probe_at() == start + 1250ms);
}

TEST_CASE("a good probe closes a breaker and its count begins anew") {
  breaker b(three);
  CHECK(b.trip(start, 0));
  b.answered(start);  // of a command that left before
  CHECK_FALSE(b.closed());
  b.probe_begins();
  b.probe_succeeded();
  CHECK(b.closed());
  CHECK(b.failed(start, 0, 0) == effect::none);
  CHECK(b.failed(start, 0, 0) == effect::none);
  CHECK(b.closed());
}

TEST_CASE("a breaker opens when more than one command in a hundred is late, though never often in a row") {
  breaker b(three);
  for (int i = 0; i < 2; ++i) {
    answer(b, 99);
    CHECK(b.failed(start, 1, 0) == effect::none);
  }
  answer(b, 99);
  CHECK(b.failed(start, 1, 0) == effect::none);  // 3 of 300 is one in a hundred, not more
  answer(b, 99);
  CHECK(b.failed(start, 2, 0) == effect::opened_by_p99);  // 5 of 401
  CHECK_FALSE(b.closed());
}

TEST_CASE("one hiccup that makes many commands late does not open a breaker") {
  breaker b(three);
  answer(b, 100);
  CHECK(b.failed(start, 60, 0) == effect::none);
  b.answered(start);
  CHECK(b.failed(start, 60, 0) == effect::none);
  b.answered(start);
  CHECK(b.failed(start, 60, 0) == effect::opened_by_p99);
}

TEST_CASE("failures that are no time-outs say nothing about lateness") {
  breaker b(three);
  for (int i = 0; i < 20; ++i) {
    CHECK(b.failed(start, 0, 0) == effect::none);
    b.answered(start);
  }
}

TEST_CASE(
    "what was late more than ten seconds ago is forgotten, and so is what was before a breaker opened") {
  breaker b(three);
  const auto late_once = [&b](breaker::clock::time_point now) {
    const auto seen = b.failed(now, 1, 0);
    b.answered(now);
    return seen;
  };
  CHECK(late_once(start) == effect::none);
  CHECK(late_once(start + lateness::half) == effect::none);
  CHECK(late_once(start + 2 * lateness::half) == effect::none);  // two within ten seconds
  CHECK(late_once(start + 2 * lateness::half) == effect::opened_by_p99);
  b.probe_begins();
  b.probe_succeeded();
  CHECK(late_once(start + 2 * lateness::half) == effect::none);
  CHECK(late_once(start + 2 * lateness::half) == effect::none);
  CHECK(late_once(start + 5 * lateness::half) == effect::none);  // a long silence is forgotten, too
}
