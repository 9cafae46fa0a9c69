// SPDX-License-Identifier: Apache-2.0
// Writes RESP commands. Pure.
#pragma once

#include "limiter/decimal.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace weir::limiter::redis {

/// Writes RESP into space that is known to suffice: a command is one growth of the output, then plain stores.
class command_writer {
 public:
  static constexpr std::size_t longest_number = longest_decimal;
  static constexpr std::size_t frame = 1 + longest_number + 2 + 2;  // `$`, length, two line ends

  explicit command_writer(char* at) noexcept : at_(at) {}

  void put(char c) noexcept { *at_++ = c; }
  void put(std::string_view text) noexcept { at_ = std::copy_n(text.data(), text.size(), at_); }

  void header(char type, std::size_t number) noexcept {
    put(type);
    at_ = put_decimal(at_, number);
    put("\r\n");
  }
  void bulk(std::string_view text) noexcept {
    header('$', text.size());
    put(text);
    put("\r\n");
  }
  void number(std::int64_t value) noexcept {
    if (value >= 0 && value < 10) {
      put("$1\r\n");
      put(static_cast<char>('0' + value));
      put("\r\n");
      return;
    }
    std::array<char, longest_number> text;
    const char* const end = put_decimal(text.data(), value);
    bulk({text.data(), static_cast<std::size_t>(end - text.data())});
  }
  [[nodiscard]] const char* end() const noexcept { return at_; }

 private:
  char* at_;
};

}  // namespace weir::limiter::redis
