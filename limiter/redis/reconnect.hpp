// SPDX-License-Identifier: Apache-2.0
// When to dial again: backoff with full jitter per connection, and a bound on failed dials per process. Pure:
// the caller supplies time and randomness.
#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <mutex>

namespace weir::limiter::redis {

/// At most 3 failed dials a second, whatever the number of connections that share it: a server that is coming
/// up meets no stampede. A success frees everybody. Thread-safe; asked only while a connection is down.
class dial_limiter {
 public:
  using clock = std::chrono::steady_clock;
  static constexpr std::size_t slot_count = 3;
  static constexpr int no_slot = -1;
  static constexpr clock::duration window = std::chrono::seconds(1);
  /// Refused callers ask again at least this often, so that they notice another's success.
  static constexpr clock::duration longest_wait = std::chrono::milliseconds(100);
  /// The wait while three dials are under way: their outcome is near.
  static constexpr clock::duration shortest_wait = std::chrono::milliseconds(10);

  /// Either a slot, to be given back by exactly one of the calls below, or no_slot and the time to wait.
  struct grant {
    int slot = no_slot;
    clock::duration wait{0};
  };
  [[nodiscard]] grant acquire(clock::time_point now);
  void failed(int slot, clock::time_point now);
  void succeeded(int slot);
  void abandoned(int slot);  ///< the dial was given up before it had an outcome

 private:
  std::mutex mutex_;
  std::array<clock::time_point, slot_count> free_at_{};  // time_point::max() = dial under way
};

/// One connection's way back. At first: dial at once.
class reconnect {
 public:
  using clock = dial_limiter::clock;
  static constexpr clock::duration first_ceiling = std::chrono::milliseconds(50);
  static constexpr clock::duration last_ceiling = std::chrono::seconds(1);

  explicit reconnect(std::shared_ptr<dial_limiter> limiter) : limiter_(std::move(limiter)) {}
  ~reconnect() { abandon(); }
  reconnect(const reconnect&) = delete;
  reconnect& operator=(const reconnect&) = delete;

  /// Zero: dial now and report the outcome. Otherwise ask again after that time.
  [[nodiscard]] clock::duration may_dial(clock::time_point now);

  /// Outcome of a dial. failed() returns the wait before the next may_dial(); `random` is uniform in [0, 1).
  void connected();
  [[nodiscard]] clock::duration failed(clock::time_point now, double random);
  void abandon();

  /// An established connection was lost. Returns the wait before the next may_dial().
  [[nodiscard]] clock::duration lost(double random) noexcept { return next_wait(random); }

  /// A command was answered: the connection is good and the backoff starts anew. Merely having connected is
  /// not enough, else a server that accepts and then fails every command would be dialled without pause.
  void answered() noexcept { ceiling_ = first_ceiling; }

 private:
  clock::duration next_wait(double random) noexcept;

  std::shared_ptr<dial_limiter> limiter_;
  int slot_ = dial_limiter::no_slot;
  clock::duration ceiling_ = first_ceiling;
};

}  // namespace weir::limiter::redis
