// SPDX-License-Identifier: Apache-2.0
// Who holds the slots of a concurrency rule, and until when.
#pragma once

#include "limiter/algorithms/state_word.hpp"

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace weir::limiter {

/// Unordered; its owner never lets it hold more than the largest L there was. Every look at it is one pass.
class slot_holders final : public owned_state {
 public:
  /// End of the holder's lease; 0 = none.
  [[nodiscard]] std::int64_t lease_of(std::string_view holder) const noexcept;
  /// Number of leases that end after `now_us`.
  [[nodiscard]] std::int64_t held(std::int64_t now_us) const noexcept;
  /// Latest end of a lease; 0 = there is none.
  [[nodiscard]] std::int64_t latest() const noexcept;
  /// The i-th earliest end, from 0, of those after `now_us`; i < held(now_us).
  [[nodiscard]] std::int64_t end_of(std::int64_t i, std::int64_t now_us) const;

  /// At most 40 characters of `holder` are kept.
  void hold(std::string_view holder, std::int64_t until_us);
  void release(std::string_view holder) noexcept;
  void drop_ended(std::int64_t now_us) noexcept;
  void shorten(std::int64_t latest_us) noexcept;  ///< no lease ends later

 private:
  static constexpr std::size_t longest_name = 40;
  struct slot {
    std::int64_t until_us = 0;
    std::uint8_t length = 0;
    std::array<char, longest_name> text{};
    [[nodiscard]] std::string_view name() const noexcept { return {text.data(), length}; }
  };
  [[nodiscard]] std::size_t find(std::string_view holder) const noexcept;  // size() when it is not there

  std::vector<slot> slots_;
};

}  // namespace weir::limiter
