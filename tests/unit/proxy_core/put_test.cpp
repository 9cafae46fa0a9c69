// SPDX-License-Identifier: Apache-2.0
#include "proxy/put.hpp"

#include <array>
#include <cstdint>
#include <doctest/doctest.h>
#include <string>
#include <string_view>

using namespace weir::proxy;

TEST_CASE("literals, texts, characters and numbers stand one behind the other") {
  std::array<char, 64> room;
  const std::string name = "burst";
  const char* const end =
      put(room.data(), "q=", 42, ';', name, std::string_view(), ';', std::int64_t{-86'400}, "");
  CHECK(std::string_view(room.data(), end) == "q=42;burst;-86400");
}

TEST_CASE("a text of any size is copied whole, and nothing is written around it") {
  std::string text;
  for (std::size_t size = 0; size <= 100; ++size) {
    std::string room(size + 2, '#');
    CHECK(put(room.data() + 1, text) == room.data() + 1 + size);
    CHECK(room == "#" + text + "#");
    text += static_cast<char>('a' + size % 26);
  }
}
