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

  /// To be told regularly how many connections are open. True, once per storm: most of them have left.
  [[nodiscard]] bool over(std::uint32_t open) noexcept {
    peak_ = std::max(peak_, open);
    if (peak_ < least_peak || open > peak_ / 2) return false;
    peak_ = open;
    return true;
  }

 private:
  std::uint32_t peak_ = 0;  // since the last storm
};

}  // namespace weir::proxy
