// SPDX-License-Identifier: Apache-2.0
// One coarse timer wheel per worker instead of a kernel or heap timer per operation. Pure: `now` is an argument.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace weir::proxy {

/// An intrusive timer. Owned by whoever waits; must be disarmed (or destroyed, which disarms) before its storage goes.
class timer {
 public:
  timer() = default;
  timer(const timer&) = delete;
  timer& operator=(const timer&) = delete;
  virtual ~timer();
  /// Called by the wheel at or after the deadline, disarmed already; may arm itself again or destroy itself.
  virtual void on_timer() = 0;
  [[nodiscard]] bool armed() const noexcept { return next_ != nullptr; }
  [[nodiscard]] std::int64_t deadline_us() const noexcept { return deadline_us_; }

 private:
  friend class timer_wheel;
  timer* next_ = nullptr;
  timer* previous_ = nullptr;
  class timer_wheel* wheel_ = nullptr;
  std::int64_t deadline_us_ = 0;
  std::int64_t slot_time_ = 0;  // the tick the node is filed under
};

/// Resolution 4 ms near, coarser far; a timer never fires early and at most one tick late (when advance() is called on
/// time). arm() and disarm() are O(1); re-arming to a later deadline only stores it (the node is re-filed when its old
/// slot comes up), so pushing a deadline per request costs a store.
class timer_wheel {
 public:
  static constexpr std::int64_t tick_us = 4000;

  explicit timer_wheel(std::int64_t now_us) noexcept;
  ~timer_wheel();
  timer_wheel(const timer_wheel&) = delete;
  timer_wheel& operator=(const timer_wheel&) = delete;

  void arm(timer& t, std::int64_t deadline_us) noexcept;
  void disarm(timer& t) noexcept;

  /// Fires everything due at `now_us`. Timers armed by a callback for the past fire at the next call.
  void advance(std::int64_t now_us);

  /// When advance() must next be called: the earliest occupied slot's time, or -1 when no timer is armed.
  [[nodiscard]] std::int64_t next_wake_us() const noexcept;
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  // two levels: 256 ticks of 4 ms (1.024 s), 256 slots of 1.024 s (262 s), and one list beyond
  struct list;
  static constexpr std::size_t slots = 256;
  struct node_list {
    timer* first = nullptr;
  };
  void file(timer& t) noexcept;
  void unlink(timer& t) noexcept;

  std::int64_t tick_ = 0;  // last tick that was processed
  std::size_t size_ = 0;
  std::array<node_list, slots> near_{};
  std::array<node_list, slots> far_{};
  node_list beyond_;
  std::array<std::uint64_t, slots / 64> near_occupied_{};
  std::array<std::uint64_t, slots / 64> far_occupied_{};
};

}  // namespace weir::proxy
