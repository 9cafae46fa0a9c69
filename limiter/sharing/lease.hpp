// SPDX-License-Identifier: Apache-2.0
// Units of one rule and subject that this process took from the store in advance.
#pragma once

#include "limiter/decision.hpp"
#include "limiter/store.hpp"

#include <cstdint>
#include <memory>

namespace weir::limiter {

/// Every number that leasing uses.
struct lease_tuning {
  std::int64_t time_us = 200'000;  ///< h, and the life of unused units
  double least_demand = 4;         ///< units wanted per lease time from which a lease pays
  std::int64_t part_of_burst =
      4;  ///< a lease is at most burst / 4; below that much remaining the store is low
};

/// Units wanted per lease time: an exponentially weighted average over that time.
class demand_meter {
 public:
  void add(std::int64_t units, std::int64_t now_us, std::int64_t time_us) noexcept;
  [[nodiscard]] double per_lease_time(std::int64_t now_us, std::int64_t time_us) const noexcept;

 private:
  double units_ = 0;
  std::int64_t at_us_ = 0;
};

/// min(ceil(demand), burst / 4): what one process may hold.
[[nodiscard]] std::int64_t lease_size(double demand, std::int64_t burst, const lease_tuning& tuning) noexcept;

/// Units to ask for when `held` of a lease of `size` are left, `waiting` are owed to requests that wait, and
/// the store has `remaining` as far as known. While plenty remains, no more than a quarter of it (but what
/// waiting requests need); else whatever is left.
[[nodiscard]] std::int64_t units_to_ask(std::int64_t size, std::int64_t held, std::int64_t waiting,
                                        std::int64_t remaining, std::int64_t burst,
                                        const lease_tuning& tuning) noexcept;

/// How long a store that is low is left alone, before the jitter: max(h, N / (3 rate)). 0 with one member,
/// which would only deny itself.
[[nodiscard]] std::int64_t probe_pause_us(const quota& q, std::int64_t members,
                                          const lease_tuning& tuning) noexcept;

/// True for rules that may be leased at all, with `members` processes: a share of at least one unit each, no
/// algorithm that promises an exact window or counts slots, and no penalty, which the store begins.
[[nodiscard]] bool leasable(const charge& c, std::int64_t members, const lease_tuning& tuning) noexcept;

}  // namespace weir::limiter
