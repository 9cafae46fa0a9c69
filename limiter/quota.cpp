// SPDX-License-Identifier: Apache-2.0
#include "limiter/quota.hpp"

#include "limiter/algorithms/integer.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <numeric>

namespace weir::limiter {
namespace {

// Lua computes with doubles: everything stays below 2^53, and instants (now + time to full) too.
constexpr std::int64_t exact_limit = std::int64_t{1} << 53;
constexpr std::int64_t longest_time_to_full_us = std::int64_t{1} << 52;
constexpr std::int64_t longest_log = 10'000;
constexpr std::int64_t most_slots = 100'000;

struct ratio {
  std::int64_t limit = 0;
  std::int64_t period_us = 0;
  std::int64_t r = 0;
  std::int64_t q = 0;
};

// gcd and two divisions cost as much as the rest of a decision, and a process has few distinct rates.
const ratio& reduced(std::int64_t limit, std::int64_t period_us) noexcept {
  thread_local std::array<ratio, 64> memo;
  const auto mixed =
      static_cast<std::uint64_t>(limit) * 0x9e3779b97f4a7c15u + static_cast<std::uint64_t>(period_us);
  ratio& slot = memo[static_cast<std::size_t>((mixed * 0x9e3779b97f4a7c15u) >> 58)];
  if (slot.limit != limit || slot.period_us != period_us) {
    const std::int64_t g = std::gcd(limit, period_us);
    slot = {limit, period_us, limit / g, period_us / g};
  }
  return slot;
}

quota_check validate_token_bucket(const quota& q) noexcept {
  const ratio& rate = reduced(q.limit, q.period_us);
  const wide largest_cap =
      std::min<wide>(exact_limit - 1, static_cast<wide>(longest_time_to_full_us) * rate.r - 1);
  if (static_cast<wide>(q.burst) * rate.q <= largest_cap) return {};
  return {quota_problem::capacity_too_large, static_cast<std::int64_t>(largest_cap / rate.q)};
}

quota_check validate_window(const quota& q, std::int64_t bound_us) noexcept {
  if (q.period_us < bound_us) return {};
  return {quota_problem::window_too_long, bound_us - 1};
}

quota_check validate_sliding_window_log(const quota& q) noexcept {
  if (q.limit > longest_log) return {quota_problem::log_too_long, longest_log};
  return validate_window(q, longest_time_to_full_us);
}

quota_check validate_counter(const quota& q) noexcept {
  const quota_check window = validate_window(q, longest_time_to_full_us / 2);  // X lies two windows ahead
  if (window.problem != quota_problem::none) return window;
  if (static_cast<wide>(q.limit) * q.period_us < exact_limit) return {};
  return {quota_problem::window_too_large, (exact_limit - 1) / q.period_us};
}

quota_check validate_concurrency(const quota& q) noexcept {
  if (q.limit > most_slots) return {quota_problem::too_many_slots, most_slots};
  return validate_window(q, longest_time_to_full_us);
}

}  // namespace

credits to_credits(const quota& q) noexcept {
  const ratio& rate = reduced(q.limit, q.period_us);
  return {rate.r, rate.q, q.burst * rate.q};
}

std::int64_t forgotten_after_us(const quota& q) noexcept {
  constexpr std::int64_t longest_month_us = 31LL * 25 * 3'600'000'000;
  if (q.calendar != calendar_unit::none) return longest_month_us;
  switch (q.algorithm) {
    case algorithm::token_bucket: {
      const credits c = to_credits(q);
      return ceil_div(c.cap, c.r);
    }
    case algorithm::sliding_window_counter:
      return 2 * q.period_us;
    default:
      return q.period_us;
  }
}

quota_check validate(const quota& q) noexcept {
  if (q.limit < 1 || q.period_us < 1 || q.burst < 1) return {quota_problem::not_positive, 0};
  switch (q.algorithm) {
    case algorithm::token_bucket:
      return validate_token_bucket(q);
    case algorithm::fixed_window:
      return validate_window(q, longest_time_to_full_us);
    case algorithm::sliding_window_counter:
      return validate_counter(q);
    case algorithm::concurrency:
      return validate_concurrency(q);
    case algorithm::sliding_window_log:
      return validate_sliding_window_log(q);
  }
  return {};
}

}  // namespace weir::limiter
