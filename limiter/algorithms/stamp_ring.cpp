// SPDX-License-Identifier: Apache-2.0
#include "limiter/algorithms/stamp_ring.hpp"

#include <bit>

namespace weir::limiter {

std::int64_t stamp_ring::count_until(std::int64_t instant) const noexcept {
  std::int64_t low = 0;
  std::int64_t high = size_;
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
  reserve(size_ + units);
  for (std::int64_t i = 0; i < units; ++i) slots_[slot(size_++)] = stamp;
}

void stamp_ring::pop_front(std::int64_t units) noexcept {
  if (units == 0) return;
  head_ = slot(units);
  size_ -= units;
}

void stamp_ring::reserve(std::int64_t units) {
  if (static_cast<std::size_t>(units) <= slots_.size()) return;
  std::vector<std::int64_t> larger(std::bit_ceil(static_cast<std::size_t>(units)));
  for (std::int64_t i = 0; i < size_; ++i) larger[static_cast<std::size_t>(i)] = at(i);
  slots_ = std::move(larger);
  head_ = 0;
}

}  // namespace weir::limiter
