// SPDX-License-Identifier: Apache-2.0
#include "limiter/redis/breaker.hpp"

#include <doctest/doctest.h>

using namespace std::chrono_literals;
using weir::limiter::redis::breaker;

namespace {
const breaker::clock::time_point start{std::chrono::hours(1)};
const weir::limiter::redis_breaker three{.failures = 3, .open_for = 1000ms};
}  // namespace

TEST_CASE("a breaker opens after so many failures in a row") {
  breaker b(three);
  CHECK_FALSE(b.failed(start, 0));
  CHECK_FALSE(b.failed(start, 0));
  CHECK_FALSE(b.succeeded());
  CHECK_FALSE(b.failed(start, 0));
  CHECK_FALSE(b.failed(start, 0));
  CHECK(b.closed());
  CHECK(b.failed(start, 0));
  CHECK_FALSE(b.closed());
  CHECK_FALSE(b.failed(start, 0));  // already
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
  b.probe_begins();
  CHECK(b.succeeded());
  CHECK(b.closed());
  CHECK_FALSE(b.failed(start, 0));
  CHECK_FALSE(b.failed(start, 0));
  CHECK(b.closed());
}
