// SPDX-License-Identifier: Apache-2.0
#include "limiter/address_set.hpp"

#include <algorithm>

namespace weir::limiter {

address_set::address_set(std::vector<address_range> ranges) {
  std::sort(ranges.begin(), ranges.end(),
            [](const address_range& a, const address_range& b) { return a.first < b.first; });
  std::size_t kept = 0;
  for (const address_range& next : ranges) {
    if (kept > 0 && next.first <= ranges[kept - 1].last) {
      ranges[kept - 1].last = std::max(ranges[kept - 1].last, next.last);
    } else {
      ranges[kept++] = next;
    }
  }
  ranges.resize(kept);
  ranges.shrink_to_fit();
  ranges_ = std::move(ranges);
}

bool address_set::contains(const address_bytes& address) const noexcept {
  const auto behind = std::upper_bound(
      ranges_.begin(), ranges_.end(), address,
      [](const address_bytes& wanted, const address_range& range) { return wanted < range.first; });
  return behind != ranges_.begin() && address <= std::prev(behind)->last;
}

}  // namespace weir::limiter
