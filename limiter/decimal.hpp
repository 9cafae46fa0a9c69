// SPDX-License-Identifier: Apache-2.0
// Decimal numbers of commands, answers and log lines: a request writes about twenty, most of them small.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace weir::limiter {

inline constexpr int longest_decimal = 20;  ///< of 64 bits, with the sign

namespace detail {

/// Of every number below 1000 its three digits, then how many of them are leading zeros. Four more bytes may
/// be read behind the last one.
inline constexpr auto three_digits = [] {
  std::array<char, std::size_t{4} * 1001> table{};
  for (std::size_t i = 0; i < 1000; ++i) {
    table[4 * i] = static_cast<char>('0' + i / 100);
    table[4 * i + 1] = static_cast<char>('0' + i / 10 % 10);
    table[4 * i + 2] = static_cast<char>('0' + i % 10);
    table[4 * i + 3] = static_cast<char>((i < 100) + (i < 10));
  }
  return table;
}();

}  // namespace detail

/// The last three digits of a number.
[[nodiscard]] inline char* put_three_digits(char* at, std::uint64_t value) noexcept {
  std::memcpy(at, detail::three_digits.data() + 4 * (value % 1000), 3);
  return at + 3;
}

/// The last two.
[[nodiscard]] inline char* put_two_digits(char* at, std::uint64_t value) noexcept {
  std::memcpy(at, detail::three_digits.data() + 4 * (value % 100) + 1, 2);
  return at + 2;
}

namespace detail {

/// Below 1000; four bytes are written in any case.
[[nodiscard]] inline char* put_small(char* at, std::uint64_t value) noexcept {
  const char* const digits = three_digits.data() + 4 * value;
  const auto zeros = static_cast<std::size_t>(digits[3]);
  std::memcpy(at, digits + zeros, 4);
  return at + 3 - zeros;
}

[[nodiscard]] char* put_large(char* at, std::uint64_t value) noexcept;

/// From a million.
[[nodiscard, gnu::noinline]] inline char* put_huge(char* at, std::uint64_t value) noexcept {
  return put_three_digits(put_large(at, value / 1000), value);
}

/// From a thousand.
[[nodiscard, gnu::noinline]] inline char* put_large(char* at, std::uint64_t value) noexcept {
  if (value >= 1'000'000) return put_huge(at, value);
  return put_three_digits(put_small(at, value / 1000), value);
}

}  // namespace detail

/// Uses up to `longest_decimal` bytes and returns the end of the number.
template <std::integral Number>
[[nodiscard]] char* put_decimal(char* at, Number value) noexcept {
  auto magnitude = static_cast<std::uint64_t>(value);
  if (value < Number{0}) {
    *at++ = '-';
    magnitude = 0 - magnitude;
  }
  return magnitude < 1000 ? detail::put_small(at, magnitude) : detail::put_large(at, magnitude);
}

}  // namespace weir::limiter
