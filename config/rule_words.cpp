// SPDX-License-Identifier: Apache-2.0
#include "config/rule_words.hpp"

#include "config/units.hpp"
#include "limiter/time_zone.hpp"

#include <algorithm>
#include <chrono>
#include <fmt/format.h>

namespace weir::config {

using std::chrono::microseconds;

namespace {

using limiter::algorithm;

std::string bucket_in_words(const limiter::quota& q, const std::string& period) {
  std::string refill;
  if (q.period_us >= q.limit) {
    const bool exact = q.period_us % q.limit == 0;
    refill = fmt::format("1 every {}{}", exact ? "" : "about ",
                         format_duration(microseconds{q.period_us / q.limit}));
  } else {
    refill = fmt::format("{} every {}", q.limit, period);  // more than one a microsecond
  }
  return fmt::format("token bucket: {} at once, then {}; at most {} in any {}", q.burst, refill,
                     worst_case_per_period(q), period);
}

std::string window_in_words(const limiter::quota& q, const std::string& period) {
  if (q.calendar == limiter::calendar_unit::none) {
    return fmt::format("fixed window: {} in each {} since the epoch; at most {} in any {}", q.limit, period,
                       worst_case_per_period(q), period);
  }
  const bool month = q.calendar == limiter::calendar_unit::month;
  return fmt::format("fixed window: {} in each {} of {}; at most {} around the midnight between two", q.limit,
                     month ? "month" : "day", q.zone->name(), worst_case_per_period(q));
}

}  // namespace

std::int64_t worst_case_per_period(const limiter::quota& q) noexcept {
  switch (q.algorithm) {
    case algorithm::token_bucket:
      // Any window of length W lets at most B + ceil(W * L / P) - 1 units through; here W = P.
      return q.burst + q.limit - 1;
    case algorithm::fixed_window:
      return 2 * q.limit;
    case algorithm::sliding_window_counter:
      return 2 * q.limit - 1;
    case algorithm::sliding_window_log:
    case algorithm::concurrency:
      break;
  }
  return q.limit;
}

std::string quota_in_words(const limiter::quota& q) {
  const auto period = format_duration(microseconds{q.period_us});
  switch (q.algorithm) {
    case algorithm::token_bucket:
      return bucket_in_words(q, period);
    case algorithm::fixed_window:
      return window_in_words(q, period);
    case algorithm::sliding_window_counter:
      return fmt::format("sliding window counter: {} in any {} of steady traffic; at most {} in any {}",
                         q.limit, period, worst_case_per_period(q), period);
    case algorithm::sliding_window_log:
      return fmt::format("sliding window log: never more than {} in any {}", q.limit, period);
    case algorithm::concurrency:
      break;
  }
  return fmt::format("concurrency: at most {} at once; a slot of a crashed process is free after {}", q.limit,
                     period);
}

std::vector<std::string> rules_in_words(const std::vector<limiter::rule>& rules) {
  std::size_t width = 0;
  for (const auto& rule : rules) width = std::max(width, rule.name.size());
  std::vector<std::string> lines;
  lines.reserve(rules.size());
  for (const auto& rule : rules)
    lines.push_back(fmt::format("rule {:<{}}  {}", rule.name, width, quota_in_words(rule.quota)));
  return lines;
}

}  // namespace weir::config
