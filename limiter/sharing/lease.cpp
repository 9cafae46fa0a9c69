// SPDX-License-Identifier: Apache-2.0
#include "limiter/sharing/lease.hpp"

#include <algorithm>
#include <cmath>

namespace weir::limiter {

void demand_meter::add(std::int64_t units, std::int64_t now_us, std::int64_t time_us) noexcept {
  units_ = per_lease_time(now_us, time_us) + static_cast<double>(units);
  at_us_ = now_us;
}

double demand_meter::per_lease_time(std::int64_t now_us, std::int64_t time_us) const noexcept {
  if (units_ == 0 || now_us <= at_us_) return units_;
  return units_ * std::exp(-static_cast<double>(now_us - at_us_) / static_cast<double>(time_us));
}

std::int64_t lease_size(double demand, std::int64_t burst, const lease_tuning& tuning) noexcept {
  const std::int64_t largest = burst / tuning.part_of_burst;
  if (demand >= static_cast<double>(largest)) return largest;
  return static_cast<std::int64_t>(std::ceil(demand));
}

std::int64_t units_to_ask(std::int64_t size, std::int64_t held, std::int64_t waiting, std::int64_t remaining,
                          std::int64_t burst, const lease_tuning& tuning) noexcept {
  const std::int64_t wanted = std::max<std::int64_t>(1, size - held);
  if (remaining <= burst / tuning.part_of_burst) return wanted;
  return std::min(wanted, std::max({std::int64_t{1}, waiting, remaining / 4}));
}

std::int64_t probe_pause_us(const quota& q, std::int64_t members, const lease_tuning& tuning) noexcept {
  if (members <= 1) return 0;
  const double turn = static_cast<double>(members) * static_cast<double>(q.period_us) /
                      (3 * static_cast<double>(q.limit));  // a probe of each while three units come back
  constexpr double longest_us = 60'000'000;
  return std::max(tuning.time_us, static_cast<std::int64_t>(std::min(turn, longest_us)));
}

bool leasable(const charge& c, std::int64_t members, const lease_tuning& tuning) noexcept {
  if (c.matched->sharing != sharing_mode::balanced || c.matched->penalty_us > 0) return false;
  const quota& q = c.quota();
  if (q.burst < members || q.burst < tuning.part_of_burst) return false;
  return q.algorithm != algorithm::sliding_window_log && q.algorithm != algorithm::concurrency;
}

}  // namespace weir::limiter
