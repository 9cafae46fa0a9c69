// SPDX-License-Identifier: Apache-2.0
// An order of texts that is quick to search: most are told apart by a number.
#pragma once

#include <string_view>

namespace weir::limiter {

/// Shorter texts first, equally long ones by their bytes.
struct length_order {
  using is_transparent = void;
  [[nodiscard]] bool operator()(std::string_view a, std::string_view b) const noexcept {
    return a.size() != b.size() ? a.size() < b.size() : a < b;
  }
};

}  // namespace weir::limiter
