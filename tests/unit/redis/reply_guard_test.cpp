// SPDX-License-Identifier: Apache-2.0
#include "limiter/redis/reply_guard.hpp"

#include <doctest/doctest.h>
#include <string>
#include <string_view>

using weir::limiter::redis::reply_guard;
using progress = reply_guard::progress;
namespace redis = weir::limiter::redis;

namespace {

constexpr std::size_t control = 0;

progress scan_whole(std::string_view bytes, std::size_t elements = control) {
  reply_guard guard;
  const progress result = guard.scan(bytes, elements);
  if (result == progress::complete) CHECK(guard.reply_bytes() == bytes.size());
  return result;
}

std::string bulk(std::size_t size) {
  return "$" + std::to_string(size) + "\r\n" + std::string(size, 'x') + "\r\n";
}

}  // namespace

TEST_CASE("every kind of RESP2 reply passes") {
  for (const std::string_view bytes :
       {"+OK\r\n", "-ERR no\r\n", ":0\r\n", ":-12\r\n", ":1732422216123456\r\n", "$-1\r\n", "$0\r\n\r\n",
        "$3\r\na\r\n\r\n", "*-1\r\n", "*0\r\n", "*2\r\n:1\r\n$1\r\nx\r\n", "*3\r\n$-1\r\n+a\r\n-b\r\n"}) {
    CAPTURE(bytes);
    CHECK(scan_whole(bytes) == progress::complete);
  }
}

TEST_CASE("a reply may arrive byte by byte") {
  const std::string_view bytes = "*3\r\n:1\r\n$4\r\nab\r\n\r\n+done\r\n";
  reply_guard guard;
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CAPTURE(size);
    REQUIRE(guard.scan(bytes.substr(0, size), control) == progress::incomplete);
  }
  CHECK(guard.scan(bytes, control) == progress::complete);
}

TEST_CASE("a reply ends where the next begins") {
  const std::string_view bytes = "*2\r\n:1\r\n:2\r\n:3\r\n";
  reply_guard guard;
  REQUIRE(guard.scan(bytes, 2) == progress::complete);
  const std::size_t first = guard.reply_bytes();
  CHECK(first == 12);
  guard.next();
  REQUIRE(guard.scan(bytes.substr(first), 2) == progress::complete);
  CHECK(guard.reply_bytes() == 4);
}

TEST_CASE("a decision has exactly the elements it implies, or is no array") {
  CHECK(scan_whole("*2\r\n:1\r\n:2\r\n", 2) == progress::complete);
  CHECK(scan_whole("-OOM command not allowed\r\n", 2) == progress::complete);
  for (const std::string_view bytes : {"*1\r\n", "*3\r\n", "*0\r\n", "*-1\r\n"}) {
    CAPTURE(bytes);
    CHECK(scan_whole(bytes, 2) == progress::violation);
  }
  CHECK(scan_whole("*162\r\n", 162) == progress::incomplete);
}

TEST_CASE("a control reply has at most sixteen elements") {
  CHECK(scan_whole("*16\r\n") == progress::incomplete);
  CHECK(scan_whole("*17\r\n") == progress::violation);
}

TEST_CASE("the known bombs are refused at their header") {
  CHECK(scan_whole("*100000000\r\n") == progress::violation);
  CHECK(scan_whole("$999999999999") == progress::incomplete);
  CHECK(scan_whole("$999999999999\r\n") == progress::violation);
  CHECK(scan_whole("*18446744073709551617\r\n", 1) == progress::violation);
}

TEST_CASE("arrays do not nest") {
  CHECK(scan_whole("*1\r\n*0\r\n") == progress::violation);
  CHECK(scan_whole("*1\r\n*-1\r\n") == progress::violation);
}

TEST_CASE("a bulk ends in CRLF") {
  CHECK(scan_whole("$2\r\nabXX") == progress::violation);
  CHECK(scan_whole("$2\r\nab\r") == progress::incomplete);
  CHECK(scan_whole("$2\r\nab\n\r") == progress::violation);
}

TEST_CASE("one whole reply is at most 4 kB") {
  const std::size_t header = std::string_view("$4088\r\n").size();
  const std::size_t largest = redis::max_reply_bytes - header - 2;
  CHECK(scan_whole(bulk(largest)) == progress::complete);
  CHECK(scan_whole("$" + std::to_string(largest + 1) + "\r\n") == progress::violation);
  CHECK(scan_whole("*2\r\n" + bulk(2000) + "$2100\r\n") == progress::violation);
  std::string lines = "*16\r\n";
  for (int i = 0; i < 9; ++i) lines += "+" + std::string(500, 'x') + "\r\n";
  CHECK(scan_whole(lines) == progress::violation);
}

TEST_CASE("lines are bounded, with or without their end") {
  const auto line = [](char type, std::size_t size) { return type + std::string(size - 3, 'x') + "\r\n"; };
  CHECK(scan_whole(line('+', redis::max_text_line)) == progress::complete);
  CHECK(scan_whole(line('-', redis::max_text_line + 1)) == progress::violation);
  CHECK(scan_whole("-" + std::string(redis::max_text_line - 2, 'x')) == progress::incomplete);
  CHECK(scan_whole("-" + std::string(redis::max_text_line - 1, 'x')) == progress::violation);
  CHECK(scan_whole("$" + std::string(redis::max_header_line - 2, '1')) == progress::incomplete);
  CHECK(scan_whole("$" + std::string(redis::max_header_line - 1, '1')) == progress::violation);
  CHECK(scan_whole(":-" + std::string(19, '1')) == progress::incomplete);
  CHECK(scan_whole(":-" + std::string(20, '1')) == progress::violation);
  std::string integers = "*200\r\n";
  for (int i = 0; i < 200; ++i) integers += ":1234567890123456789\r\n";
  CHECK(scan_whole(integers, 200) == progress::violation);  // above 4 kB
}

TEST_CASE("what is not RESP2 is refused at its first byte") {
  for (const std::string_view bytes :
       {"H", "\n", "\r\n", "%1\r\n", ">2\r\n", "_\r\n", ",1.5\r\n", "#t\r\n", "(1\r\n"}) {
    CAPTURE(bytes);
    CHECK(scan_whole(bytes) == progress::violation);
  }
  CHECK(scan_whole(std::string_view("\0", 1)) == progress::violation);
}

TEST_CASE("numbers are plain decimal and lines end in CRLF") {
  for (const std::string_view bytes :
       {":\r\n", ":-\r\n", ":1a\r\n", ":+1\r\n", ":12345678901234567890\r\n", "$\r\n", "$-2\r\n", "$1x\r\n",
        "$ 1\r\n", "*-2\r\n", "*\r\n", "+OK\n", "+O\rK\r\n", ":1\n", "+\n"}) {
    CAPTURE(bytes);
    CHECK(scan_whole(bytes) == progress::violation);
  }
}

TEST_CASE("a violation is final") {
  reply_guard guard;
  REQUIRE(guard.scan("!", control) == progress::violation);
  guard.next();
  CHECK(guard.scan("+OK\r\n", control) == progress::violation);
}
