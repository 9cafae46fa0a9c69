// SPDX-License-Identifier: Apache-2.0
// Integer arithmetic shared by the algorithms.
#pragma once

#include <cstdint>

namespace weir::limiter {

/// Holds the product of any two 64-bit numbers.
__extension__ using wide = __int128;

/// ceil(a / b) for a >= 0, b > 0.
[[nodiscard]] constexpr std::int64_t ceil_div(std::int64_t a, std::int64_t b) noexcept {
  return a / b + (a % b != 0 ? 1 : 0);
}

}  // namespace weir::limiter
