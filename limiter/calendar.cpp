// SPDX-License-Identifier: Apache-2.0
#include "limiter/calendar.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>

namespace weir::limiter {
namespace {

constexpr std::int64_t day_s = 86'400;
constexpr std::int64_t second_us = 1'000'000;

// Days and months are counted from 1970-01-01; a window is such a number.
std::int64_t first_day_of(calendar_unit unit, std::int64_t window) noexcept {
  if (unit == calendar_unit::day) return window;
  const auto month = std::chrono::year{1970} / std::chrono::January + std::chrono::months{window};
  return std::chrono::sys_days{month / 1}.time_since_epoch().count();
}

std::int64_t window_of(calendar_unit unit, std::int64_t day) noexcept {
  if (unit == calendar_unit::day) return day;
  const std::chrono::year_month_day date{std::chrono::sys_days{std::chrono::days{day}}};
  return (static_cast<int>(date.year()) - 1970) * std::int64_t{12} +
         static_cast<std::int64_t>(static_cast<unsigned>(date.month())) - 1;
}

/// The first instant whose local time is `local_s` or later. Offsets differ by less than two days.
std::int64_t first_instant(const time_zone& zone, std::int64_t local_s) noexcept {
  std::int64_t from = local_s - 2 * day_s;
  for (;;) {
    const std::int64_t candidate = std::max(from, local_s - zone.offset_at(from));
    const auto change = zone.next_change(from);
    if (!change || candidate < *change) return candidate;
    from = *change;
  }
}

std::int64_t start_of(const time_zone& zone, calendar_unit unit, std::int64_t window) noexcept {
  return first_instant(zone, first_day_of(unit, window) * day_s);
}

std::int64_t floor_div(std::int64_t a, std::int64_t b) noexcept {
  return a / b - (a % b < 0 ? 1 : 0);
}

calendar_windows compute(const time_zone& zone, calendar_unit unit, std::int64_t at_us) noexcept {
  const std::int64_t at_s = floor_div(at_us, second_us);
  std::int64_t window = window_of(unit, floor_div(at_s + zone.offset_at(at_s), day_s));
  // A clock set back over midnight shows the old date once more, but its window is over.
  while (start_of(zone, unit, window + 1) <= at_s) ++window;
  const std::int64_t current = start_of(zone, unit, window);
  const auto after = [&](std::int64_t start) {
    std::int64_t next = start;
    while (next <= start)
      next = start_of(zone, unit, ++window);  // a date that was skipped starts with the next
    return next;
  };
  const std::int64_t next = after(current);
  return {current * second_us, next * second_us, after(next) * second_us};
}

struct remembered {
  const time_zone* zone = nullptr;
  calendar_unit unit = calendar_unit::none;
  calendar_windows windows;
};

}  // namespace

calendar_windows windows_around(const time_zone& zone, calendar_unit unit, std::int64_t at_us) noexcept {
  thread_local std::array<remembered, 16> memo;
  const auto mixed = (reinterpret_cast<std::uintptr_t>(&zone) >> 4) * 2 + static_cast<std::size_t>(unit);
  remembered& slot = memo[mixed % memo.size()];
  if (slot.zone != &zone || slot.unit != unit || at_us < slot.windows.current_us ||
      at_us >= slot.windows.next_us) {
    slot = {&zone, unit, compute(zone, unit, at_us)};
  }
  return slot.windows;
}

}  // namespace weir::limiter
