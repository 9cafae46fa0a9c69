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
  CHECK(decimal(std::numeric_limits<std::int64_t>::min()) == "-9223372036854775808");
  CHECK(decimal(std::numeric_limits<std::int64_t>::max()) == "9223372036854775807");
  CHECK(decimal(std::numeric_limits<std::uint64_t>::max()) == "18446744073709551615");
}
