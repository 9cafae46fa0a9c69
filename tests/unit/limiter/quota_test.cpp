// SPDX-License-Identifier: Apache-2.0
#include "limiter/quota.hpp"

#include <doctest/doctest.h>

using weir::limiter::algorithm;
using weir::limiter::forgotten_after_us;
using weir::limiter::quota;
using weir::limiter::quota_problem;
using weir::limiter::to_credits;
using weir::limiter::validate;

namespace {

constexpr std::int64_t second = 1'000'000;
constexpr std::int64_t day = 86'400 * second;
constexpr std::int64_t two52 = std::int64_t{1} << 52;
constexpr std::int64_t two53 = std::int64_t{1} << 53;

quota bucket(std::int64_t limit, std::int64_t period_us, std::int64_t burst) {
  return {algorithm::token_bucket, limit, period_us, burst};
}

quota log(std::int64_t limit, std::int64_t period_us) {
  return {algorithm::sliding_window_log, limit, period_us, limit};
}

}  // namespace

TEST_CASE("credits are the rate in lowest terms") {
  const auto c = to_credits(bucket(100, second, 20));
  CHECK(c.r == 1);
  CHECK(c.q == 10'000);
  CHECK(c.cap == 200'000);
  const auto odd = to_credits(bucket(700'003, second, 5));
  CHECK(odd.r == 700'003);
  CHECK(odd.q == second);
  CHECK(odd.cap == 5 * second);
}

TEST_CASE("rates that share a memo slot do not disturb each other") {
  for (int round = 0; round < 2; ++round) {
    for (std::int64_t limit = 1; limit <= 500; ++limit) {
      const auto c = to_credits(bucket(limit, second, 1));
      CHECK(c.r * second == c.q * limit);
    }
  }
}

TEST_CASE("numbers below one are refused") {
  CHECK(validate(bucket(0, second, 1)).problem == quota_problem::not_positive);
  CHECK(validate(bucket(1, 0, 1)).problem == quota_problem::not_positive);
  CHECK(validate(bucket(1, second, 0)).problem == quota_problem::not_positive);
  CHECK(validate(bucket(-5, second, 1)).problem == quota_problem::not_positive);
  CHECK(validate(log(0, second)).problem == quota_problem::not_positive);
}

TEST_CASE("a capacity beyond 2^53 credits names the largest legal burst") {
  const auto check = validate(bucket(1'000'003, day, second));
  CHECK(check.problem == quota_problem::capacity_too_large);
  CHECK(check.nearest_legal == 104'249);
  CHECK(validate(bucket(1'000'003, day, 104'249)).problem == quota_problem::none);
  CHECK(validate(bucket(1'000'003, day, 104'250)).problem == quota_problem::capacity_too_large);
}

TEST_CASE("the edge of 2^53 is exact") {
  const std::int64_t r = 3;  // so that not the time to full decides
  CHECK(validate(bucket(r, 1, two53 - 1)).problem == quota_problem::none);
  CHECK(validate(bucket(r, 1, two53)).problem == quota_problem::capacity_too_large);
  CHECK(validate(bucket(r, 1, two53)).nearest_legal == two53 - 1);
}

TEST_CASE("the time to full stays below 2^52 microseconds") {
  CHECK(validate(bucket(1, 1, two52 - 1)).problem == quota_problem::none);
  CHECK(validate(bucket(1, 1, two52)).problem == quota_problem::capacity_too_large);
  CHECK(validate(bucket(1, 1, two52)).nearest_legal == two52 - 1);
}

TEST_CASE("no burst is legal for a period no integer holds") {
  const auto check = validate(bucket(1, two53, 1));
  CHECK(check.problem == quota_problem::capacity_too_large);
  CHECK(check.nearest_legal == 0);
}

TEST_CASE("a log is at most ten thousand units long") {
  CHECK(validate(log(10'000, day)).problem == quota_problem::none);
  const auto check = validate(log(10'001, day));
  CHECK(check.problem == quota_problem::log_too_long);
  CHECK(check.nearest_legal == 10'000);
}

TEST_CASE("a sliding counter multiplies its limit and its window below 2^53") {
  const quota edge{algorithm::sliding_window_counter, 104'249'991, 86'400'000,
                   104'249'991};  // L * W < 2^53 < (L + 1) * W
  CHECK(validate(edge).problem == quota_problem::none);
  quota over = edge;
  over.limit = over.burst = edge.limit + 1;
  CHECK(validate(over).problem == quota_problem::window_too_large);
  CHECK(validate(over).nearest_legal == edge.limit);
}

TEST_CASE("windows and leases are short enough for instants to stay below 2^53") {
  CHECK(validate({algorithm::fixed_window, 1, two52 - 1, 1}).problem == quota_problem::none);
  CHECK(validate({algorithm::fixed_window, 1, two52, 1}).problem == quota_problem::window_too_long);
  CHECK(validate({algorithm::fixed_window, 1, two52, 1}).nearest_legal == two52 - 1);
  CHECK(validate({algorithm::sliding_window_counter, 1, two52 / 2, 1}).problem ==
        quota_problem::window_too_long);
  CHECK(validate({algorithm::concurrency, 1, two52, 1}).problem == quota_problem::window_too_long);
  CHECK(validate({algorithm::sliding_window_log, 1, two52, 1}).problem == quota_problem::window_too_long);
}

TEST_CASE("slots are at most a hundred thousand") {
  CHECK(validate({algorithm::concurrency, 100'000, second, 100'000}).problem == quota_problem::none);
  CHECK(validate({algorithm::concurrency, 100'001, second, 100'001}).nearest_legal == 100'000);
}

TEST_CASE("a subject is forgotten when its bucket is full or its windows have passed") {
  CHECK(forgotten_after_us({.limit = 10, .period_us = 1'000'000, .burst = 25}) == 2'500'000);
  CHECK(forgotten_after_us({.limit = 7, .period_us = 1'000'000, .burst = 1}) == 142'858);
  CHECK(forgotten_after_us({.algorithm = algorithm::fixed_window, .limit = 5, .period_us = 60, .burst = 5}) ==
        60);
  CHECK(forgotten_after_us(
            {.algorithm = algorithm::sliding_window_counter, .limit = 5, .period_us = 60, .burst = 5}) ==
        120);
  CHECK(forgotten_after_us(
            {.algorithm = algorithm::sliding_window_log, .limit = 5, .period_us = 60, .burst = 5}) == 60);
}
