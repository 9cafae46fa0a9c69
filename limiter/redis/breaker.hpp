// SPDX-License-Identifier: Apache-2.0
// When to stop asking a node, and when to ask it again. Pure: the caller supplies time and randomness.
#pragma once

#include "limiter/redis/lateness.hpp"
#include "limiter/redis/settings.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace weir::limiter::redis {

/// Closed until `failures` in a row, or until so many time-outs within 10 s made more than one command in a
/// hundred late (p99 beyond the deadline; see lateness). Then open, and one probe per `open_for` decides
/// whether it closes.
class breaker {
 public:
  using clock = std::chrono::steady_clock;
  /// What a failure did to it.
  enum class effect : std::uint8_t { none, opened_by_row, opened_by_p99 };

  explicit breaker(redis_breaker settings) : settings_(settings) {}

  /// True: decisions may be sent.
  [[nodiscard]] bool closed() const noexcept { return state_ == state::closed; }
  /// True while a probe is under way: no second one is begun.
  [[nodiscard]] bool probing() const noexcept { return state_ == state::probing; }
  /// While open: when the next probe is due. Spread over the second half of `open_for`, so that many
  /// processes do not probe at once.
  [[nodiscard]] clock::time_point probe_at() const noexcept { return probe_at_; }

  /// A decision was answered in time. Only a probe closes what is open.
  void answered(clock::time_point now) noexcept;
  /// A decision or a dial failed for a reason that lies with the node. `late`: commands that had no answer
  /// when one of them was beyond its deadline; 0 = no time-out of a command. `random` is uniform in [0, 1).
  [[nodiscard]] effect failed(clock::time_point now, std::size_t late, double random) noexcept;
  /// Opens at once: nothing will work until somebody mends the node (a refused password). True when it was
  /// closed.
  bool trip(clock::time_point now, double random) noexcept;
  /// The probe begins now.
  void probe_begins() noexcept { state_ = state::probing; }
  /// The probe was answered well: closed.
  void probe_succeeded() noexcept { state_ = state::closed; }
  /// The probe failed: open for another round.
  void probe_failed(clock::time_point now, double random) noexcept { open(now, random); }

 private:
  enum class state : std::uint8_t { closed, open, probing };
  void open(clock::time_point now, double random) noexcept;

  redis_breaker settings_;
  state state_ = state::closed;
  int failures_ = 0;  // in a row
  lateness lateness_;
  clock::time_point probe_at_{};
};

}  // namespace weir::limiter::redis
