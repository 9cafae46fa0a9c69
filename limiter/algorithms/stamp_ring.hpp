// SPDX-License-Identifier: Apache-2.0
// The stamps of admitted units, oldest first: a ring in the words of a state. Both ends can be told from the
// state alone, so that a decision which finds nothing expired reads no slot: each is a cache miss of its own.
#pragma once

#include "limiter/algorithms/algorithm.hpp"

#include <bit>
#include <cstdint>

namespace weir::limiter {

/// A copy of what a state says of its stamps. The state keeps the slots, keep() takes the rest back.
///
/// In the state: `count` = where the ring lies, `base` = W, us (0 when it does not fit), `extra` = the slots.
/// `expires_at_us` = newest + W; `pinned_until_us` = the oldest stamp while units are free, else beyond the
/// newest.
class stamp_ring {
 public:
  explicit stamp_ring(const stored_state& state) noexcept
      : slots_(state.extra.numbers()), place_(std::bit_cast<place>(state.count)) {
    if (place_.size == 0) return;
    newest_ = state.base != 0 ? state.expires_at_us - state.base : slots_[slot(size() - 1)];
    oldest_ = state.pinned_until_us <= newest_ ? state.pinned_until_us : slots_[slot(0)];
  }

  [[nodiscard]] std::int64_t size() const noexcept { return place_.size; }
  /// The i-th oldest, 0 <= i < size().
  [[nodiscard]] std::int64_t at(std::int64_t i) const noexcept {
    if (i == 0) return oldest_;
    return i == size() - 1 ? newest_ : slots_[slot(i)];
  }
  /// Fetches the slot that is written next while other things are computed.
  void prefetch_end() const noexcept { __builtin_prefetch(slots_ + slot(size()), 1); }
  /// Number of stamps <= `instant`.
  [[nodiscard]] std::int64_t count_until(std::int64_t instant) const noexcept;

  void pop_front(std::int64_t units) noexcept;
  void pop_back(std::int64_t units) noexcept;
  /// The ring doubles with use, in `slots`, the state's `extra`. Its owner never stores more units than the
  /// longest legal log.
  void push_back(std::int64_t stamp, std::int64_t units, state_word& slots);
  /// Writes all but `pinned_until_us`.
  void keep(stored_state& state, std::int64_t window_us) const noexcept;

 private:
  static constexpr int place_bits = 14;  // the longest legal log is 10,000
  static constexpr std::uint32_t place_mask = (1u << place_bits) - 1;
  struct place {
    std::uint32_t head : place_bits;
    std::uint32_t size : place_bits;
    std::uint32_t doublings : 4;  // there are 2 to the power of it slots
  };

  [[nodiscard]] std::size_t slot(std::int64_t i) const noexcept {
    return (place_.head + static_cast<std::size_t>(i)) & ((std::size_t{1} << place_.doublings) - 1);
  }
  void reserve(std::int64_t units, state_word& slots);

  std::int64_t* slots_;
  place place_;
  std::int64_t oldest_ = 0;
  std::int64_t newest_ = 0;
};

}  // namespace weir::limiter
