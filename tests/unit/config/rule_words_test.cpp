// SPDX-License-Identifier: Apache-2.0
#include "config/rule_words.hpp"

#include "limiter/time_zone.hpp"

#include <doctest/doctest.h>

using namespace weir::config;
using weir::limiter::algorithm;
using weir::limiter::quota;

TEST_CASE("a token bucket is told by its burst, its refill and its worst case") {
  CHECK(quota_in_words({algorithm::token_bucket, 100, 60'000'000, 100}) ==
        "token bucket: 100 at once, then 1 every 600ms; at most 199 in any 60s");
  CHECK(quota_in_words({algorithm::token_bucket, 100, 60'000'000, 10}) ==
        "token bucket: 10 at once, then 1 every 600ms; at most 109 in any 60s");
  CHECK(quota_in_words({algorithm::token_bucket, 7, 60'000'000, 7}) ==
        "token bucket: 7 at once, then 1 every about 8.571s; at most 13 in any 60s");
  CHECK(quota_in_words({algorithm::token_bucket, 3'000'000, 1'000'000, 5}) ==
        "token bucket: 5 at once, then 3000000 every 1s; at most 3000004 in any 1s");
}

TEST_CASE("a log never lets more than its limit through") {
  CHECK(quota_in_words({algorithm::sliding_window_log, 5, 900'000'000, 5}) ==
        "sliding window log: never more than 5 in any 15m");
  CHECK(worst_case_per_period({algorithm::sliding_window_log, 5, 900'000'000, 5}) == 5);
}

TEST_CASE("windows are told with what an edge lets through") {
  CHECK(quota_in_words({algorithm::fixed_window, 100, 60'000'000, 100}) ==
        "fixed window: 100 in each 60s since the epoch; at most 200 in any 60s");
  quota day{algorithm::fixed_window, 5, 86'400'000'000, 5};
  day.calendar = weir::limiter::calendar_unit::day;
  day.zone = weir::limiter::find_time_zone("+02:00");
  CHECK(quota_in_words(day) ==
        "fixed window: 5 in each day of +02:00; at most 10 around the midnight between two");
  CHECK(quota_in_words({algorithm::sliding_window_counter, 100, 60'000'000, 100}) ==
        "sliding window counter: 100 in any 60s of steady traffic; at most 199 in any 60s");
}

TEST_CASE("slots are told with how long a crash blocks them") {
  CHECK(quota_in_words({algorithm::concurrency, 5, 30'000'000, 5}) ==
        "concurrency: at most 5 at once; a slot of a crashed process is free after 30s");
}

TEST_CASE("the lines of several rules are aligned") {
  std::vector<weir::limiter::rule> rules(2);
  rules[0].name = "ip";
  rules[1].name = "user";
  const auto lines = rules_in_words(rules);
  REQUIRE(lines.size() == 2);
  CHECK(lines[0].starts_with("rule ip    token"));
  CHECK(lines[1].starts_with("rule user  token"));
}
