// SPDX-License-Identifier: Apache-2.0
#include "proxy/replay/tally.hpp"

#include "proxy/replay/report_words.hpp"

#include <doctest/doctest.h>
#include <string>

using namespace weir::replay;

namespace {

constexpr std::int64_t second = 1'000'000;
constexpr std::int64_t start = 1'795'860'000 * second;

weir::limiter::subject_key subject(int number) {
  return weir::limiter::hash_subject(std::to_string(number));
}

judgement judged(int key, bool over) {
  judgement j;
  j.charges.push_back({.rule = 0, .subject = subject(key), .cost = 1, .over = over, .shadow = false});
  if (over) j.outcome = fate::denied, j.rule = 0;
  return j;
}

}  // namespace

TEST_CASE("denials are counted by rule and key, and compared with those of the log") {
  tally numbers({"per-ip"});
  const auto name = [](std::size_t) { return std::string("k"); };
  numbers.add(judged(1, false), logged_decision::allow, start, name);
  numbers.add(judged(1, true), logged_decision::deny, start + second, name);
  numbers.add(judged(2, true), logged_decision::allow, start + 2 * second, name);
  numbers.add(judged(2, false), logged_decision::deny, start + 3 * second, name);
  CHECK(numbers.requests() == 4);
  CHECK(numbers.of(fate::denied) == 2);
  CHECK(numbers.rules()[0].matched == 4);
  CHECK(numbers.rules()[0].denied == 2);
  CHECK(numbers.rules()[0].first_us == start + second);
  CHECK(numbers.rules()[0].last_us == start + 2 * second);
  CHECK(numbers.log_agrees().both_denied == 1);
  CHECK(numbers.log_agrees().only_replay == 1);
  CHECK(numbers.log_agrees().only_log == 1);
  CHECK(numbers.keys().keys_of(0) == 2);
}

TEST_CASE("the chart stretches over any time and loses no count") {
  time_chart chart(1);
  for (int i = 0; i < 1000; ++i) chart.add(0, start + i * i * second);
  CHECK(chart.columns() <= chart_columns);
  CHECK(chart.columns() > chart_columns / 2);
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < chart.columns(); ++i) sum += chart.at(0, i);
  CHECK(sum == 1000);
  CHECK(chart.at(0, 0) > chart.at(0, chart.columns() - 2));
}

TEST_CASE("bars show any count at all, and the highest as the highest") {
  time_chart chart(2);
  for (int i = 0; i < 100; ++i) chart.add(0, start);
  chart.add(0, start + second);
  chart.add(0, start + 3 * second);
  CHECK(bars(chart, 0, true) == "█▁ ▁");
  CHECK(bars(chart, 0, false) == "@. .");
  CHECK(bars(chart, 1, false) == "    ");
}

TEST_CASE("a peak covers every window of the rule's length, and hardly more") {
  rate_meter meter(60 * second);
  // 40 in the last second of one minute and 40 in the first of the next: 80 in one window
  for (int i = 0; i < 40; ++i) meter.add(subject(1), 1, start + 59 * second);
  for (int i = 0; i < 40; ++i) meter.add(subject(1), 1, start + 61 * second);
  // 40, and 40 a good window later
  for (int i = 0; i < 40; ++i) meter.add(subject(2), 1, start + 70 * second);
  for (int i = 0; i < 40; ++i) meter.add(subject(2), 1, start + 140 * second);
  const auto s = meter.summarize();
  CHECK(s.keys == 2);
  CHECK(s.max == 80);
  CHECK(s.p50 == 40);
}

TEST_CASE("the limit that 1 % of the keys exceed is that of the key behind them") {
  rate_meter meter(60 * second);
  for (int key = 1; key <= 1000; ++key) meter.add(subject(key), key, start);
  const auto s = meter.summarize();
  CHECK(s.keys == 1000);
  CHECK(s.p50 == 500);
  CHECK(s.p95 == 950);
  CHECK(s.p99 == 990);
  CHECK(s.max == 1000);
  CHECK(s.denies_1_percent == 990);
  CHECK(s.denies_0_1_percent == 999);
}

TEST_CASE("of too many keys a fair sample is measured") {
  rate_meter meter(60 * second);
  const int keys = static_cast<int>(max_metered_keys) + 1000;
  for (int key = 0; key < keys; ++key) meter.add(subject(key), key % 100, start);
  const auto s = meter.summarize();
  CHECK(s.sampled_one_in == 2);
  CHECK(s.keys > max_metered_keys / 2 - 5000);
  CHECK(s.keys < max_metered_keys / 2 + 5000);
  CHECK(s.p50 > 45);
  CHECK(s.p50 < 54);
}

TEST_CASE("numbers and times read well") {
  CHECK(grouped(0) == "0");
  CHECK(grouped(999) == "999");
  CHECK(grouped(1234567) == "1,234,567");
  CHECK(percentage(1, 3) == "33.33 %");
  CHECK(percentage(1, 1'000'000) == "<0.01 %");
  CHECK(time_span(250'000) == "250ms");
  CHECK(time_span(3723 * second) == "1h 2m 3s");
  CHECK(time_span(60 * second) == "1m");
  CHECK(date_and_time(start) == "2026-11-28 10:00:00");
}
