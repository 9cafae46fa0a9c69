// SPDX-License-Identifier: Apache-2.0
// An order of texts that is quick to search: most are told apart by a number.
#pragma once

#include <cstring>
#include <string_view>

namespace weir::limiter {

/// Shorter texts first, equally long ones by their bytes; most of those differ in the first.
struct length_order {
  using is_transparent = void;
  [[nodiscard]] bool operator()(std::string_view a, std::string_view b) const noexcept {
    if (a.size() != b.size()) return a.size() < b.size();
    if (a.empty() || a.front() != b.front())
      return !a.empty() && static_cast<unsigned char>(a.front()) < static_cast<unsigned char>(b.front());
    return std::memcmp(a.data(), b.data(), a.size()) < 0;
  }
};

}  // namespace weir::limiter
