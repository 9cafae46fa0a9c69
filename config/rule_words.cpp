// SPDX-License-Identifier: Apache-2.0
#include "config/rule_words.hpp"

#include "config/units.hpp"

#include <algorithm>
#include <chrono>
#include <fmt/format.h>

namespace weir::config {

using std::chrono::microseconds;

std::int64_t worst_case_per_period(const limiter::quota& q) noexcept {
  // Any window of length W lets at most B + ceil(W * L / P) - 1 units through; here W = P.
  return q.algorithm == limiter::algorithm::token_bucket ? q.burst + q.limit - 1 : q.limit;
}

std::string quota_in_words(const limiter::quota& q) {
  const auto period = format_duration(microseconds{q.period_us});
  if (q.algorithm == limiter::algorithm::sliding_window_log) {
    return fmt::format("sliding window log: never more than {} in any {}", q.limit, period);
  }
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
