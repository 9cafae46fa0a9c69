// SPDX-License-Identifier: Apache-2.0
#include "config/units.hpp"

#include <chrono>
#include <doctest/doctest.h>
#include <string>

using namespace weir::config;
using namespace std::chrono_literals;

TEST_CASE("a duration is a number and a unit") {
  CHECK(parse_duration("250us").value == 250us);
  CHECK(parse_duration("50ms").value == 50ms);
  CHECK(parse_duration("1.5s").value == 1500ms);
  CHECK(parse_duration("0s").value == 0s);
  CHECK(parse_duration("1m").value == 60s);
  CHECK(parse_duration("1h").value == 3600s);
  CHECK(parse_duration("1d").value == 24h);
  CHECK(parse_duration("0.000001s").value == 1us);
}

TEST_CASE("a duration without a unit, with another one, or out of bounds is refused with a hint") {
  CHECK(parse_duration("5").hint == "write `5s` or `5ms`");
  CHECK(parse_duration("5sec").hint == "write `5s`");
  CHECK(parse_duration("5 s").hint == "units: us ms s m h d");
  CHECK_FALSE(parse_duration("").value);
  CHECK_FALSE(parse_duration("-1s").value);
  CHECK_FALSE(parse_duration("+1s").value);
  CHECK_FALSE(parse_duration("1_000ms").value);
  CHECK_FALSE(parse_duration("05s").value);
  CHECK_FALSE(parse_duration("1.s").value);
  CHECK_FALSE(parse_duration(".5s").value);
  CHECK_FALSE(parse_duration("1.5us").value);
  CHECK_FALSE(parse_duration("1.0000001s").value);
  CHECK_FALSE(parse_duration("99999999999999999999s").value);
  CHECK_FALSE(parse_duration("999999999d").value);
}

TEST_CASE("a size counts in powers of 1024 and says so") {
  CHECK(parse_size("512B").value == 512U);
  CHECK(parse_size("64KiB").value == 65536U);
  CHECK(parse_size("1MiB").value == 1048576U);
  CHECK(parse_size("1GiB").value == 1073741824U);
  CHECK(parse_size("64K").hint == "write `64KiB`");
  CHECK(parse_size("64KB").hint == "write `64KiB`");
  CHECK(parse_size("64").hint == "write `64B` or `64KiB`");
  CHECK_FALSE(parse_size("1.5KiB").value);
  CHECK_FALSE(parse_size("9223372036854775807GiB").value);
  CHECK_FALSE(parse_size("KiB").value);
}

TEST_CASE("a rate is a number per named period or per duration") {
  CHECK(parse_rate("100/minute").value->limit == 100);
  CHECK(parse_rate("100/minute").value->period == 60s);
  CHECK(parse_rate("1/second").value->period == 1s);
  CHECK(parse_rate("1/hour").value->period == 1h);
  CHECK(parse_rate("1/day").value->period == 24h);
  CHECK(parse_rate("5/15m").value->period == 15min);
  CHECK(parse_rate("10/1.5s").value->period == 1500ms);
}

TEST_CASE("a rate that is none is refused with what to write") {
  CHECK(parse_rate("100").hint == "such as `100/minute`");
  CHECK(parse_rate("100/min").hint == "write `100/minute`");
  CHECK(parse_rate("100/s").hint == "write `100/second`");
  CHECK(parse_rate("100 / minute").hint == "without spaces, such as `100/minute`");
  CHECK(parse_rate("5/month").value->month);
  CHECK(parse_rate("5/month").value->period == 30 * 24h);
  CHECK_FALSE(parse_rate("5/0s").value);
  CHECK_FALSE(parse_rate("/minute").value);
  CHECK_FALSE(parse_rate("1e3/minute").value);
  CHECK_FALSE(parse_rate("1_000/minute").value);
  CHECK_FALSE(parse_rate("0100/minute").value);
  CHECK_FALSE(parse_rate("-5/minute").value);
  CHECK_FALSE(parse_rate("5/minute/minute").value);
}

