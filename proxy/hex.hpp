// SPDX-License-Identifier: Apache-2.0
// Hexadecimal digits of whole words at once: every request has an id and hashes.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

namespace weir::proxy {

namespace detail {

using sixteen_bytes [[gnu::vector_size(16)]] = signed char;
using two_words [[gnu::vector_size(16)]] = std::uint64_t;

/// The bytes of a number, the highest first.
[[nodiscard]] constexpr std::uint64_t highest_first(std::uint64_t value) noexcept {
  return std::endian::native == std::endian::little ? __builtin_bswap64(value) : value;
}

}  // namespace detail

/// 32 lower-case digits of two numbers, the highest first.
[[nodiscard]] inline std::array<char, 32> hex_digits(std::uint64_t first, std::uint64_t second) noexcept {
  using detail::sixteen_bytes;
  const detail::two_words words{detail::highest_first(first), detail::highest_first(second)};
  constexpr detail::two_words low_halves{0x0f0f0f0f0f0f0f0f, 0x0f0f0f0f0f0f0f0f};
  const auto high = std::bit_cast<sixteen_bytes>(words >> 4 & low_halves);
  const auto low = std::bit_cast<sixteen_bytes>(words & low_halves);
  const auto as_text = [](sixteen_bytes digits) {
    const sixteen_bytes letters = digits > 9;  // -1 where it is one
    return digits + '0' + (letters & ('a' - '0' - 10));
  };
  const std::array<sixteen_bytes, 2> text{
      as_text(__builtin_shufflevector(high, low, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)),
      as_text(
          __builtin_shufflevector(high, low, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31))};
  return std::bit_cast<std::array<char, 32>>(text);
}

/// Sixteen of one number.
[[nodiscard]] inline std::array<char, 16> hex_digits(std::uint64_t value) noexcept {
  std::array<char, 16> text;
  std::memcpy(text.data(), hex_digits(value, 0).data(), text.size());
  return text;
}

}  // namespace weir::proxy
