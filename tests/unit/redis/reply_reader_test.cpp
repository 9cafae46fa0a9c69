// SPDX-License-Identifier: Apache-2.0
#include "limiter/redis/reply_reader.hpp"

#include <doctest/doctest.h>
#include <string>
#include <vector>

using weir::limiter::redis::reply;
using weir::limiter::redis::reply_reader;

TEST_CASE("a reader turns replies into values") {
  reply_reader reader;
  const auto text = [&reader](std::string_view bytes, reply::kind type) {
    REQUIRE(reader.read(bytes));
    CHECK(reader.value().type == type);
    return reader.value().text;
  };
  CHECK(text("+OK\r\n", reply::kind::status) == "OK");
  CHECK(text("-NOSCRIPT No matching script\r\n", reply::kind::error) == "NOSCRIPT No matching script");
  CHECK(text("$4\r\na\r\nb\r\n", reply::kind::bulk) == "a\r\nb");
  CHECK(text("$0\r\n\r\n", reply::kind::bulk).empty());

  REQUIRE(reader.read("$-1\r\n"));
  CHECK(reader.value().type == reply::kind::nil);
  REQUIRE(reader.read("*-1\r\n"));
  CHECK(reader.value().type == reply::kind::nil);
  REQUIRE(reader.read(":-7\r\n"));
  CHECK(reader.value().type == reply::kind::integer);
  CHECK(reader.value().integers == std::vector<std::int64_t>{-7});
}

TEST_CASE("an array of integers keeps their order") {
  reply_reader reader;
  REQUIRE(reader.read("*3\r\n:1732422216123456\r\n:-1\r\n:0\r\n"));
  CHECK(reader.value().type == reply::kind::integers);
  CHECK(reader.value().integers == std::vector<std::int64_t>{1732422216123456, -1, 0});
  REQUIRE(reader.read("*0\r\n"));
  CHECK(reader.value().type == reply::kind::integers);
  CHECK(reader.value().integers.empty());
}

TEST_CASE("an array with anything but integers is mixed") {
  reply_reader reader;
  for (const std::string_view bytes :
       {"*2\r\n:1\r\n$1\r\nx\r\n", "*2\r\n+a\r\n:1\r\n", "*1\r\n$-1\r\n", "*1\r\n-ERR\r\n"}) {
    CAPTURE(bytes);
    REQUIRE(reader.read(bytes));
    CHECK(reader.value().type == reply::kind::mixed);
  }
}

TEST_CASE("a reply leaves nothing behind for the next") {
  reply_reader reader;
  REQUIRE(reader.read("*2\r\n:1\r\n:2\r\n"));
  REQUIRE(reader.read("+OK\r\n"));
  CHECK(reader.value().integers.empty());
  REQUIRE(reader.read(":3\r\n"));
  CHECK(reader.value().text.empty());
  CHECK(reader.value().integers == std::vector<std::int64_t>{3});
  // beyond the point where hiredis compacts its buffer
  for (int i = 0; i < 2000; ++i) REQUIRE(reader.read("*2\r\n:1\r\n:2\r\n"));
}

TEST_CASE("anything but one whole reply is a disagreement") {
  for (const std::string_view bytes :
       {"", "+OK", "+OK\r\n+", "+OK\r\n+OK\r\n", ":1x\r\n", "?\r\n", "*257\r\n"}) {
    CAPTURE(bytes);
    reply_reader reader;
    CHECK_FALSE(reader.read(bytes));
  }
}
