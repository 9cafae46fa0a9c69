// SPDX-License-Identifier: Apache-2.0
#include "limiter/calendar.hpp"

#include <chrono>
#include <doctest/doctest.h>
#include <string>
#include <vector>

using namespace weir::limiter;

namespace {

constexpr std::int64_t second = 1'000'000;
constexpr std::int64_t hour = 3600 * second;

// Midnight UTC of a date.
std::int64_t utc(int year, unsigned month, unsigned day, std::int64_t time_us = 0) {
  using namespace std::chrono;
  const sys_days date{std::chrono::year{year} / std::chrono::month{month} / std::chrono::day{day}};
  return duration_cast<microseconds>(date.time_since_epoch()).count() + time_us;
}

const time_zone& zone(std::string_view name) {
  const time_zone* found = find_time_zone(name);
  REQUIRE(found != nullptr);
  return *found;
}

// The windows around an instant are the same from the first to the last microsecond of the current one.
calendar_windows windows(std::string_view name, calendar_unit unit, std::int64_t at_us) {
  const calendar_windows w = windows_around(zone(name), unit, at_us);
  CHECK(w.current_us <= at_us);
  CHECK(at_us < w.next_us);
  CHECK(w.next_us < w.after_next_us);
  for (const std::int64_t inside : {w.current_us, w.current_us + 1, w.next_us - 1}) {
    const calendar_windows again = windows_around(zone(name), unit, inside);
    CHECK(again.current_us == w.current_us);
    CHECK(again.next_us == w.next_us);
    CHECK(again.after_next_us == w.after_next_us);
  }
  CHECK(windows_around(zone(name), unit, w.next_us).current_us == w.next_us);
  CHECK(windows_around(zone(name), unit, w.current_us - 1).next_us == w.current_us);
  return w;
}

calendar_windows day(std::string_view name, std::int64_t at_us) {
  return windows(name, calendar_unit::day, at_us);
}

}  // namespace

TEST_CASE("calendar: days and months of UTC") {
  const auto w = day("UTC", utc(2026, 3, 1, 5));
  CHECK(w.current_us == utc(2026, 3, 1));
  CHECK(w.next_us == utc(2026, 3, 2));
  const auto m = windows("UTC", calendar_unit::month, utc(2024, 2, 29, 23 * hour));
  CHECK(m.current_us == utc(2024, 2, 1));
  CHECK(m.next_us == utc(2024, 3, 1));
  CHECK(m.after_next_us == utc(2024, 4, 1));
  CHECK(windows("UTC", calendar_unit::month, utc(2026, 12, 31)).next_us == utc(2027, 1, 1));
}

TEST_CASE("calendar: a fixed offset moves midnight") {
  CHECK(day("+02:00", utc(2026, 3, 1, 5)).current_us == utc(2026, 2, 28, 22 * hour));
  CHECK(day("-05:30", utc(2026, 3, 1, 5)).current_us == utc(2026, 2, 28, 5 * hour + hour / 2));
  CHECK(windows("+02:00", calendar_unit::month, utc(2026, 3, 1)).next_us == utc(2026, 3, 31, 22 * hour));
}

TEST_CASE("calendar: the days on which summer time begins and ends have 23 and 25 hours") {
  const auto spring = day("Europe/Berlin", utc(2026, 3, 29, 12 * hour));
  CHECK(spring.current_us == utc(2026, 3, 28, 23 * hour));
  CHECK(spring.next_us - spring.current_us == 23 * hour);
  const auto autumn = day("Europe/Berlin", utc(2026, 10, 25, 12 * hour));
  CHECK(autumn.current_us == utc(2026, 10, 24, 22 * hour));
  CHECK(autumn.next_us - autumn.current_us == 25 * hour);
  const auto york = day("America/New_York", utc(2026, 3, 8, 12 * hour));
  CHECK(york.current_us == utc(2026, 3, 8, 5 * hour));
  CHECK(york.next_us - york.current_us == 23 * hour);
}

TEST_CASE("calendar: far years follow the rule at the end of the zone file") {
  const auto spring = day("Europe/Berlin", utc(2101, 3, 27, 12 * hour));  // last Sunday of March
  CHECK(spring.next_us - spring.current_us == 23 * hour);
  CHECK(day("America/New_York", utc(2150, 7, 1, 12 * hour)).current_us == utc(2150, 7, 1, 4 * hour));
  CHECK(day("America/New_York", utc(2150, 1, 1, 12 * hour)).current_us == utc(2150, 1, 1, 5 * hour));
}

TEST_CASE("calendar: quarter hours and half-hour summer time") {
  CHECK(day("Asia/Kathmandu", utc(2026, 5, 1)).current_us == utc(2026, 4, 30, 18 * hour + hour / 4));
  const auto spring = day("Australia/Lord_Howe", utc(2026, 10, 3, 20 * hour));  // 02:00 becomes 02:30
  CHECK(spring.next_us - spring.current_us == 23 * hour + hour / 2);
  const auto autumn = day("Australia/Lord_Howe", utc(2026, 4, 4, 20 * hour));
  CHECK(autumn.next_us - autumn.current_us == 24 * hour + hour / 2);
}

TEST_CASE("calendar: a date that never was has no window") {
  // Samoa went from the end of 2011-12-29 (UTC-10) to the start of 2011-12-31 (UTC+14).
  const auto before = day("Pacific/Apia", utc(2011, 12, 30, 5 * hour));
  CHECK(before.current_us == utc(2011, 12, 29, 10 * hour));
  CHECK(before.next_us == utc(2011, 12, 30, 10 * hour));
  CHECK(before.after_next_us == utc(2011, 12, 31, 10 * hour));
  const auto after = day("Pacific/Apia", utc(2011, 12, 30, 11 * hour));
  CHECK(after.current_us == utc(2011, 12, 30, 10 * hour));
}

