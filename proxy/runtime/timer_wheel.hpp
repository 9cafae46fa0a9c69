// SPDX-License-Identifier: Apache-2.0
// One coarse timer wheel per worker instead of a kernel or heap timer per operation. Pure: `now` is an
// argument.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace weir::proxy {

/// An intrusive timer. Owned by whoever waits; must be disarmed (or destroyed, which disarms) before its
/// storage goes.
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
  std::int64_t slot_time_ = 0;  // the tick the node is filed under: never after the deadline's
  std::uint8_t level_ = 0;      // timer_wheel::level
};

/// Resolution 4 ms near, coarser far; a timer never fires early and at most one tick late (when advance() is
/// called on time). arm() and disarm() are O(1); re-arming to a later deadline only stores it (the node is
/// re-filed when its old slot comes up), so pushing a deadline per request costs a store.
class timer_wheel {
 public:
  static constexpr std::int64_t tick_us = 4000;

  explicit timer_wheel(std::int64_t now_us) noexcept;
  ~timer_wheel();
  timer_wheel(const timer_wheel&) = delete;
  timer_wheel& operator=(const timer_wheel&) = delete;

  void arm(timer& t, std::int64_t deadline_us) noexcept;
  void disarm(timer& t) noexcept;

  /// Fires everything due at `now_us`, slot by slot. Timers armed by a callback for the past fire at the next
  /// call. The work is bounded by the occupied slots, whatever time has passed. Not to be called from a
  /// callback.
  void advance(std::int64_t now_us);

  /// When advance() must next be called: the earliest occupied slot's time, or -1 when no timer is armed.
  /// Earlier than the earliest deadline when a timer has been pushed back or must only be filed nearer.
  [[nodiscard]] std::int64_t next_wake_us() const noexcept;
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  // Two levels: 256 ticks of 4 ms (1.024 s), 256 blocks of 256 ticks (262 s), and one list beyond. A block is
  // filed into the ticks when its first tick comes up, the list beyond when its earliest block does.
  enum level : std::uint8_t { near_level, far_level, beyond_level };
  static constexpr std::int64_t slots = 256;
  struct node_list {
    timer* first = nullptr;  // circular
  };
  using occupancy = std::array<std::uint64_t, slots / 64>;

  void file(timer& t, std::int64_t tick) noexcept;
  void unlink(timer& t) noexcept;
  node_list& list_of(const timer& t) noexcept;
  void mark(const timer& t, bool occupied) noexcept;
  void refile(node_list& list) noexcept;
  void fire(std::int64_t tick);
  [[nodiscard]] std::int64_t next_tick() const noexcept;

  std::int64_t tick_ = 0;     // the last tick whose timers have all fired
  std::int64_t horizon_ = 0;  // the tick advance() was called for; arm() files behind it
  std::size_t size_ = 0;
  std::array<node_list, slots> near_{};
  std::array<node_list, slots> far_{};
  node_list beyond_;
  std::int64_t beyond_block_ = 0;  // not after the earliest block in beyond_
  occupancy near_occupied_{};
  occupancy far_occupied_{};
};

}  // namespace weir::proxy
