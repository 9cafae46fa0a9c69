// SPDX-License-Identifier: Apache-2.0
#include "proxy/hex.hpp"

#include <doctest/doctest.h>
#include <string>

TEST_CASE("a word is sixteen lower-case digits, the highest first") {
  const auto text = [](std::uint64_t value) {
    const auto digits = weir::proxy::hex_digits(value);
    return std::string(digits.data(), digits.size());
  };
  CHECK(text(0) == "0000000000000000");
  CHECK(text(0x0123456789abcdef) == "0123456789abcdef");
  CHECK(text(~std::uint64_t{0}) == "ffffffffffffffff");
  CHECK(text(0xfedcba9876543210) == "fedcba9876543210");
}

TEST_CASE("two words are thirty-two digits, the first word first") {
  const auto digits = weir::proxy::hex_digits(0x0123456789abcdef, 0xfedcba9876543210);
  CHECK(std::string(digits.data(), digits.size()) == "0123456789abcdeffedcba9876543210");
}
