// SPDX-License-Identifier: Apache-2.0
// The stamps of admitted units, oldest first: a ring in the words of a state. Both ends can be told from the
// state alone, so that a decision which finds nothing expired reads no slot: each is a cache miss of its own.
#pragma once

#include "limiter/algorithms/algorithm.hpp"

#include <bit>
#include <cstdint>
#include <limits>

namespace weir::limiter {

/// A copy of what a state says of its stamps. The state keeps the slots, keep() takes the rest back.
///
/// In the state: `count` = where the ring lies, `base` = W, us (0 when it does not fit), `extra` = the slots.
/// `expires_at_us` = newest + W; `pinned_until_us` = the oldest stamp while units are free, else beyond the
/// newest.
///
/// A window of at most `longest_narrow_us` (71 minutes) keeps the lower 32 bits of each stamp: none lies
/// further behind the newest, so all of it is known. Longer windows keep all 64.
class stamp_ring {
 public:
  static constexpr std::int64_t longest_narrow_us = std::numeric_limits<std::uint32_t>::max();

  explicit stamp_ring(const stored_state& state) noexcept
      : narrow_(state.extra.array<std::uint32_t>()),
        wide_(state.extra.array<std::int64_t>()),
        place_(std::bit_cast<place>(state.count)) {
    if (place_.size == 0) return;
    newest_ = state.base != 0 ? state.expires_at_us - state.base : wide_[slot(size() - 1)];
    oldest_ = state.pinned_until_us <= newest_ ? state.pinned_until_us : load(slot(0));
  }

  [[nodiscard]] std::int64_t size() const noexcept { return place_.size; }
  /// Slots; 0 = none yet.
  [[nodiscard]] std::int64_t room() const noexcept {
    return narrow_ != nullptr || wide_ != nullptr ? std::int64_t{1} << place_.doublings : 0;
  }
  /// The i-th oldest, 0 <= i < size().
  [[nodiscard]] std::int64_t at(std::int64_t i) const noexcept {
    if (i == 0) return oldest_;
    return i == size() - 1 ? newest_ : load(slot(i));
  }
  /// Fetches the slot that is written next while other things are computed.
  void prefetch_end() const noexcept {
    const std::size_t end = slot(size());
    __builtin_prefetch(narrow_ != nullptr ? static_cast<const void*>(narrow_ + end) : wide_ + end, 1);
  }
  /// Number of stamps <= `instant`.
  [[nodiscard]] std::int64_t count_until(std::int64_t instant) const noexcept;

  void pop_front(std::int64_t units) noexcept;
  void pop_back(std::int64_t units) noexcept;
  /// Room for so many units of a window W in `slots`, the state's `extra`; before units are added, and before
  /// keep() under another window. What lies further behind the newest than W has been dropped. Grows with
  /// use; its owner never stores more units than the longest legal log.
  void reserve(std::int64_t units, std::int64_t window_us, state_word& slots);
  /// Into the room that was reserved; less than W after the oldest.
  void push_back(std::int64_t stamp, std::int64_t units) noexcept;
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
  [[nodiscard]] std::int64_t load(std::size_t slot) const noexcept {
    if (narrow_ == nullptr) return wide_[slot];
    return newest_ - static_cast<std::int64_t>(static_cast<std::uint32_t>(newest_) - narrow_[slot]);
  }
  template <class T>
  T* move_to(std::size_t wanted, state_word& slots);

  std::uint32_t* narrow_;  // the slots are one of these two, or none yet
  std::int64_t* wide_;
  place place_;
  std::int64_t oldest_ = 0;
  std::int64_t newest_ = 0;
};

}  // namespace weir::limiter
