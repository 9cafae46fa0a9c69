// SPDX-License-Identifier: Apache-2.0
#include "proxy/decimal.hpp"

#include <array>
#include <cstdint>
#include <doctest/doctest.h>
#include <limits>
#include <string>

namespace {

template <class Number>
std::string decimal(Number value) {
  std::array<char, weir::proxy::longest_decimal> text;
  return {text.data(), weir::proxy::put_decimal(text.data(), value)};
}

}  // namespace

TEST_CASE("numbers are written as the library writes them, at every length") {
  for (int n = -1200; n <= 12'000; ++n) REQUIRE(decimal(n) == std::to_string(n));
  for (std::uint64_t power = 1; power <= 1'000'000'000'000'000'000; power *= 10) {
    for (const std::uint64_t n : {power - 1, power, power + 1, 9 * power, 7 * power + 5}) {
      REQUIRE(decimal(n) == std::to_string(n));
      REQUIRE(decimal(-static_cast<std::int64_t>(n)) == std::to_string(-static_cast<std::int64_t>(n)));
    }
  }
  CHECK(decimal(std::numeric_limits<std::int64_t>::min()) == "-9223372036854775808");
  CHECK(decimal(std::numeric_limits<std::int64_t>::max()) == "9223372036854775807");
  CHECK(decimal(std::numeric_limits<std::uint64_t>::max()) == "18446744073709551615");
}

TEST_CASE("a number may be cut to its last digits, with leading zeros") {
  std::array<char, 3> text;
  CHECK(std::string(text.data(), weir::proxy::put_three_digits(text.data(), 1'234'007)) == "007");
  CHECK(std::string(text.data(), weir::proxy::put_three_digits(text.data(), 999)) == "999");
  CHECK(std::string(text.data(), weir::proxy::put_two_digits(text.data(), 2026)) == "26");
  CHECK(std::string(text.data(), weir::proxy::put_two_digits(text.data(), 5)) == "05");
}
