// SPDX-License-Identifier: Apache-2.0
// Days and months of a time zone as instants.
#pragma once

#include "limiter/quota.hpp"
#include "limiter/time_zone.hpp"

#include <cstdint>

namespace weir::limiter {

/// Starts of the window that holds an instant, of the next and of the one after, microseconds since the
/// epoch.
struct calendar_windows {
  std::int64_t current_us = 0;
  std::int64_t next_us = 0;
  std::int64_t after_next_us = 0;
};

/// A window starts at the first instant of its local date: midnight, the first one where it occurs twice, or
/// the transition that skips it. A date that a zone never had has no window. `unit` is not none, `at_us` > 0
/// and before the year 5000. Pure; remembers the last answer of each thread.
[[nodiscard]] calendar_windows windows_around(const time_zone& zone, calendar_unit unit,
                                              std::int64_t at_us) noexcept;

}  // namespace weir::limiter
