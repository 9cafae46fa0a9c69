// SPDX-License-Identifier: Apache-2.0
// Decimal numbers of commands, answers and log lines: a request writes about twenty, most of them small.
#pragma once

#include <charconv>
#include <concepts>

namespace weir::limiter {

inline constexpr int longest_decimal = 20;  ///< of 64 bits, with the sign

/// Writes at most `longest_decimal` bytes and returns their end.
template <std::integral Number>
[[nodiscard]] char* put_decimal(char* at, Number value) noexcept {
  if (value < Number{0} || value > Number{999}) return std::to_chars(at, at + longest_decimal, value).ptr;
  const auto small = static_cast<unsigned>(value);
  if (small >= 100) *at++ = static_cast<char>('0' + small / 100);
  if (small >= 10) *at++ = static_cast<char>('0' + small / 10 % 10);
  *at++ = static_cast<char>('0' + small % 10);
  return at;
}

}  // namespace weir::limiter
