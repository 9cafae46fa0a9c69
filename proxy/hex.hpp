// SPDX-License-Identifier: Apache-2.0
// Hexadecimal digits of whole words at once: every request has an id and hashes.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

namespace weir::proxy {

namespace detail {

/// Eight digits, one a byte, the last one lowest.
[[nodiscard]] constexpr std::uint64_t spread_digits(std::uint32_t value) noexcept {
  std::uint64_t x = value;
  x = (x | x << 16) & 0x0000ffff0000ffffu;
  x = (x | x << 8) & 0x00ff00ff00ff00ffu;
  x = (x | x << 4) & 0x0f0f0f0f0f0f0f0fu;
  const std::uint64_t letters = (x + 0x0606060606060606u) >> 4 & 0x0101010101010101u;
  return x + 0x3030303030303030u + letters * ('a' - '0' - 10);
}

}  // namespace detail

/// Sixteen lower-case digits, the highest first.
[[nodiscard]] inline std::array<char, 16> hex_digits(std::uint64_t value) noexcept {
  std::array<char, 16> text;
  for (std::size_t half = 0; half < 2; ++half) {
    std::uint64_t digits = detail::spread_digits(static_cast<std::uint32_t>(value >> (half == 0 ? 32 : 0)));
    if constexpr (std::endian::native == std::endian::little) digits = __builtin_bswap64(digits);
    std::memcpy(text.data() + 8 * half, &digits, sizeof digits);
  }
  return text;
}

}  // namespace weir::proxy
