// SPDX-License-Identifier: Apache-2.0
#include "limiter/algorithms/stamp_ring.hpp"

#include <algorithm>
#include <bit>

namespace weir::limiter {

namespace {

// One cache line: the first stamps of a log cost one allocation, not one for each doubling.
constexpr std::size_t fewest_slots = 8;

}  // namespace

std::int64_t stamp_ring::count_until(std::int64_t instant) const noexcept {
  if (size_ == 0 || oldest_ > instant) return 0;
  if (newest_ <= instant) return size_;
  // Few have left since the last look: doubling steps from the oldest touch fewer cache lines than halving.
  std::int64_t low = 1;
  std::int64_t high = 1;
  for (std::int64_t step = 1; high < size_ && at(high) <= instant; step *= 2) {
    low = high + 1;
    high = std::min(high + step, size_);
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

void stamp_ring::push_back(std::int64_t stamp, std::int64_t units) {
  if (units == 0) return;
  reserve(size_ + units);
  if (size_ == 0) oldest_ = stamp;
  newest_ = stamp;
  for (std::int64_t i = 0; i < units; ++i) slots_[slot(size_++)] = stamp;
}

void stamp_ring::pop_front(std::int64_t units) noexcept {
  if (units == 0) return;
  head_ = slot(units);
  size_ -= units;
  if (size_ > 0) oldest_ = slots_[head_];
}

void stamp_ring::pop_back(std::int64_t units) noexcept {
  if (units == 0) return;
  size_ -= units;
  if (size_ > 0) newest_ = slots_[slot(size_ - 1)];
}

void stamp_ring::reserve(std::int64_t units) {
  if (static_cast<std::size_t>(units) <= slots_.size()) return;
  const std::size_t wanted = std::max(fewest_slots, static_cast<std::size_t>(units));
  std::vector<std::int64_t> larger(std::bit_ceil(wanted));
  for (std::int64_t i = 0; i < size_; ++i) larger[static_cast<std::size_t>(i)] = slots_[slot(i)];
  slots_ = std::move(larger);
  head_ = 0;
}

}  // namespace weir::limiter
