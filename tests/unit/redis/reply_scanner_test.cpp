// SPDX-License-Identifier: Apache-2.0
#include "limiter/redis/reply_scanner.hpp"

#include <doctest/doctest.h>
#include <string>

using weir::limiter::redis::max_map_bytes;
using weir::limiter::redis::reply_scanner;
using kind = weir::limiter::redis::reply_token::kind;
using progress = reply_scanner::progress;

namespace {

progress scan(const std::string& bytes) {
  reply_scanner scanner;
  return scanner.scan(bytes);
}

}  // namespace

TEST_CASE("a nested reply is read the same whole and byte by byte") {
  const std::string bytes = "*4\r\n:-5\r\n*2\r\n$3\r\na\r\n\r\n$-1\r\n+OK\r\n*0\r\n";
  reply_scanner scanner;
  for (std::size_t size = 0; size < bytes.size(); ++size)
    REQUIRE(scanner.scan(std::string_view(bytes).substr(0, size)) == progress::incomplete);
  const std::string more = bytes + "+next";  // texts of the reply are views into it
  REQUIRE(scanner.scan(more) == progress::complete);
  CHECK(scanner.bytes() == bytes.size());
  const auto& tokens = scanner.reply().tokens;
  REQUIRE(tokens.size() == 7);
  CHECK(tokens[0].number == 4);
  CHECK(tokens[1].number == -5);
  CHECK(tokens[2].type == kind::array);
  CHECK(scanner.reply().text(tokens[3]) == "a\r\n");
  CHECK(tokens[4].type == kind::nil);
  CHECK(scanner.reply().text(tokens[5]) == "OK");
  CHECK(tokens[6].number == 0);
}

TEST_CASE("hostile replies are refused at their first bytes") {
  for (const std::string& bytes :
       {std::string("*100000000\r\n"), std::string("$999999999999\r\n"), std::string("*-2\r\n"),
        std::string("$2\r\nabXX"), std::string("HTTP/1.1\r\n"), std::string("\r\n"), std::string(":x\r\n"),
        "+" + std::string(600, 'x'), std::string("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n"),
        "$" + std::to_string(max_map_bytes) + "\r\n"}) {
    CAPTURE(bytes.substr(0, 40));
    CHECK(scan(bytes) == progress::violation);
  }
}

TEST_CASE("many small elements are bounded") {
  std::string bytes = "*60000\r\n";
  for (int i = 0; i < 60000; ++i) bytes += "*1\r\n:1\r\n";
  CHECK(scan(bytes) == progress::violation);
}
