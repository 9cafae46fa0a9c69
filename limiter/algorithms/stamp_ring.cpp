// SPDX-License-Identifier: Apache-2.0
#include "limiter/algorithms/stamp_ring.hpp"

#include <algorithm>
#include <memory>

namespace weir::limiter {

namespace {

// The first stamps of a log cost one allocation, not one for each doubling.
constexpr std::size_t fewest_slots = 8;

// Twice as much as is asked for at most, in bytes of wide slots: narrow ones grow by four.
std::size_t slots_for(std::int64_t units, bool narrow) noexcept {
  constexpr std::size_t most_slots = 1u << 14;
  const std::size_t doubled = std::bit_ceil(std::max(fewest_slots, static_cast<std::size_t>(units)));
  const bool odd = std::countr_zero(doubled) % 2 != 0;
  return narrow && !odd ? std::min(doubled * 2, most_slots) : doubled;
}

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
  if (size() > 0) oldest_ = load(slot(0));
}

void stamp_ring::pop_back(std::int64_t units) noexcept {
  if (units == 0) return;
  place_.size -= static_cast<std::uint32_t>(units) & place_mask;
  if (size() > 0) newest_ = load(slot(size() - 1));
}

void stamp_ring::push_back(std::int64_t stamp, std::int64_t units) noexcept {
  if (units == 0) return;
  if (size() == 0) oldest_ = stamp;
  newest_ = stamp;
  for (std::int64_t i = size(); i < size() + units; ++i) {
    if (narrow_ != nullptr) {
      narrow_[slot(i)] = static_cast<std::uint32_t>(stamp);
    } else {
      wide_[slot(i)] = stamp;
    }
  }
  place_.size += static_cast<std::uint32_t>(units) & place_mask;
}

void stamp_ring::reserve(std::int64_t units, std::int64_t window_us, state_word& slots) {
  if (units == 0) return;
  const bool narrow = window_us <= longest_narrow_us;
  const bool fits = narrow ? narrow_ != nullptr : wide_ != nullptr;
  if (fits && units <= room()) return;
  const std::size_t wanted = slots_for(units, narrow);
  std::uint32_t* const narrow_slots = narrow ? move_to<std::uint32_t>(wanted, slots) : nullptr;
  wide_ = narrow ? nullptr : move_to<std::int64_t>(wanted, slots);
  narrow_ = narrow_slots;
  place_.head = 0;
  place_.doublings = static_cast<std::uint32_t>(std::countr_zero(wanted)) & 15u;
}

template <class T>
T* stamp_ring::move_to(std::size_t wanted, state_word& slots) {
  auto larger = std::make_unique_for_overwrite<T[]>(wanted);
  for (std::int64_t i = 0; i < size(); ++i)
    larger[static_cast<std::size_t>(i)] = static_cast<T>(load(slot(i)));
  T* const moved = larger.get();
  slots.own(std::move(larger));
  return moved;
}

void stamp_ring::keep(stored_state& state, std::int64_t window_us) const noexcept {
  state.count = std::bit_cast<std::uint32_t>(place_);
  state.base = window_us <= longest_narrow_us ? static_cast<std::uint32_t>(window_us) : 0;
  state.expires_at_us = size() > 0 ? newest_ + window_us : 0;
}

}  // namespace weir::limiter
