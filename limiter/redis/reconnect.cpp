// SPDX-License-Identifier: Apache-2.0
#include "limiter/redis/reconnect.hpp"

#include <algorithm>
#include <utility>

namespace weir::limiter::redis {

namespace {

constexpr auto under_way = dial_limiter::clock::time_point::max();

}  // namespace

dial_limiter::grant dial_limiter::acquire(clock::time_point now) {
  const std::lock_guard lock(mutex_);
  const auto soonest = std::min_element(free_at_.begin(), free_at_.end());
  if (*soonest > now) {
    if (*soonest == under_way) return {.slot = no_slot, .wait = shortest_wait};
    return {.slot = no_slot, .wait = std::min(*soonest - now, longest_wait)};
  }
  *soonest = under_way;
  return {.slot = static_cast<int>(soonest - free_at_.begin()), .wait = {}};
}

void dial_limiter::failed(int slot, clock::time_point now) {
  const std::lock_guard lock(mutex_);
  free_at_[static_cast<std::size_t>(slot)] = now + window;
}

void dial_limiter::succeeded(int slot) {
  const std::lock_guard lock(mutex_);
  free_at_[static_cast<std::size_t>(slot)] = {};
  for (auto& free_at : free_at_) {
    if (free_at != under_way) free_at = {};
  }
}

void dial_limiter::abandoned(int slot) {
  const std::lock_guard lock(mutex_);
  free_at_[static_cast<std::size_t>(slot)] = {};
}

reconnect::clock::duration reconnect::may_dial(clock::time_point now) {
  const auto grant = limiter_->acquire(now);
  slot_ = grant.slot;
  return grant.wait;
}

void reconnect::connected() {
  limiter_->succeeded(std::exchange(slot_, dial_limiter::no_slot));
}

reconnect::clock::duration reconnect::failed(clock::time_point now, double random) {
  limiter_->failed(std::exchange(slot_, dial_limiter::no_slot), now);
  return next_wait(random);
}

void reconnect::abandon() {
  if (slot_ != dial_limiter::no_slot) limiter_->abandoned(std::exchange(slot_, dial_limiter::no_slot));
}

reconnect::clock::duration reconnect::next_wait(double random) noexcept {
  const std::chrono::duration<double, clock::period> wait = ceiling_ * random;
  ceiling_ = std::min(ceiling_ * 2, last_ceiling);
  return std::chrono::duration_cast<clock::duration>(wait);
}

}  // namespace weir::limiter::redis