TEST_CASE("calendar: where midnight is skipped the day starts with the transition") {
  // Sao Paulo, 2018-11-04: 00:00 became 01:00 at 03:00 UTC.
  const auto w = day("America/Sao_Paulo", utc(2018, 11, 4, 12 * hour));
  CHECK(w.current_us == utc(2018, 11, 4, 3 * hour));
  CHECK(w.next_us == utc(2018, 11, 5, 2 * hour));
}

TEST_CASE("calendar: where midnight comes twice the first one counts") {
  // Sao Paulo, 2019-02-17: midnight became 23:00 of the day before, at 02:00 UTC.
  const auto saturday = day("America/Sao_Paulo", utc(2019, 2, 16, 12 * hour));
  CHECK(saturday.current_us == utc(2019, 2, 16, 2 * hour));
  CHECK(saturday.next_us == utc(2019, 2, 17, 3 * hour));  // 25 hours: the clock never showed Sunday before
  // Havana, 2026-11-01: 01:00 became 00:00 at 05:00 UTC, so 00:00 of that day is at 04:00 and again at 05:00.
  const auto sunday = day("America/Havana", utc(2026, 11, 1, 12 * hour));
  CHECK(sunday.current_us == utc(2026, 11, 1, 4 * hour));
  CHECK(sunday.next_us - sunday.current_us == 25 * hour);
}

TEST_CASE("calendar: every window of 30 years is at most 32 days long and follows the last") {
  for (const char* name :
       {"UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia",
        "America/Sao_Paulo", "America/Havana", "+05:45"}) {
    CAPTURE(name);
    for (const calendar_unit unit : {calendar_unit::day, calendar_unit::month}) {
      std::int64_t at_us = utc(2005, 1, 1);
      std::int64_t expected = windows_around(zone(name), unit, at_us).current_us;
      bool chained = true;
      while (at_us < utc(2035, 1, 1)) {
        const auto w = windows_around(zone(name), unit, at_us);
        chained = chained && w.current_us == expected && w.after_next_us - w.next_us <= 32 * 24 * hour;
        expected = w.next_us;
        at_us = w.next_us;
      }
      CHECK(chained);
    }
  }
}

TEST_CASE("time zones: names that are none are not found") {
  for (const char* name : {"", "Mars/Base", "utc ", "+2:00", "+02:60", "+15:00", "+02:00 ", "../zoneinfo/UTC",
                           "/usr/share/zoneinfo/UTC", "Europe/", "tzdata.zi", "Europe"}) {
    CAPTURE(name);
    CHECK(find_time_zone(name) == nullptr);
  }
}

TEST_CASE("time zones: a name is one object for ever") {
  CHECK(find_time_zone("Europe/Berlin") == find_time_zone(std::string("Europe/") + "Berlin"));
  CHECK(find_time_zone("UTC")->name() == "UTC");
}

TEST_CASE("time zones: rules of POSIX TZ") {
  const auto berlin = parse_yearly_rule("CET-1CEST,M3.5.0,M10.5.0/3");
  REQUIRE(berlin);
  CHECK(berlin->standard_s == 3600);
  CHECK(berlin->summer_s == 7200);
  CHECK(berlin->ends.time_s == 3 * 3600);
  const auto fixed = parse_yearly_rule("<+0545>-5:45");
  REQUIRE(fixed);
  CHECK(fixed->standard_s == 5 * 3600 + 45 * 60);
  CHECK(fixed->summer_s == fixed->standard_s);
  CHECK(parse_yearly_rule("IST-2IDT,M3.4.4/26,M10.5.0"));
  CHECK(parse_yearly_rule("<-02>2<-01>,M3.5.0/-1,M10.5.0/0"));
  CHECK(parse_yearly_rule("AAA3BBB,J60,J300/2:30:15"));
  for (const char* text : {"", "CE-1", "CET", "CET-1CEST", "CET-1CEST,M3.5.0", "CET-1CEST,M13.5.0,M10.5.0",
                           "CET-1CEST,M3.6.0,M10.5.0", "CET-1CEST,M3.5.0,M10.5.0x", "CET-99", "<+05-5"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_yearly_rule(text));
  }
}

TEST_CASE("time zones: a damaged file is refused, cut anywhere") {
  CHECK_FALSE(time_zone::from_tzif("x", ""));
  CHECK_FALSE(time_zone::from_tzif("x", "TZif2"));
  // version 2: an empty first block, then one type (UTC+1) and no transitions, then a rule
  const auto header = [](std::string_view version, char types, char chars) {
    std::string text = "TZif" + std::string(version) + std::string(15, '\0');
    for (const char n : {'\0', '\0', '\0', '\0', types, chars}) text += std::string(3, '\0') + n;
    return text;
  };
  const std::string block = std::string("\0\0\x0e\x10\0\0", 6) + std::string("CET\0", 4);
  const std::string whole = header("2", 1, 4) + block + header("2", 1, 4) + block + "\nCET-1\n";
  const auto zone = time_zone::from_tzif("x", whole);
  REQUIRE(zone);
  CHECK(zone->offset_at(0) == 3600);
  CHECK_FALSE(zone->next_change(0));
  for (std::size_t length = 0; length < whole.size(); ++length) {
    CHECK_FALSE(time_zone::from_tzif("x", whole.substr(0, length)));
  }
}
