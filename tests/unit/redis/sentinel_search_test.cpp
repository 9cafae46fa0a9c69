// SPDX-License-Identifier: Apache-2.0
#include "limiter/redis/sentinel_search.hpp"

#include <doctest/doctest.h>
#include <string>

using namespace std::chrono_literals;
using namespace weir::limiter::redis;
using weir::limiter::redis_address;

namespace {

std::vector<redis_address> three() {
  return {{.host = "a", .port = 1, .unix_path = {}},
          {.host = "b", .port = 2, .unix_path = {}},
          {.host = "c", .port = 3, .unix_path = {}}};
}

std::optional<redis_address> parse(const std::string& bytes) {
  reply_scanner scanner;
  REQUIRE(scanner.scan(bytes) == reply_scanner::progress::complete);
  return parse_master_address(scanner.reply());
}

}  // namespace

TEST_CASE("sentinels are asked in order, with a pause only after a whole round") {
  sentinel_search search(three());
  CHECK(search.sentinel().host == "a");
  CHECK(search.failed(1) == 0ms);
  CHECK(search.sentinel().host == "b");
  CHECK(search.failed(1) == 0ms);
  CHECK(search.failed(1) == 50ms);
  CHECK(search.sentinel().host == "a");
  CHECK(search.failed(0) == 0ms);
  CHECK(search.failed(0) == 0ms);
  CHECK(search.failed(0) == 50ms);  // half of 100
}

TEST_CASE("the sentinel that knew stays first") {
  sentinel_search search(three());
  (void)search.failed(0);
  search.answered();
  CHECK(search.sentinel().host == "b");
  CHECK(search.failed(0) == 0ms);
  CHECK(search.failed(0) == 0ms);
  CHECK(search.failed(0) > 0ms);
}

TEST_CASE("when the named master is none another sentinel is asked, ever more slowly") {
  sentinel_search search(three());
  CHECK(search.disproved(1) == 50ms);
  CHECK(search.sentinel().host == "b");
  CHECK(search.disproved(1) == 100ms);
  for (int i = 0; i < 5; ++i) (void)search.disproved(1);
  CHECK(search.disproved(1) == 500ms);
  search.settled();
  CHECK(search.disproved(1) == 50ms);
}

TEST_CASE("a master's address is host and port, anything else is none") {
  const auto found = parse("*2\r\n$9\r\n127.0.0.1\r\n$4\r\n6380\r\n");
  REQUIRE(found);
  CHECK(found->host == "127.0.0.1");
  CHECK(found->port == 6380);
  for (const char* bytes :
       {"*-1\r\n", "$-1\r\n", "*2\r\n$0\r\n\r\n$1\r\n1\r\n", "*2\r\n$1\r\nh\r\n$1\r\n0\r\n",
        "*2\r\n$1\r\nh\r\n$2\r\n1x\r\n", "*2\r\n$1\r\nh\r\n:1\r\n", "-ERR No such master\r\n"}) {
    CAPTURE(bytes);
    CHECK_FALSE(parse(bytes));
  }
}
