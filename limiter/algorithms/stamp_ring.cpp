// SPDX-License-Identifier: Apache-2.0
#include "limiter/algorithms/stamp_ring.hpp"

#include <algorithm>
#include <limits>
#include <memory>

namespace weir::limiter {

namespace {

// The first stamps of a log cost one allocation, not one for each doubling.
constexpr std::size_t fewest_slots = 8;

}  // namespace

std::int64_t stamp_ring::count_until(std::int64_t instant) const noexcept {
  if (size() == 0 || oldest_ > instant) return 0;
  if (newest_ <= instant) return size();
  // Few have left since the last look: doubling steps from the oldest touch fewer cache lines than halving.
  std::int64_t low = 1;
  std::int64_t high = 1;
  for (std::int64_t step = 1; high < size() && at(high) <= instant; step *= 2) {
    low = high + 1;
    high = std::min(high + step, size());
  }
  while (low < high) {
    const std::int64_t middle = low + (high - low) / 2;
    if (at(middle) <= instant) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

void stamp_ring::pop_front(std::int64_t units) noexcept {
  if (units == 0) return;
  place_.head = static_cast<std::uint32_t>(slot(units)) & place_mask;
  place_.size -= static_cast<std::uint32_t>(units) & place_mask;
  if (size() > 0) oldest_ = slots_[slot(0)];
}

void stamp_ring::pop_back(std::int64_t units) noexcept {
  if (units == 0) return;
  place_.size -= static_cast<std::uint32_t>(units) & place_mask;
  if (size() > 0) newest_ = slots_[slot(size() - 1)];
}

void stamp_ring::push_back(std::int64_t stamp, std::int64_t units, state_word& slots) {
  if (units == 0) return;
  reserve(size() + units, slots);
  if (size() == 0) oldest_ = stamp;
  newest_ = stamp;
  for (std::int64_t i = 0; i < units; ++i) slots_[slot(size() + i)] = stamp;
  place_.size += static_cast<std::uint32_t>(units) & place_mask;
}

void stamp_ring::reserve(std::int64_t units, state_word& slots) {
  if (slots_ != nullptr && units <= std::int64_t{1} << place_.doublings) return;
  const std::size_t wanted = std::bit_ceil(std::max(fewest_slots, static_cast<std::size_t>(units)));
  auto larger = std::make_unique_for_overwrite<std::int64_t[]>(wanted);
  for (std::int64_t i = 0; i < size(); ++i) larger[static_cast<std::size_t>(i)] = slots_[slot(i)];
  slots_ = larger.get();
  slots.own_numbers(std::move(larger));
  place_.head = 0;
  place_.doublings = static_cast<std::uint32_t>(std::countr_zero(wanted)) & 15u;
}

void stamp_ring::keep(stored_state& state, std::int64_t window_us) const noexcept {
  state.count = std::bit_cast<std::uint32_t>(place_);
  state.base =
      window_us <= std::numeric_limits<std::uint32_t>::max() ? static_cast<std::uint32_t>(window_us) : 0;
  state.expires_at_us = size() > 0 ? newest_ + window_us : 0;
}

}  // namespace weir::limiter
