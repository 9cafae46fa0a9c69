// SPDX-License-Identifier: Apache-2.0
#include "limiter/redis/breaker.hpp"

namespace weir::limiter::redis {

void breaker::answered(clock::time_point now) noexcept {
  if (!closed()) return;
  failures_ = 0;
  lateness_.answered(now);
}

breaker::effect breaker::failed(clock::time_point now, std::size_t late, double random) noexcept {
  if (!closed()) return effect::none;
  if (late > 0) lateness_.timed_out(now, late);
  const bool in_a_row = ++failures_ >= settings_.failures;
  if (!in_a_row && !lateness_.p99_beyond_deadline(settings_.failures)) return effect::none;
  open(now, random);
  return in_a_row ? effect::opened_by_row : effect::opened_by_p99;
}

bool breaker::trip(clock::time_point now, double random) noexcept {
  const bool was_closed = closed();
  if (was_closed) open(now, random);
  return was_closed;
}

void breaker::open(clock::time_point now, double random) noexcept {
  state_ = state::open;
  failures_ = 0;
  lateness_ = {};
  const std::chrono::duration<double, clock::period> pause = settings_.open_for * (0.5 + random / 2);
  probe_at_ = now + std::chrono::duration_cast<clock::duration>(pause);
}

}  // namespace weir::limiter::redis
