// SPDX-License-Identifier: Apache-2.0
// When the memory that a flood of connections left free goes back to the system. Pure.
#pragma once

#include <algorithm>
#include <cstdint>

namespace weir::proxy {

/// Freed memory stays with the allocator, in case it is needed again soon. After a storm it is not.
class storm_watch {
 public:
  static constexpr std::uint32_t least_peak = 256;  ///< connections; fewer leave nothing worth the effort
  static constexpr std::uint32_t rest = 16;         ///< connections that may stay when it is over

  /// To be told regularly how many connections are open. True each time that half of a storm has left, until
  /// only `rest` are there: what the last of them held is the most that would be kept.
  [[nodiscard]] bool has_halved(std::uint32_t open) noexcept {
    peak_ = std::max(peak_, open);
    storm_ = storm_ || peak_ >= least_peak;
    if (!storm_ || open > peak_ / 2) return false;
    peak_ = open;
    storm_ = open > rest;
    return true;
  }

 private:
  std::uint32_t peak_ = 0;  // since it halved
  bool storm_ = false;
};

}  // namespace weir::proxy
