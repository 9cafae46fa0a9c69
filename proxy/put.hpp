// SPDX-License-Identifier: Apache-2.0
// Puts pieces of text one behind the other, without a look at the room: whoever puts has counted what all of
// them need, once. `put(at, "X: ", name, ": ", 12, "\r\n")` answers the end of what it wrote.
#pragma once

#include "proxy/decimal.hpp"

#include <concepts>
#include <cstddef>
#include <cstring>
#include <string_view>

namespace weir::proxy {

namespace detail {

/// Both ends of a text of `piece` to twice as many bytes; they may overlap.
template <std::size_t piece>
void copy_ends(char* to, std::string_view text) noexcept {
  std::memcpy(to, text.data(), piece);
  std::memcpy(to + text.size() - piece, text.data() + text.size() - piece, piece);
}

}  // namespace detail

/// A literal, whose copy is a store or two.
template <std::size_t N>
[[nodiscard]] char* put_piece(char* at, const char (&literal)[N]) noexcept {
  std::memcpy(at, literal, N - 1);
  return at + (N - 1);
}

[[nodiscard]] inline char* put_piece(char* at, char c) noexcept {
  *at = c;
  return at + 1;
}

/// Most texts are short: a call would cost more than their copy.
[[nodiscard]] inline char* put_piece(char* at, std::string_view text) noexcept {
  const std::size_t size = text.size();
  if (size > 32) {
    std::memcpy(at, text.data(), size);
  } else if (size >= 16) {
    detail::copy_ends<16>(at, text);
  } else if (size >= 8) {
    detail::copy_ends<8>(at, text);
  } else if (size >= 4) {
    detail::copy_ends<4>(at, text);
  } else if (size >= 2) {
    detail::copy_ends<2>(at, text);
  } else if (size == 1) {
    *at = text.front();
  }
  return at + size;
}

/// In decimal; `longest_decimal` bytes of room.
template <std::integral Number>
[[nodiscard]] char* put_piece(char* at, Number value) noexcept {
  return put_decimal(at, value);
}

template <typename... Pieces>
[[nodiscard]] char* put(char* at, const Pieces&... pieces) noexcept {
  ((at = put_piece(at, pieces)), ...);
  return at;
}

}  // namespace weir::proxy
