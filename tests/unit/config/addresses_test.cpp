// SPDX-License-Identifier: Apache-2.0
#include "config/addresses.hpp"

#include <doctest/doctest.h>
#include <string>

using namespace weir::config;
using weir::proxy::socket_address;
using weir::proxy::store_kind;

TEST_CASE("an address to bind is an IP address with a port, or a unix path") {
  CHECK(parse_bind_address("127.0.0.1:8080").value == socket_address{"127.0.0.1", 8080, {}});
  CHECK(parse_bind_address("[::]:8443").value == socket_address{"::", 8443, {}});
  CHECK(parse_bind_address("unix:/run/x.sock").value == socket_address{"", 0, "/run/x.sock"});
}

TEST_CASE("other addresses are refused with what to write") {
  CHECK(parse_bind_address(":8080").hint == "write `0.0.0.0:8080`");
  CHECK(parse_bind_address("localhost:80").hint == "write `127.0.0.1:80`");
  CHECK(parse_bind_address("::1:80").hint == "such as `[::1]:8080`");
  for (const auto* text :
       {"", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "[::1]", "[::1]80", "[x]:1", "[::1",
        "[127.0.0.1]:80", "unix:", "host name:1", "1.2.3.4:080"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_bind_address(text).value);
  }
  CHECK(parse_bind_address("unix:" + std::string(107, 'a')).value);
  CHECK_FALSE(parse_bind_address("unix:" + std::string(108, 'a')).value);
}

TEST_CASE("only 127.0.0.0/8, ::1 and unix sockets are loopback") {
  CHECK(is_loopback({"127.0.0.1", 1, {}}));
  CHECK(is_loopback({"127.9.9.9", 1, {}}));
  CHECK(is_loopback({"::1", 1, {}}));
  CHECK(is_loopback({"", 0, "/run/x"}));
  CHECK_FALSE(is_loopback({"0.0.0.0", 1, {}}));
  CHECK_FALSE(is_loopback({"::", 1, {}}));
  CHECK_FALSE(is_loopback({"10.0.0.1", 1, {}}));
}

TEST_CASE("an endpoint is an http url without path, or a unix path") {
  const auto named = parse_endpoint_url("http://api.internal:3000").value;
  REQUIRE(named);
  CHECK(named->address == socket_address{"api.internal", 3000, {}});
  CHECK(named->authority == "api.internal:3000");
  CHECK(parse_endpoint_url("http://host").value->address.port == 80);
  CHECK(parse_endpoint_url("http://host/").value->authority == "host");
  CHECK(parse_endpoint_url("http://[::1]:80").value->address.host == "::1");
  CHECK(parse_endpoint_url("unix:/run/x").value->address.unix_path == "/run/x");
  for (const auto* text : {"host:80", "ftp://h", "http://", "http://h/path", "http://h?q", "http://u@h",
                           "http://h:0", "http://a..b", ""}) {
    CAPTURE(text);
    CHECK_FALSE(parse_endpoint_url(text).value);
  }
}

TEST_CASE("a store url names memory, a unix socket, or a Redis with credentials and database") {
  CHECK(parse_store_url("memory://").value->kind == store_kind::memory);
  const auto full = parse_store_url("redis://weir:p%40ss@redis.internal:6380/3").value;
  REQUIRE(full);
  CHECK(full->kind == store_kind::redis);
  CHECK(full->username == "weir");
  CHECK(full->password == "p@ss");
  CHECK(full->host == "redis.internal");
  CHECK(full->port == 6380);
  CHECK(full->database == 3);
  CHECK(parse_store_url("redis://:secret@h").value->password == "secret");
  CHECK(parse_store_url("redis://h").value->port == 6379);
  CHECK(parse_store_url("redis://h/").value->database == 0);
  CHECK(parse_store_url("redis://[::1]:1/0").value->host == "::1");
  CHECK(parse_store_url("unix:/run/redis.sock").value->unix_path == "/run/redis.sock");
}

TEST_CASE("a malformed store url is refused without repeating its password") {
  for (const auto* text :
       {"", "memory", "memory:///x", "http://h", "redis://", "redis://secret@h", "redis://u:@h",
        "redis://u:%zz@h", "redis://:secret@h:0", "redis://h/x", "redis://h/99999", "redis://:secret@h h"}) {
    CAPTURE(text);
    const auto result = parse_store_url(text);
    CHECK_FALSE(result.value);
    CHECK(result.message.find("secret") == std::string::npos);
    CHECK(result.hint.find("secret") == std::string::npos);
  }
}