TEST_CASE("byte rates and percentages carry their signs") {
  CHECK(parse_byte_rate("500B/second").value == 500U);
  CHECK(parse_byte_rate("1KiB/second").value == 1024U);
  CHECK_FALSE(parse_byte_rate("500B").value);
  CHECK_FALSE(parse_byte_rate("500/second").value);
  CHECK(parse_percent("20%").value == 20);
  CHECK(parse_percent("0%").value == 0);
  CHECK(parse_percent("100%").value == 100);
  CHECK(parse_percent("20").hint == "write `20%`");
  CHECK_FALSE(parse_percent("101%").value);
  CHECK_FALSE(parse_percent("-1%").value);
}

TEST_CASE("an integer is decimal, without sign, underscore and unit") {
  CHECK(parse_integer("0").value == 0);
  CHECK(parse_integer("9223372036854775807").value == 9223372036854775807);
  CHECK_FALSE(parse_integer("9223372036854775808").value);
  CHECK_FALSE(parse_integer("").value);
  CHECK_FALSE(parse_integer("-1").value);
  CHECK_FALSE(parse_integer("+1").value);
  CHECK_FALSE(parse_integer("0x10").value);
  CHECK_FALSE(parse_integer("010").value);
  CHECK_FALSE(parse_integer("1_000").value);
  CHECK(parse_integer("5s").hint == "no unit here: write `5`");
}

TEST_CASE("a boolean is true or false and nothing else") {
  CHECK(parse_boolean("true").value == true);
  CHECK(parse_boolean("false").value == false);
  CHECK_FALSE(parse_boolean("yes").value);
  CHECK_FALSE(parse_boolean("True").value);
}

TEST_CASE("durations and sizes are shown as a user would write them") {
  CHECK(format_duration(600ms) == "600ms");
  CHECK(format_duration(60s) == "60s");
  CHECK(format_duration(90s) == "90s");
  CHECK(format_duration(15min) == "15m");
  CHECK(format_duration(1h) == "1h");
  CHECK(format_duration(24h) == "1d");
  CHECK(format_duration(1500ms) == "1.5s");
  CHECK(format_duration(250us) == "250us");
  CHECK(format_duration(0us) == "0s");
  CHECK(format_size(65536) == "64KiB");
  CHECK(format_size(500) == "500B");
  CHECK(format_size(1025) == "1025B");
}

TEST_CASE("an instant is a date, a time and the distance from UTC") {
  const auto value = [](std::string_view text) { return parse_instant(text).value.value_or(-1); };
  CHECK(value("2027-01-31T00:00:00Z") == 1'801'353'600'000'000);
  CHECK(value("2027-01-31T02:00:00+02:00") == 1'801'353'600'000'000);
  CHECK(value("2027-01-30T18:30:00-05:30") == 1'801'353'600'000'000);
  CHECK(value("2027-01-31T00:00:00.25Z") == 1'801'353'600'250'000);
  CHECK(value("2027-01-31T00:00:00.1234567Z") == 1'801'353'600'123'456);
  CHECK(value("2028-02-29T23:59:60Z") == 1'835'481'600'000'000);  // a leap second is the next midnight
  for (const auto* text :
       {"", "2027-01-31", "2027-01-31T00:00:00", "2027-01-31 00:00:00Z", "2027-02-29T00:00:00Z",
        "2027-13-01T00:00:00Z", "2027-01-32T00:00:00Z", "2027-01-31T24:00:00Z", "2027-01-31T00:60:00Z",
        "2027-01-31T00:00:61Z", "2027-01-31T00:00:00.Z", "2027-01-31T00:00:00+2:00",
        "2027-01-31T00:00:00+02:60", "2027-01-31T00:00:00*02:00", "1969-01-31T00:00:00Z",
        "1970-01-01T00:00:00Z", "1801353600", "2027-1-31T00:00:00Z"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_instant(text).value);
  }
}
