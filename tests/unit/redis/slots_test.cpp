// SPDX-License-Identifier: Apache-2.0
#include "limiter/redis/slots.hpp"

#include <doctest/doctest.h>
#include <string>

using namespace weir::limiter::redis;

namespace {

std::optional<std::vector<slot_range>> parse(const std::string& bytes) {
  reply_scanner scanner;
  if (scanner.scan(bytes) != reply_scanner::progress::complete) return std::nullopt;
  return parse_cluster_slots(scanner.reply());
}

std::string range(int first, int last, const std::string& host, int port, const std::string& more = "") {
  return "*3\r\n:" + std::to_string(first) + "\r\n:" + std::to_string(last) + "\r\n*3\r\n$" +
         std::to_string(host.size()) + "\r\n" + host + "\r\n:" + std::to_string(port) + "\r\n$2\r\nid\r\n" +
         more;
}

}  // namespace

TEST_CASE("a key's slot is the CRC16 that Redis Cluster documents") {
  CHECK(hash_slot("123456789") == 0x31c3);
  CHECK(hash_slot("foo") == 12182);
  CHECK(hash_slot("") == 0);
}

TEST_CASE("only the hash tag counts, when there is one") {
  CHECK(hash_slot("{foo}") == hash_slot("foo"));
  CHECK(hash_slot("rl:1:{foo}:labcd") == hash_slot("foo"));
  CHECK(hash_slot("a{foo}{bar}") == hash_slot("foo"));
  CHECK(hash_slot("{foo{x}") == hash_slot("foo{x"));
  CHECK(hash_slot("{}foo") != hash_slot("foo"));
  CHECK(hash_slot("foo{") != hash_slot("foo"));
}

TEST_CASE("redirections are read and nonsense is none") {
  const auto moved = parse_redirection("MOVED 3999 127.0.0.1:6381");
  REQUIRE(moved);
  CHECK_FALSE(moved->ask);
  CHECK(moved->slot == 3999);
  CHECK(moved->to.host == "127.0.0.1");
  CHECK(moved->to.port == 6381);
  const auto ask = parse_redirection("ASK 0 ::1:7000");
  REQUIRE(ask);
  CHECK(ask->ask);
  CHECK(ask->to.host == "::1");
  const auto nameless = parse_redirection("MOVED 1 :6379");
  REQUIRE(nameless);
  CHECK(nameless->to.host.empty());
  for (const char* text :
       {"", "MOVED", "MOVED 1", "MOVED 16384 h:1", "MOVED -1 h:1", "MOVED 1 h", "MOVED 1 h:0",
        "MOVED 1 h:65536", "MOVED 1 h:x", "moved 1 h:1", "ERR MOVED 1 h:1", "ASKING 1 h:1"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_redirection(text));
  }
}

TEST_CASE("the map of a cluster is read with its replicas left out") {
  const std::string replica = "*2\r\n$1\r\nr\r\n:1\r\n";
  std::string bytes = "*2\r\n" + range(0, 8191, "10.0.0.1", 7000);
  bytes += "*4\r\n:8192\r\n:16383\r\n*2\r\n$-1\r\n:7001\r\n" + replica;
  const auto map = parse(bytes);
  REQUIRE(map);
  REQUIRE(map->size() == 2);
  CHECK((*map)[0].first == 0);
  CHECK((*map)[0].last == 8191);
  CHECK((*map)[0].master.host == "10.0.0.1");
  CHECK((*map)[1].master.host.empty());
  CHECK((*map)[1].master.port == 7001);
}

TEST_CASE("a map of another shape is none") {
  for (const std::string& bytes :
       {std::string(":1\r\n"), std::string("*1\r\n:1\r\n"), "*1\r\n" + range(5, 4, "h", 1),
        "*1\r\n" + range(0, 16384, "h", 1), "*1\r\n" + range(0, 1, "h", 0),
        "*2\r\n" + range(0, 10, "h", 1) + range(10, 20, "i", 1), std::string("*1\r\n*2\r\n:0\r\n:1\r\n"),
        std::string("*1\r\n*3\r\n:0\r\n:1\r\n*1\r\n$1\r\nh\r\n")}) {
    CAPTURE(bytes);
    CHECK_FALSE(parse(bytes));
  }
}

TEST_CASE("the table knows what it was told") {
  slot_table table;
  CHECK(table.node(7) == slot_table::unknown);
  table.assign(0, 16383, 2);
  table.assign(7, 7, 3);
  CHECK(table.node(6) == 2);
  CHECK(table.node(7) == 3);
  CHECK(table.node(16383) == 2);
}
