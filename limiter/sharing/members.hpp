// SPDX-License-Identifier: Apache-2.0
// How many processes share the limits.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

namespace weir::limiter {

/// What a heartbeat learns from the shared store.
struct heartbeat_answer {
  std::int64_t now_us = 0;
  std::int64_t members = 1;         ///< heard of in the last 3 s, this one included
  std::int64_t configurations = 1;  ///< different fingerprints among them
  std::int64_t resets = 0;          ///< grows whenever somebody resets subjects
};

/// Pure; instants are monotonic microseconds.
class members {
 public:
  static constexpr std::int64_t beat_us = 1'000'000;       ///< between heartbeats
  static constexpr std::int64_t memory_us = 60'000'000;    ///< a process that vanished counts for that long
  static constexpr std::int64_t most_members = 1'000'000;  ///< what a store could claim at most

  /// `fixed` > 0: always that many, whatever is heard.
  explicit members(std::int64_t fixed) noexcept : fixed_(fixed) {}

  void heard(const heartbeat_answer& answer, std::int64_t now_us) noexcept;

  /// The largest number heard in the last 60 s; 1 before anything was heard.
  [[nodiscard]] std::int64_t count(std::int64_t now_us) const noexcept;

  /// True once after each change of the reset number: answers of before it are void.
  [[nodiscard]] bool take_reset() noexcept;
  /// True once when others begin to run another configuration.
  [[nodiscard]] bool take_mismatch() noexcept;

 private:
  static constexpr std::size_t slots = 61;  // one per second, the current one included
  struct second {
    std::int64_t number = -1;
    std::int64_t largest = 0;
  };
  std::int64_t fixed_;
  std::array<second, slots> heard_{};
  std::int64_t last_ = 1;  // heard last, however long ago
  std::int64_t resets_ = -1;
  bool reset_ = false, mismatch_ = false, mismatched_ = false;
};

/// What the worker that sends the heartbeat tells the others. One writer.
struct members_board {
  std::atomic<std::int64_t> count{1};
  std::atomic<std::int64_t> resets{0};  ///< changes seen
};

}  // namespace weir::limiter
