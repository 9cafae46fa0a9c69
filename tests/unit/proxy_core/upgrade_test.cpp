// SPDX-License-Identifier: Apache-2.0
#include "proxy/http/upgrade.hpp"

#include <doctest/doctest.h>
#include <memory>
#include <string>
#include <vector>

namespace weir::http::test {
namespace {

using namespace std::string_literals;

const std::string connection = "Connection: Upgrade\r\n";
const std::string upgrade = "Upgrade: websocket\r\n";
const std::string key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const std::string version = "Sec-WebSocket-Version: 13\r\n";
const std::string handshake = connection + upgrade + key + version;

/// What a request that has these lines besides Host may switch to.
std::string requested(const std::string& lines, const std::string& line = "GET /chat HTTP/1.1",
                      const std::vector<std::string>& allowed = {"websocket"}) {
  const std::string bytes = line + "\r\nHost: a.example\r\n" + lines + "\r\n";
  const auto head = std::make_unique<request_head>();
  head->begin({});
  REQUIRE(head->scan(bytes) == scan_status::complete);
  return std::string(requested_upgrade(*head, bytes, allowed));
}

bool granted(const std::string& lines, const std::string& protocol = "websocket",
             const std::string& line = "HTTP/1.1 101 Switching Protocols") {
  const std::string bytes = line + "\r\n" + lines + "\r\n";
  const auto head = std::make_unique<response_head>();
  head->begin(false, true);
  REQUIRE(head->scan(bytes) == scan_status::complete);
  return grants_upgrade(*head, bytes, protocol);
}

}  // namespace

TEST_CASE("a websocket handshake may be forwarded, however its words are written") {
  CHECK(requested(handshake) == "websocket");
  CHECK(requested("connection: keep-alive, , UPGRADE\r\nupgrade: WebSocket\r\n" + key + version) ==
        "websocket");
  CHECK(requested("Connection: keep-alive\r\n" + handshake) == "websocket");
  CHECK(requested(handshake + "Content-Length: 0\r\n") == "websocket");
}

TEST_CASE("only a GET of HTTP/1.1 without a body, on a connection that stays, may switch") {
  CHECK(requested(handshake, "POST /chat HTTP/1.1").empty());
  CHECK(requested(handshake, "HEAD /chat HTTP/1.1").empty());
  CHECK(requested(handshake, "GET /chat HTTP/1.0").empty());
  CHECK(requested(handshake + "Content-Length: 1\r\n").empty());
  CHECK(requested(handshake + "Transfer-Encoding: chunked\r\n").empty());
  CHECK(requested("Connection: close\r\n" + handshake).empty());
}

TEST_CASE("Upgrade must be nominated, and its whole value must be one listed protocol") {
  CHECK(requested(upgrade + key + version).empty());
  CHECK(requested("Connection: keep-alive\r\n" + upgrade + key + version).empty());
  CHECK(requested("Connection: X-Upgrade\r\n" + upgrade + key + version).empty());
  CHECK(requested(connection + key + version).empty());
  for (const char* value :
       {"", "h2c", "websocket, h2c", "websocket,", "websocket/13", "web socket", "webso"}) {
    CAPTURE(value);
    CHECK(requested(connection + "Upgrade: "s + value + "\r\n" + key + version).empty());
  }
  CHECK(requested(handshake, "GET / HTTP/1.1", {}).empty());
  CHECK(requested(handshake, "GET / HTTP/1.1", {"chat"}).empty());
}

TEST_CASE("a protocol of another name needs no websocket fields") {
  const std::vector<std::string> allowed{"websocket", "chat"};
  CHECK(requested(connection + "Upgrade: Chat\r\n", "GET / HTTP/1.1", allowed) == "chat");
  CHECK(requested(connection + "Upgrade: chat/2\r\n", "GET / HTTP/1.1", allowed).empty());
}

TEST_CASE("a websocket handshake has one key of 16 bytes and version 13") {
  for (const char* bad :
       {"", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZR==",
        "dGhlIHNhbXBsZSBub25j-Q==", "dGhlIHNhbXBsZSBub25jZQ===", "AAAA", "dGhlIHNhbXBsZSBub25jZSE="}) {
    CAPTURE(bad);
    CHECK(requested(connection + upgrade + version + "Sec-WebSocket-Key: " + bad + "\r\n").empty());
  }
  CHECK(requested(connection + upgrade + version).empty());
  CHECK(requested(handshake + key).empty());
  CHECK(requested(connection + upgrade + key).empty());
  CHECK(requested(connection + upgrade + key + "Sec-WebSocket-Version: 8\r\n").empty());
  CHECK(requested(connection + upgrade + key + "Sec-WebSocket-Version: 13, 8\r\n").empty());
  CHECK(requested(handshake + version).empty());
  CHECK(requested("Connection: Sec-WebSocket-Key\r\n" + handshake).empty());
  CHECK(requested("Connection: sec-websocket-version\r\n" + handshake).empty());
}

TEST_CASE("a 101 must name what was asked for, once, and nominate it") {
  CHECK(granted("Connection: upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Accept: x\r\n"));
  CHECK_FALSE(granted("Upgrade: websocket\r\n"));
  CHECK_FALSE(granted("Connection: upgrade\r\n"));
  CHECK_FALSE(granted("Connection: upgrade\r\nUpgrade: h2c\r\n"));
  CHECK_FALSE(granted("Connection: upgrade\r\nUpgrade: websocket, h2c\r\n"));
  CHECK_FALSE(granted("Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: websocket\r\n"));
  CHECK_FALSE(granted("Connection: close, upgrade\r\nUpgrade: websocket\r\n"));
  CHECK_FALSE(granted("Connection: upgrade\r\nUpgrade: websocket\r\n", "chat"));
  CHECK_FALSE(
      granted("Connection: upgrade\r\nUpgrade: websocket\r\n", "websocket", "HTTP/1.0 101 Switching"));
  CHECK_FALSE(granted("Connection: upgrade\r\nUpgrade: websocket\r\n", "websocket", "HTTP/1.1 100 Continue"));
}

}  // namespace weir::http::test
