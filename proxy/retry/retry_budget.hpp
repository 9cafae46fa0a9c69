// SPDX-License-Identifier: Apache-2.0
// Bounds retries to a share of the requests of the last 10 seconds, so that an outage is not multiplied.
//
// The rule: retries of the window, this one included, are at most `percent` of the requests of the window. A
// quiet upstream would never earn a retry that way, so below `few_requests` in the window, and only while the
// share is worth less than `minimum`, `minimum` retries may be active at the same time instead. They count in
// the window like all others. With traffic above that the share alone decides: a minimum that always held
// would let three retries of 10 ms each add 300 attempts a second to an upstream that is down.
#pragma once

#include <array>
#include <cstdint>

namespace weir::proxy {

/// One per worker and upstream. Pure: `now` is an argument, monotonic microseconds.
class retry_budget {
 public:
  static constexpr std::uint32_t few_requests = 100;

  /// `percent` 0 ... 100; `minimum` retries may be in flight or in backoff at the same time while requests
  /// are few.
  retry_budget(int percent, int minimum) noexcept : percent_(percent), minimum_(minimum) {}

  void request(std::int64_t now_us) noexcept;                  ///< a first attempt starts
  [[nodiscard]] bool try_retry(std::int64_t now_us) noexcept;  ///< takes one unit; false: exhausted
  void finished() noexcept;  ///< a granted retry ended (or was given up in backoff)

  [[nodiscard]] int active() const noexcept { return active_; }

 private:
  static constexpr int buckets = 10;  // of one second
  struct bucket {
    std::int64_t second = -1;
    std::uint32_t requests = 0;
    std::uint32_t retries = 0;
  };
  bucket& at(std::int64_t now_us) noexcept;
  [[nodiscard]] bool allows_retry(std::int64_t now_us) const noexcept;
  std::array<bucket, buckets> window_{};
  int percent_;
  int minimum_;
  int active_ = 0;
};

}  // namespace weir::proxy
