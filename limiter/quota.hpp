// SPDX-License-Identifier: Apache-2.0
// What a rule allows: the numbers of one limit, and the integers the algorithms compute with.
#pragma once

#include <cstdint>
#include <optional>

namespace weir::limiter {

/// Names as in the policy file and the Lua files. `gcra` in vectors is token_bucket.
enum class algorithm : std::uint8_t {
  token_bucket,
  fixed_window,
  sliding_window_counter,
  sliding_window_log,
  concurrency,
};

/// Whether the windows of fixed_window are those of the epoch or those of a calendar.
enum class calendar_unit : std::uint8_t { none, day, month };

class time_zone;

/// L units per period, at most `burst` at once; concurrency: L slots. Cheap to copy and to compare.
/// Ranges are checked once by validate(); everything behind it relies on them.
struct quota {
  limiter::algorithm algorithm = limiter::algorithm::token_bucket;
  std::int64_t limit = 1;      ///< L, units per period, 1 ... 2^31
  std::int64_t period_us = 1;  ///< P (window algorithms: W, concurrency: lease), microseconds, >= 1; of a
                               ///< calendar window its usual length
  std::int64_t burst = 1;      ///< B, capacity in units (token_bucket); equals limit for all others
  calendar_unit calendar = calendar_unit::none;  ///< not none: fixed_window by the calendar of `zone`
  const time_zone* zone = nullptr;  ///< of find_time_zone(), lives as long as the process; set with calendar

  friend bool operator==(const quota&, const quota&) = default;
};

/// What a key may use: a quota, or nothing to keep to (`unlimited`).
using allowance = std::optional<quota>;

/// Credits: the exact integer form of a token bucket. g = gcd(L, P), r = L/g credits per microsecond,
/// q = P/g credits per unit, cap = B*q. All < 2^53.
struct credits {
  std::int64_t r = 1;
  std::int64_t q = 1;
  std::int64_t cap = 1;
};

/// Credits of a valid token_bucket quota.
[[nodiscard]] credits to_credits(const quota& q) noexcept;

/// A subject that is not used for so long is as never used; valid quotas only. At most, where the calendar
/// decides.
[[nodiscard]] std::int64_t forgotten_after_us(const quota& q) noexcept;

/// Why a quota cannot be computed exactly; `none` when it can.
enum class quota_problem : std::uint8_t {
  none,
  not_positive,        ///< L, P or B < 1
  capacity_too_large,  ///< cap >= 2^53, or time to full >= 2^52 us; nearest legal burst is reported
  log_too_long,        ///< sliding_window_log with L > 10000
  too_many_slots,      ///< concurrency with L > 100000
  window_too_long,     ///< W or lease >= 2^52 us (sliding_window_counter: 2^51)
  window_too_large,    ///< sliding_window_counter with L * W >= 2^53; nearest legal limit is reported
};

struct quota_check {
  quota_problem problem = quota_problem::none;
  std::int64_t nearest_legal =
      0;  ///< largest legal burst (capacity_too_large), period (window_too_long) or limit; else 0
};

/// Load-time check; never throws.
[[nodiscard]] quota_check validate(const quota& q) noexcept;

}  // namespace weir::limiter
