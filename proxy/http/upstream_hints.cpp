// SPDX-License-Identifier: Apache-2.0
#include "proxy/http/upstream_hints.hpp"

#include "proxy/http/grammar.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <optional>

namespace weir::http {
namespace {

constexpr std::int64_t second_us = 1'000'000;

/// 1*DIGIT below 2^32; nothing else.
std::optional<std::int64_t> whole_number(std::string_view text) noexcept {
  std::uint32_t value = 0;
  const char* const end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, value);
  if (result.ec != std::errc() || result.ptr != end) return std::nullopt;
  return value;
}

/// "Sun, 06 Nov 1994 08:49:37 GMT"; the name of the day is not compared.
std::optional<std::int64_t> unix_seconds(std::string_view date) noexcept {
  constexpr std::array<std::string_view, 12> months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  constexpr std::string_view form = "---, -- --- ---- --:--:-- GMT";
  if (date.size() != form.size()) return std::nullopt;
  for (std::size_t i = 0; i < form.size(); ++i) {
    if (form[i] != '-' && form[i] != date[i]) return std::nullopt;
  }
  const auto month = std::find(months.begin(), months.end(), date.substr(8, 3));
  const auto day = whole_number(date.substr(5, 2)), year = whole_number(date.substr(12, 4));
  const auto hour = whole_number(date.substr(17, 2)), minute = whole_number(date.substr(20, 2)),
             second = whole_number(date.substr(23, 2));
  if (month == months.end() || !day || !year || !hour || !minute || !second) return std::nullopt;
  const std::chrono::year_month_day calendar{
      std::chrono::year(static_cast<int>(*year)),
      std::chrono::month(static_cast<unsigned>(month - months.begin()) + 1),
      std::chrono::day(static_cast<unsigned>(*day))};
  if (!calendar.ok() || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  const auto days = std::chrono::sys_days(calendar).time_since_epoch().count();
  return std::int64_t{days} * 86'400 + *hour * 3'600 + *minute * 60 + *second;
}

}  // namespace

std::int64_t keep_alive_us(std::string_view value) noexcept {
  constexpr std::string_view name = "timeout=";
  std::string_view element;
  while (grammar::next_element(value, element)) {
    if (!grammar::equals_ignoring_case(element.substr(0, name.size()), name)) continue;
    const auto seconds = whole_number(element.substr(name.size()));
    return seconds ? std::max<std::int64_t>(0, *seconds - 1) * second_us : -1;
  }
  return -1;
}

std::int64_t retry_after_us(std::string_view value, std::int64_t wall_now_s) noexcept {
  if (const auto seconds = whole_number(value)) return *seconds * second_us;
  if (const auto date = unix_seconds(value)) return std::max<std::int64_t>(0, *date - wall_now_s) * second_us;
  return -1;
}

}  // namespace weir::http
