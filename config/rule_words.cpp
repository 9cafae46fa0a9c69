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

std::string statuses_in_words(const limiter::counted_statuses& statuses) {
  std::string words;
  for (const int code : statuses.codes) words += fmt::format(" {}", code);
  for (std::size_t i = 0; i < statuses.classes.size(); ++i) {
    if (statuses.classes[i]) words += fmt::format(" {}xx", i);
  }
  return words;
}

std::string actual_in_words(const limiter::response_cost& cost) {
  using source = limiter::response_cost::source;
  switch (cost.actual) {
    case source::header:
      return fmt::format("response header {}", cost.name);
    case source::json_pointer:
      return fmt::format("{} of the response", cost.name);
    case source::request_bytes:
      return "bytes of the request body";
    case source::response_bytes:
      return "bytes of the response body";
    case source::both_bytes:
      break;
  }
  return "bytes of both bodies";
}

/// What a request costs, when that is not a plain number; begins with "; ".
std::string cost_in_words(const limiter::rule& rule) {
  std::string words;
  if (rule.cost_from) {
    const bool by_header = !rule.cost_from->header.empty();
    words += fmt::format("; the client names {} to {} units in {} {}", rule.cost_from->min,
                         rule.cost_from->max, by_header ? "header" : "query parameter",
                         by_header ? rule.cost_from->header : rule.cost_from->query);
  }
  if (!rule.count.empty())
    words += fmt::format("; only responses with{} stay charged", statuses_in_words(rule.count));
  if (rule.response_cost) {
    const auto& cost = *rule.response_cost;
    const auto unit = cost.unit == 1 ? std::string{} : fmt::format(" per {}", cost.unit);
    words += fmt::format("; {} units reserved, settled by {}{}, at most {}", cost.reserve,
                         actual_in_words(cost), unit, cost.max);
  }
  return words;
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

std::string slots_in_words(const limiter::rule& limit) {
  const auto& slots = *limit.slots;
  const auto waiting = slots.queue == 0 ? std::string{}
                                        : fmt::format(", {} more may wait up to {}", slots.queue,
                                                      format_duration(microseconds{slots.queue_timeout_us}));
  return fmt::format("concurrency: {} at the same time{}{}; free again within {} of a crash",
                     limit.quota.limit, slots.this_process ? " in each process" : "", waiting,
                     format_duration(microseconds{limit.quota.period_us}));
}

namespace {

std::string allowance_in_words(const limiter::rule& rule, const limiter::allowance& allowed) {
  if (!allowed) return "unlimited: not counted";
  if (!rule.slots) return quota_in_words(*allowed);
  return fmt::format("{} at the same time", allowed->limit);
}

/// What its denials do, when that is not plainly to deny; begins with "; ".
std::string mode_in_words(const limiter::rule& rule) {
  std::string words;
  if (rule.overrides) {
    const auto count = rule.overrides->items().size();
    words += fmt::format("; {} override{}", count, count == 1 ? "" : "s");
  }
  if (rule.penalty_us > 0)
    words += fmt::format("; a denial blocks the key for {}", format_duration(microseconds{rule.penalty_us}));
  if (rule.mode == limiter::rule_mode::disabled) return words + "; disabled: not applied";
  if (rule.mode == limiter::rule_mode::shadow || rule.enforce_percent == 0)
    return words + "; shadow: only says what it would deny";
  if (rule.enforce_percent < 100)
    words += fmt::format("; enforced for {} of 100 keys, shadow for the others", rule.enforce_percent);
  return words;
}

}  // namespace

std::vector<std::string> rules_in_words(const std::vector<limiter::rule>& rules) {
  std::size_t width = 0;
  for (const auto& rule : rules) width = std::max(width, rule.name.size());
  std::vector<std::string> lines;
  lines.reserve(rules.size());
  for (const auto& rule : rules) {
    const auto own = rule.slots       ? slots_in_words(rule)
                     : rule.unlimited ? allowance_in_words(rule, std::nullopt)
                                      : quota_in_words(rule.quota);
    lines.push_back(
        fmt::format("rule {:<{}}  {}{}{}", rule.name, width, own, cost_in_words(rule), mode_in_words(rule)));
    for (const auto& t : rule.tiers)
      lines.push_back(fmt::format("rule {:<{}}  tier {}: {}", rule.name, width, t.tier,
                                  allowance_in_words(rule, t.allowed)));
  }
  return lines;
}

}  // namespace weir::config
