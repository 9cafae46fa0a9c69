// SPDX-License-Identifier: Apache-2.0
// Which share of a node's recent commands was not answered in time. Pure.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace weir::limiter::redis {

/// Remembers the last 5 to 10 s: the half that runs and the one before it.
class lateness {
 public:
  using clock = std::chrono::steady_clock;
  static constexpr clock::duration half = std::chrono::seconds(5);

  /// A command was answered within its deadline.
  void answered(clock::time_point now) noexcept {
    turn(now);
    ++recent_.answered;
  }
  /// A connection was given up: the oldest of its `commands` without an answer was beyond its deadline.
  void timed_out(clock::time_point now, std::size_t commands) noexcept {
    turn(now);
    ++recent_.timeouts;
    recent_.late += commands;
  }
  /// Commands need longer than they may at the 99th percentile: more than one in a hundred was late. One
  /// hiccup proves nothing: it takes `timeouts` of them.
  [[nodiscard]] bool p99_beyond_deadline(int timeouts) const noexcept {
    const std::uint64_t late = recent_.late + before_.late;
    const std::uint64_t all = recent_.answered + before_.answered + late;
    return recent_.timeouts + before_.timeouts >= timeouts && late * 100 > all;
  }

 private:
  struct tally {
    std::uint64_t answered = 0;
    std::uint64_t late = 0;
    int timeouts = 0;
  };
  void turn(clock::time_point now) noexcept {
    if (now < turns_at_) return;
    before_ = now < turns_at_ + half ? recent_ : tally{};
    recent_ = {};
    turns_at_ = now + half;
  }

  tally recent_, before_;
  clock::time_point turns_at_{};
};

}  // namespace weir::limiter::redis
