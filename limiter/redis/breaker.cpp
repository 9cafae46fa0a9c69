// SPDX-License-Identifier: Apache-2.0
#include "limiter/redis/breaker.hpp"

namespace weir::limiter::redis {

bool breaker::succeeded() noexcept {
  failures_ = 0;
  const bool was_closed = closed();
  state_ = state::closed;
  return !was_closed;
}

bool breaker::failed(clock::time_point now, double random) noexcept {
  if (!closed()) return false;
  if (++failures_ < settings_.failures) return false;
  open(now, random);
  return true;
}

bool breaker::trip(clock::time_point now, double random) noexcept {
  const bool was_closed = closed();
  if (was_closed) open(now, random);
  return was_closed;
}

void breaker::open(clock::time_point now, double random) noexcept {
  state_ = state::open;
  failures_ = 0;
  const std::chrono::duration<double, clock::period> pause = settings_.open_for * (0.5 + random / 2);
  probe_at_ = now + std::chrono::duration_cast<clock::duration>(pause);
}

}  // namespace weir::limiter::redis
