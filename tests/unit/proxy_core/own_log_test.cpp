// SPDX-License-Identifier: Apache-2.0
#include "proxy/observe/own_log.hpp"

#include <boost/json.hpp>
#include <doctest/doctest.h>
#include <string>

using namespace weir::proxy;

namespace {

constexpr std::int64_t new_year = 1'767'225'600'000'000;
constexpr std::int64_t window = repeat_filter::window_us;

std::string line(bool json, std::initializer_list<log_field> fields, std::uint64_t suppressed = 0,
                 std::uint64_t lost = 0) {
  std::string out;
  append_log_line(out, json, new_year, log_level::warn, "store lost", fields, suppressed, lost);
  return out;
}

}  // namespace

TEST_CASE("a text line has time, level, message and fields; values with special bytes are quoted") {
  CHECK(line(false, {{"store", "127.0.0.1:6379"}, {"cause", "connection refused"}}) ==
        "2026-01-01T00:00:00.000Z warn store lost store=127.0.0.1:6379 cause=\"connection refused\"\n");
  CHECK(line(false, {{"a", ""}, {"b", "x=y"}, {"c", "q\"\n"}}) ==
        "2026-01-01T00:00:00.000Z warn store lost a=\"\" b=\"x=y\" c=\"q\\\"\\u000a\"\n");
}

TEST_CASE("a JSON line is one object") {
  CHECK(line(true, {{"cause", "a \"b\"\n"}}) ==
        R"({"ts":"2026-01-01T00:00:00.000Z","level":"warn","msg":"store lost","cause":"a \"b\"\u000a"})"
        "\n");
  const boost::json::value parsed = boost::json::parse(line(true, {{"x", "1"}}, 3, 2));
  CHECK(parsed.at("suppressed").as_int64() == 3);
  CHECK(parsed.at("lost").as_int64() == 2);
}

TEST_CASE("lines that were held back or lost are counted in the next one") {
  CHECK(line(false, {}, 12, 3) == "2026-01-01T00:00:00.000Z warn store lost suppressed=12 lost=3\n");
}

TEST_CASE("a long value is cut") {
  CHECK(line(false, {{"v", std::string(5000, 'x')}}).size() < 1200);
}

TEST_CASE("ten equal lines pass in a second, the rest is counted in the first of the next") {
  repeat_filter filter;
  for (int i = 0; i < 10; ++i) CHECK(filter.admit(log_level::warn, "m", i).pass);
  for (int i = 0; i < 7; ++i) CHECK_FALSE(filter.admit(log_level::warn, "m", window - 1).pass);
  const repeat_filter::outcome next = filter.admit(log_level::warn, "m", window);
  CHECK(next.pass);
  CHECK(next.suppressed == 7);
  CHECK(filter.admit(log_level::warn, "m", window + 1).suppressed == 0);
}

TEST_CASE("another message or another level is not held back") {
  repeat_filter filter;
  for (int i = 0; i < 11; ++i) static_cast<void>(filter.admit(log_level::warn, "m", 0));
  CHECK_FALSE(filter.admit(log_level::warn, "m", 0).pass);
  CHECK(filter.admit(log_level::error, "m", 0).pass);
  CHECK(filter.admit(log_level::warn, "n", 0).pass);
}

TEST_CASE("the filter knows a bounded number of messages and forgets the oldest") {
  repeat_filter filter;
  for (int i = 0; i < 11; ++i) static_cast<void>(filter.admit(log_level::info, "first", 0));
  for (int i = 0; i < 1000; ++i) {
    CHECK(filter.admit(log_level::info, "m" + std::to_string(i), 1 + i).pass);
  }
  CHECK(filter.admit(log_level::info, "first", 1001).pass);
  for (int i = 0; i < 9; ++i) CHECK(filter.admit(log_level::info, "m999", 1001).pass);
  CHECK_FALSE(filter.admit(log_level::info, "m999", 1001).pass);
}

TEST_CASE("levels have their words") {
  CHECK(to_string(log_level::debug) == "debug");
  CHECK(to_string(log_level::info) == "info");
  CHECK(to_string(log_level::warn) == "warn");
  CHECK(to_string(log_level::error) == "error");
}
