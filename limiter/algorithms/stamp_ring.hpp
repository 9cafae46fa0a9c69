// SPDX-License-Identifier: Apache-2.0
// The stamps of admitted units, oldest first.
#pragma once

#include "limiter/algorithms/state_word.hpp"

#include <cstdint>
#include <vector>

namespace weir::limiter {

/// A ring that doubles with use; its owner never stores more units than the longest legal log.
class alignas(64) stamp_ring final : public owned_state {
 public:
  [[nodiscard]] std::int64_t size() const noexcept { return size_; }
  /// The i-th oldest, 0 <= i < size().
  [[nodiscard]] std::int64_t at(std::int64_t i) const noexcept {
    if (i == 0) return oldest_;
    return i == size_ - 1 ? newest_ : slots_[slot(i)];
  }
  /// Number of stamps <= `instant`.
  [[nodiscard]] std::int64_t count_until(std::int64_t instant) const noexcept;

  void push_back(std::int64_t stamp, std::int64_t units);
  void pop_front(std::int64_t units) noexcept;
  void pop_back(std::int64_t units) noexcept;

 private:
  [[nodiscard]] std::size_t slot(std::int64_t i) const noexcept {
    return (head_ + static_cast<std::size_t>(i)) & (slots_.size() - 1);
  }
  void reserve(std::int64_t units);

  std::vector<std::int64_t> slots_;  // size is 0 or a power of two
  std::size_t head_ = 0;
  std::int64_t size_ = 0;
  std::int64_t oldest_ =
      0;  // both ends again, as long as size_ > 0: a decision seldom needs what lies between,
  std::int64_t newest_ = 0;  // and each slot is a cache miss of its own
};

}  // namespace weir::limiter
