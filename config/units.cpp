// SPDX-License-Identifier: Apache-2.0
#include "config/units.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <fmt/format.h>
#include <limits>

namespace weir::config {
namespace {

using std::chrono::microseconds;

template <class T>
parsed<T> refused(std::string message, std::string hint = {}) {
  return {std::nullopt, std::move(message), std::move(hint)};
}

bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}

std::string_view leading_digits(std::string_view text) {
  const auto* end = std::find_if_not(text.begin(), text.end(), is_digit);
  return text.substr(0, static_cast<std::size_t>(end - text.begin()));
}

bool all_digits(std::string_view text) {
  return !text.empty() && leading_digits(text).size() == text.size();
}

bool octal_looking(std::string_view digits) {
  return digits.size() > 1 && digits.front() == '0';
}

std::optional<std::int64_t> to_integer(std::string_view digits) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

struct named_factor {
  std::string_view name;
  std::int64_t factor;
};

constexpr std::array duration_units{
    named_factor{"us", 1},         named_factor{"ms", 1'000},        named_factor{"s", 1'000'000},
    named_factor{"m", 60'000'000}, named_factor{"h", 3'600'000'000}, named_factor{"d", 86'400'000'000}};
constexpr std::array size_units{named_factor{"B", 1}, named_factor{"KiB", 1024},
                                named_factor{"MiB", 1024 * 1024}, named_factor{"GiB", 1024 * 1024 * 1024}};
constexpr std::array rate_units{named_factor{"second", 1'000'000}, named_factor{"minute", 60'000'000},
                                named_factor{"hour", 3'600'000'000}, named_factor{"day", 86'400'000'000}};
/// What people write instead, and what it is called here.
constexpr std::array<std::pair<std::string_view, std::string_view>, 17> duration_aliases{{{"sec", "s"},
                                                                                          {"secs", "s"},
                                                                                          {"second", "s"},
                                                                                          {"seconds", "s"},
                                                                                          {"min", "m"},
                                                                                          {"mins", "m"},
                                                                                          {"minute", "m"},
                                                                                          {"minutes", "m"},
                                                                                          {"hr", "h"},
                                                                                          {"hour", "h"},
                                                                                          {"hours", "h"},
                                                                                          {"day", "d"},
                                                                                          {"days", "d"},
                                                                                          {"msec", "ms"},
                                                                                          {"usec", "us"},
                                                                                          {"S", "s"},
                                                                                          {"H", "h"}}};
constexpr std::array<std::pair<std::string_view, std::string_view>, 11> size_aliases{{{"K", "KiB"},
                                                                                      {"KB", "KiB"},
                                                                                      {"k", "KiB"},
                                                                                      {"kB", "KiB"},
                                                                                      {"M", "MiB"},
                                                                                      {"MB", "MiB"},
                                                                                      {"G", "GiB"},
                                                                                      {"GB", "GiB"},
                                                                                      {"b", "B"},
                                                                                      {"kib", "KiB"},
                                                                                      {"mib", "MiB"}}};
constexpr std::array<std::pair<std::string_view, std::string_view>, 14> rate_aliases{{{"s", "second"},
                                                                                      {"sec", "second"},
                                                                                      {"seconds", "second"},
                                                                                      {"m", "minute"},
                                                                                      {"min", "minute"},
                                                                                      {"minutes", "minute"},
                                                                                      {"h", "hour"},
                                                                                      {"hr", "hour"},
                                                                                      {"hours", "hour"},
                                                                                      {"d", "day"},
                                                                                      {"days", "day"},
                                                                                      {"Second", "second"},
                                                                                      {"Minute", "minute"},
                                                                                      {"Hour", "hour"}}};

template <std::size_t N>
std::optional<std::int64_t> factor_of(const std::array<named_factor, N>& units, std::string_view name) {
  for (const auto& unit : units) {
    if (unit.name == name) return unit.factor;
  }
  return std::nullopt;
}

template <std::size_t N>
std::string_view meant_by(const std::array<std::pair<std::string_view, std::string_view>, N>& aliases,
                          std::string_view name) {
  for (const auto& [alias, unit] : aliases) {
    if (alias == name) return unit;
  }
  return {};
}

/// `.5` in units of `factor`; nothing when it is no whole number of microseconds.
std::optional<std::int64_t> fraction_of(std::string_view digits, std::int64_t factor) {
  std::int64_t value = 0;
  for (const char c : digits.substr(0, 6)) {
    factor = factor % 10 == 0 ? factor / 10 : 0;
    if (factor == 0) return std::nullopt;
    value += (c - '0') * factor;
  }
  return digits.size() > 6 ? std::nullopt : std::optional{value};
}

}  // namespace

parsed<std::int64_t> parse_integer(std::string_view text) {
  const auto digits = leading_digits(text);
  if (digits.empty()) return refused<std::int64_t>("expected an integer");
  if (digits.size() != text.size()) {
    const bool unit = std::all_of(
        text.begin() + static_cast<std::ptrdiff_t>(digits.size()), text.end(),
        [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '%' || c == '/'; });
    return refused<std::int64_t>("expected an integer",
                                 unit ? fmt::format("no unit here: write `{}`", digits.substr(0, 20)) : "");
  }
  if (octal_looking(digits)) return refused<std::int64_t>("integers are decimal, without leading zeros");
  const auto value = to_integer(digits);
  if (!value) return refused<std::int64_t>("the number is too large");
  return {value, {}, {}};
}

parsed<bool> parse_boolean(std::string_view text) {
  if (text == "true") return {true, {}, {}};
  if (text == "false") return {false, {}, {}};
  return refused<bool>("expected `true` or `false`");
}

parsed<microseconds> parse_duration(std::string_view text) {
  const std::string expected = "expected a duration";
  const auto whole = leading_digits(text);
  auto rest = text.substr(whole.size());
  std::string_view fraction;
  if (rest.starts_with('.')) {
    fraction = leading_digits(rest.substr(1));
    if (fraction.empty()) return refused<microseconds>(expected, "such as `1.5s`");
    rest.remove_prefix(1 + fraction.size());
  }
  if (whole.empty()) return refused<microseconds>(expected, "such as `250ms`, `5s`, `1m`");
  const auto number = text.substr(0, text.size() - rest.size()).substr(0, 20);
  if (rest.empty())
    return refused<microseconds>("a duration needs a unit", fmt::format("write `{0}s` or `{0}ms`", number));
  if (octal_looking(whole)) return refused<microseconds>(expected, "without leading zeros");
  const auto factor = factor_of(duration_units, rest);
  if (!factor) {
    const auto meant = meant_by(duration_aliases, rest);
    return refused<microseconds>(
        expected, meant.empty() ? "units: us ms s m h d" : fmt::format("write `{}{}`", number, meant));
  }
  constexpr std::int64_t longest = 3650 * std::int64_t{86'400'000'000};
  const auto count = to_integer(whole);
  if (!count || *count > longest / *factor) return refused<microseconds>("the duration is too long");
  const auto part = fraction_of(fraction, *factor);
  if (!part) return refused<microseconds>("the duration is no whole number of microseconds");
  return {microseconds{*count * *factor + *part}, {}, {}};
}

parsed<std::uint64_t> parse_size(std::string_view text) {
  const auto digits = leading_digits(text);
  if (digits.empty()) return refused<std::uint64_t>("expected a size", "such as `64KiB`, `1MiB`");
  const auto unit = text.substr(digits.size());
  const auto number = digits.substr(0, 20);
  if (unit.empty())
    return refused<std::uint64_t>("a size needs a unit", fmt::format("write `{0}B` or `{0}KiB`", number));
  if (octal_looking(digits)) return refused<std::uint64_t>("expected a size", "without leading zeros");
  const auto factor = factor_of(size_units, unit);
  if (!factor) {
    const auto meant = meant_by(size_aliases, unit);
    return refused<std::uint64_t>("expected a size", meant.empty()
                                                         ? "units: B KiB MiB GiB"
                                                         : fmt::format("write `{}{}`", number, meant));
  }
  const auto count = to_integer(digits);
  if (!count || *count > std::numeric_limits<std::int64_t>::max() / *factor) {
    return refused<std::uint64_t>("the size is too large");
  }
  return {static_cast<std::uint64_t>(*count * *factor), {}, {}};
}

parsed<rate> parse_rate(std::string_view text) {
  const std::string expected = "expected a rate";
  if (text.find(' ') != std::string_view::npos)
    return refused<rate>(expected, "without spaces, such as `100/minute`");
  const auto slash = text.find('/');
  const auto count = text.substr(0, slash);
  if (slash == std::string_view::npos) {
    return refused<rate>(all_digits(text) ? "a rate needs its period" : expected,
                         all_digits(text) ? fmt::format("such as `{}/minute`", text.substr(0, 20))
                                          : "such as `100/minute`, `5/15m`");
  }
  const auto number = parse_integer(count);
  if (!number.value)
    return refused<rate>(expected + ": " + number.message + " before the `/`", "such as `100/minute`");
  const auto period = text.substr(slash + 1);
  if (const auto us = factor_of(rate_units, period)) return {rate{*number.value, microseconds{*us}}, {}, {}};
  if (period == "month") return {rate{*number.value, std::chrono::days{30}, true}, {}, {}};
  if (const auto meant = meant_by(rate_aliases, period); !meant.empty()) {
    return refused<rate>(expected, fmt::format("write `{}/{}`", count.substr(0, 20), meant));
  }
  const auto duration = parse_duration(period);
  if (!duration.value)
    return refused<rate>(expected, "periods: second minute hour day month, or a duration such as `15m`");
  if (duration.value->count() == 0) return refused<rate>("the period of a rate must be longer than zero");
  return {rate{*number.value, *duration.value}, {}, {}};
}

namespace {

/// Exactly `digits` digits at `at`, as a number in least ... most; -1 = anything else.
int field_of(std::string_view text, std::size_t at, std::size_t digits, int least, int most) {
  if (at + digits > text.size()) return -1;
  int value = 0;
  for (const char c : text.substr(at, digits)) {
    if (c < '0' || c > '9') return -1;
    value = value * 10 + (c - '0');
  }
  return value >= least && value <= most ? value : -1;
}

/// Minutes east of UTC of `Z` or `+02:00`; nothing for anything else.
std::optional<int> zone_offset(std::string_view text) {
  if (text == "Z") return 0;
  const int hours = field_of(text, 1, 2, 0, 23), minutes = field_of(text, 4, 2, 0, 59);
  if (text.size() != 6 || hours < 0 || minutes < 0 || text[3] != ':') return std::nullopt;
  if (text.front() != '+' && text.front() != '-') return std::nullopt;
  return (text.front() == '+' ? 1 : -1) * (hours * 60 + minutes);
}

/// Takes the fraction of a second, at most six digits, off the front; microseconds, -1 when there is no
/// digit.
std::int64_t take_fraction(std::string_view& text) {
  if (!text.starts_with('.')) return 0;
  std::int64_t us = 0;
  std::size_t digits = 0;
  for (text.remove_prefix(1); !text.empty() && text.front() >= '0' && text.front() <= '9';
       text.remove_prefix(1)) {
    if (++digits <= 6) us = us * 10 + (text.front() - '0');
  }
  if (digits == 0) return -1;
  for (; digits < 6; ++digits) us *= 10;
  return us;
}

}  // namespace

parsed<std::int64_t> parse_instant(std::string_view text) {
  const auto no = [] {
    return refused<std::int64_t>("expected an instant", "such as `2027-01-31T00:00:00Z`");
  };
  constexpr std::string_view form = "    -  -  T  :  :  ";
  if (text.size() < form.size() + 1) return no();
  for (std::size_t i = 0; i < form.size(); ++i) {
    if (form[i] != ' ' && text[i] != form[i]) return no();
  }
  const int year = field_of(text, 0, 4, 1970, 9999), month = field_of(text, 5, 2, 1, 12),
            day = field_of(text, 8, 2, 1, 31);
  const int hour = field_of(text, 11, 2, 0, 23), minute = field_of(text, 14, 2, 0, 59),
            second = field_of(text, 17, 2, 0, 60);
  std::string_view rest = text.substr(form.size());
  const std::int64_t fraction = take_fraction(rest);
  const auto offset = zone_offset(rest);
  const bool has_fields = year >= 0 && month > 0 && day > 0 && hour >= 0 && minute >= 0 && second >= 0;
  if (!has_fields || fraction < 0 || !offset) return no();
  const std::chrono::year_month_day date{std::chrono::year{year},
                                         std::chrono::month{static_cast<unsigned>(month)},
                                         std::chrono::day{static_cast<unsigned>(day)}};
  if (!date.ok()) return refused<std::int64_t>("there is no such day");
  const auto whole = std::chrono::sys_days{date} + std::chrono::hours{hour} +
                     std::chrono::minutes{minute - *offset} + std::chrono::seconds{second};
  const std::int64_t us = std::chrono::microseconds{whole.time_since_epoch()}.count() + fraction;
  if (us <= 0) return no();
  return {us, {}, {}};
}

parsed<std::uint64_t> parse_byte_rate(std::string_view text) {
  constexpr std::string_view suffix = "/second";
  if (!text.ends_with(suffix))
    return refused<std::uint64_t>("expected a byte rate", "such as `500B/second`, or `none`");
  text.remove_suffix(suffix.size());
  return parse_size(text);
}

parsed<int> parse_percent(std::string_view text) {
  if (all_digits(text))
    return refused<int>("a percentage needs its sign", fmt::format("write `{}%`", text.substr(0, 20)));
  if (!text.ends_with('%')) return refused<int>("expected a percentage", "such as `20%`");
  const auto number = parse_integer(text.substr(0, text.size() - 1));
  if (!number.value) return refused<int>("expected a percentage", "such as `20%`");
  if (*number.value > 100) return refused<int>("a percentage is at most 100%");
  return {static_cast<int>(*number.value), {}, {}};
}

std::string format_duration(microseconds d) {
  const auto us = d.count();
  if (us == 0) return "0s";
  // Up to two minutes in seconds: "199 in any 60s" is easier to compare than "in any 1m".
  for (const auto& [name, factor] :
       {named_factor{"d", 86'400'000'000}, named_factor{"h", 3'600'000'000}, named_factor{"m", 60'000'000}}) {
    if (us >= 2 * factor || (us == factor && name != "m")) {
      if (us % factor == 0) return fmt::format("{}{}", us / factor, name);
    }
  }
  for (const auto& [name, factor] : {named_factor{"s", 1'000'000}, named_factor{"ms", 1'000}}) {
    if (us < factor) continue;
    auto text = fmt::format("{}.{:03}", us / factor, us % factor * 1000 / factor);
    text.erase(text.find_last_not_of('0') + 1);
    if (text.ends_with('.')) text.pop_back();
    return text + std::string{name};
  }
  return fmt::format("{}us", us);
}

std::string format_size(std::uint64_t bytes) {
  std::string_view name = "B";
  std::uint64_t factor = 1;
  for (const auto& unit : size_units) {
    const auto f = static_cast<std::uint64_t>(unit.factor);
    if (bytes >= f && bytes % f == 0) {
      name = unit.name;
      factor = f;
    }
  }
  return fmt::format("{}{}", bytes / factor, name);
}

}  // namespace weir::config
