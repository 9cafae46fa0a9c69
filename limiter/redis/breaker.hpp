// SPDX-License-Identifier: Apache-2.0
// When to stop asking a node, and when to ask it again. Pure: the caller supplies time and randomness.
#pragma once

#include "limiter/redis/settings.hpp"

#include <chrono>
#include <cstdint>

namespace weir::limiter::redis {

/// Closed until `failures` in a row; then open, and one probe per `open_for` decides whether it closes.
class breaker {
 public:
  using clock = std::chrono::steady_clock;

  explicit breaker(redis_breaker settings) : settings_(settings) {}

  /// True: decisions may be sent.
  [[nodiscard]] bool closed() const noexcept { return state_ == state::closed; }
  /// True while a probe is under way: no second one is begun.
  [[nodiscard]] bool probing() const noexcept { return state_ == state::probing; }
  /// While open: when the next probe is due. Spread over the second half of `open_for`, so that many
  /// processes do not probe at once.
  [[nodiscard]] clock::time_point probe_at() const noexcept { return probe_at_; }

  /// A decision was answered, or a probe succeeded. True when this closed it.
  bool succeeded() noexcept;
  /// A decision or a dial failed for a reason that lies with the node. `random` is uniform in [0, 1). True
  /// when this opened it.
  bool failed(clock::time_point now, double random) noexcept;
  /// Opens at once: nothing will work until somebody mends the node (a refused password). True when it was
  /// closed.
  bool trip(clock::time_point now, double random) noexcept;
  /// The probe begins now.
  void probe_begins() noexcept { state_ = state::probing; }
  /// The probe failed: open for another round.
  void probe_failed(clock::time_point now, double random) noexcept { open(now, random); }

 private:
  enum class state : std::uint8_t { closed, open, probing };
  void open(clock::time_point now, double random) noexcept;

  redis_breaker settings_;
  state state_ = state::closed;
  int failures_ = 0;
  clock::time_point probe_at_{};
};

}  // namespace weir::limiter::redis
