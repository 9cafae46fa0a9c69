// SPDX-License-Identifier: Apache-2.0
// Bounds retries to a share of the requests of the last 10 seconds, so that an outage is not multiplied.
#pragma once

#include <array>
#include <cstdint>

namespace weir::proxy {

/// One per worker and upstream. Pure: `now` is an argument, monotonic microseconds.
class retry_budget {
 public:
  /// `percent` 0 ... 100; `minimum` retries may always be in flight or in backoff at the same time.
  retry_budget(int percent, int minimum) noexcept : percent_(percent), minimum_(minimum) {}

  void request(std::int64_t now_us) noexcept;              ///< a first attempt starts
  [[nodiscard]] bool try_retry(std::int64_t now_us) noexcept;  ///< takes one unit; false: exhausted
  void finished() noexcept;                                ///< a granted retry ended (or was given up in backoff)

  [[nodiscard]] int active() const noexcept { return active_; }

 private:
  static constexpr int buckets = 10;  // of one second
  struct bucket {
    std::int64_t second = -1;
    std::uint32_t requests = 0;
    std::uint32_t retries = 0;
  };
  bucket& at(std::int64_t now_us) noexcept;
  std::array<bucket, buckets> window_{};
  int percent_;
  int minimum_;
  int active_ = 0;
};

}  // namespace weir::proxy
