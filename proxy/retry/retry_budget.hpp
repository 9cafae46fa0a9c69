// SPDX-License-Identifier: Apache-2.0
// Bounds retries to a share of the requests of the last 10 seconds, so that an outage is not multiplied.
//
// 1. The share. Retries of the window are at most `percent` of its requests. From the first retry on only
// requests
//    that came since count: what was saved in good times would let an outage begin with ten seconds' worth of
//    retries at once. Instead they may run ahead by the share of about the last second, and wait until it is
//    earned.
// 2. The minimum. `minimum` retries may be active at the same time whatever the share says, so that an
// upstream with
//    little traffic is helped too. This ends while most retries of the window were futile: against an
//    upstream that is down three retries of 10 ms each would be 300 attempts a second.
// Together: with 100 requests a second and more a full outage adds at most `percent` to the upstream's load.
#pragma once

#include <array>
#include <cstdint>

namespace weir::proxy {

/// One per worker and upstream. Pure: `now` is an argument, monotonic microseconds.
class retry_budget {
 public:
  /// `percent` 0 ... 100.
  retry_budget(int percent, int minimum) noexcept : percent_(percent), minimum_(minimum) {}

  void request(std::int64_t now_us) noexcept;                  ///< a first attempt starts
  [[nodiscard]] bool try_retry(std::int64_t now_us) noexcept;  ///< takes one unit; false: exhausted
  void futile(std::int64_t now_us) noexcept;  ///< a granted retry failed like the attempt before
  void finished() noexcept;                   ///< a granted retry ended (or was given up in backoff)

  [[nodiscard]] int active() const noexcept { return active_; }

 private:
  static constexpr int buckets = 10;  // of one second
  struct bucket {
    std::int64_t second = -1;
    std::uint32_t requests = 0;
    std::uint32_t earlier = 0;  // of these, before the first retry of the window
    std::uint32_t retries = 0;
    std::uint32_t futile = 0;
  };
  struct totals {
    std::int64_t requests = 0;
    std::int64_t earlier = 0;
    std::int64_t latest_requests = 0;  // of this second and the one before
    std::int64_t retries = 0;
    std::int64_t futile = 0;
  };
  bucket& at(std::int64_t now_us) noexcept;
  [[nodiscard]] totals window(std::int64_t now_us) const noexcept;
  [[nodiscard]] bool share_allows(const totals& t) const noexcept;
  [[nodiscard]] bool minimum_allows(const totals& t) const noexcept;

  std::array<bucket, buckets> window_{};
  std::int64_t head_start_ = 0;  // requests whose share may be spent before it is earned
  int percent_;
  int minimum_;
  int active_ = 0;
};

}  // namespace weir::proxy
