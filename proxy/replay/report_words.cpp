// SPDX-License-Identifier: Apache-2.0
#include "proxy/replay/report_words.hpp"

#include "limiter/quota.hpp"
#include "proxy/replay/report.hpp"

#include <array>
#include <ctime>
#include <fmt/format.h>

namespace weir::replay {

std::string grouped(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (std::size_t i = text.size(); i > 3; i -= 3) text.insert(i - 3, ",");
  return text;
}

std::string percentage(std::uint64_t part, std::uint64_t whole) {
  if (part == 0 || whole == 0) return "0 %";
  const double percent = 100.0 * static_cast<double>(part) / static_cast<double>(whole);
  return percent < 0.01 ? "<0.01 %" : fmt::format("{:.2f} %", percent);
}

std::string date_and_time(std::int64_t time_us) {
  const std::time_t seconds = time_us / 1'000'000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 32> text;
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S", &parts)};
}

std::string time_span(std::int64_t us) {
  if (us < 1'000'000) return fmt::format("{}ms", us / 1000);
  const std::int64_t s = us / 1'000'000;
  std::string text;
  if (s >= 86400) text += fmt::format("{}d ", s / 86400);
  if (s % 86400 >= 3600) text += fmt::format("{}h ", s % 86400 / 3600);
  if (s % 3600 >= 60) text += fmt::format("{}m ", s % 3600 / 60);
  if (s % 60 > 0) text += fmt::format("{}s ", s % 60);
  text.pop_back();
  return text;
}

std::string rate_text(std::int64_t limit, const limiter::quota& quota) {
  constexpr std::int64_t second = 1'000'000, minute = 60 * second, hour = 60 * minute, day = 24 * hour;
  if (quota.calendar == limiter::calendar_unit::month) return fmt::format("{}/month", limit);
  const std::int64_t us = quota.calendar == limiter::calendar_unit::day ? day : quota.period_us;
  for (const auto& [unit, name] :
       {std::pair{second, "second"}, {minute, "minute"}, {hour, "hour"}, {day, "day"}}) {
    if (us == unit) return fmt::format("{}/{}", limit, name);
  }
  for (const auto& [unit, name] :
       {std::pair{day, "d"}, {hour, "h"}, {minute, "m"}, {second, "s"}, {std::int64_t{1000}, "ms"}}) {
    if (us % unit == 0) return fmt::format("{}/{}{}", limit, us / unit, name);
  }
  return fmt::format("{}/{}us", limit, us);
}

bool covers_a_window(const log_replay& replay, const limiter::rule& rule) noexcept {
  const tally& numbers = replay.policy().numbers;
  return numbers.last_us() - numbers.first_us() >= rule.quota.period_us;
}

}  // namespace weir::replay
