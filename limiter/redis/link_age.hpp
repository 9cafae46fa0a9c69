// SPDX-License-Identifier: Apache-2.0
// When a connection has to be asked whether it still lives, and when it has served long enough. Pure.
#pragma once

#include <chrono>

namespace weir::limiter::redis {

class link_age {
 public:
  using clock = std::chrono::steady_clock;
  /// Idle for longer, a connection may have been cut by something between us that tells nobody.
  static constexpr clock::duration trusted_idle = std::chrono::seconds(10);

  link_age() = default;
  /// Connected at `now`; lives `recycle` +- 10 %. `random` is uniform in [0, 1).
  link_age(clock::time_point now, std::chrono::milliseconds recycle, double random) noexcept : used_at_(now) {
    const std::chrono::duration<double, clock::period> life = recycle * (0.9 + random / 5);
    recycle_at_ = now + std::chrono::duration_cast<clock::duration>(life);
  }

  void used(clock::time_point now) noexcept { used_at_ = now; }
  [[nodiscard]] bool ping_first(clock::time_point now) const noexcept {
    return now - used_at_ > trusted_idle;
  }
  [[nodiscard]] clock::time_point recycle_at() const noexcept { return recycle_at_; }
  /// The replacement failed: serve a little longer.
  void postpone(clock::time_point until) noexcept { recycle_at_ = until; }

 private:
  clock::time_point used_at_{};
  clock::time_point recycle_at_{};
};

}  // namespace weir::limiter::redis
