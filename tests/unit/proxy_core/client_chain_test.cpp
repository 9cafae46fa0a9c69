// SPDX-License-Identifier: Apache-2.0
#include "proxy/identity/client_chain.hpp"

#include <doctest/doctest.h>
#include <string>
#include <vector>

using namespace weir::identity;

namespace {

std::string text_of(const address& a) {
  std::string out;
  append_address(out, a);
  return out;
}

std::string client(std::string_view peer, std::vector<std::string_view> lines,
                   std::vector<std::string_view> trusted = {"10.0.0.0/8", "fd00::/8"}) {
  std::vector<cidr> networks;
  for (const auto text : trusted) networks.push_back(parse_cidr(text).value());
  return text_of(client_address(parse_address(peer).value(), lines, {networks}));
}

std::string by_hops(int hops, std::vector<std::string_view> lines) {
  return text_of(client_address(parse_address("192.0.2.99").value(), lines, {{}, hops}));
}

/// Of a Forwarded field, behind 10.0.0.1.
std::string forwarded(std::vector<std::string_view> lines) {
  const std::vector<cidr> networks{parse_cidr("10.0.0.0/8").value()};
  return text_of(
      client_address(parse_address("10.0.0.1").value(), lines, {networks}, chain_syntax::forwarded));
}

}  // namespace

TEST_CASE("an untrusted peer is the client whatever the header says") {
  CHECK(client("203.0.113.1", {"198.51.100.1"}) == "203.0.113.1");
  CHECK(client("10.0.0.1", {"198.51.100.1"}, {}) == "10.0.0.1");
}

TEST_CASE("the first untrusted address from the right is the client") {
  CHECK(client("10.0.0.1", {"198.51.100.1"}) == "198.51.100.1");
  CHECK(client("10.0.0.1", {"6.6.6.6, 198.51.100.1, 10.0.0.2"}) == "198.51.100.1");
  CHECK(client("10.0.0.1", {"6.6.6.6, 198.51.100.1:4711 ,\t[fd00::2]:80"}) == "198.51.100.1");
  CHECK(client("::ffff:10.0.0.1", {"198.51.100.1"}) == "198.51.100.1");
}

TEST_CASE("several lines are one list in their order") {
  CHECK(client("10.0.0.1", {"6.6.6.6", "198.51.100.1,10.0.0.3", "10.0.0.2"}) == "198.51.100.1");
}

TEST_CASE("empty elements and lines are skipped") {
  CHECK(client("10.0.0.1", {"198.51.100.1, ,,", "", " \t", ",10.0.0.2,"}) == "198.51.100.1");
}

TEST_CASE("when all are trusted the leftmost is the client") {
  CHECK(client("10.0.0.1", {"10.0.0.4, 10.0.0.3"}) == "10.0.0.4");
  CHECK(client("10.0.0.1", {}) == "10.0.0.1");
  CHECK(client("10.0.0.1", {" , "}) == "10.0.0.1");
}

TEST_CASE("an element that is no address stops the walk at the last address accepted") {
  CHECK(client("10.0.0.1", {"198.51.100.1, unknown"}) == "10.0.0.1");
  CHECK(client("10.0.0.1", {"198.51.100.1, _hidden, 10.0.0.2"}) == "10.0.0.2");
  CHECK(client("10.0.0.1", {"198.51.100.1, 1.2.3, 10.0.0.2"}) == "10.0.0.2");
  CHECK(client("10.0.0.1", {"garbage, 198.51.100.1"}) == "198.51.100.1");
}

TEST_CASE("the walk looks at 64 elements") {
  std::string header = "198.51.100.1";
  for (int i = 0; i < 63; ++i) header += ",10.0.0." + std::to_string(100 + i);
  CHECK(client("10.0.0.1", {header}) == "198.51.100.1");
  CHECK(client("10.0.0.1", {header + ",10.0.0.99"}) == "10.0.0.100");
}

TEST_CASE("counted hops take the address that many elements from the right") {
  CHECK(by_hops(1, {"6.6.6.6, 198.51.100.1"}) == "198.51.100.1");
  CHECK(by_hops(2, {"6.6.6.6, 198.51.100.1, 198.51.100.2"}) == "198.51.100.1");
  CHECK(by_hops(3, {"198.51.100.1", "198.51.100.2"}) == "198.51.100.1");  // fewer than counted: the leftmost
  CHECK(by_hops(1, {}) == "192.0.2.99");
  CHECK(by_hops(2, {"198.51.100.1, unknown"}) == "192.0.2.99");
  CHECK(by_hops(2, {"unknown, 198.51.100.1"}) == "198.51.100.1");
}

TEST_CASE("Forwarded names the client by its for pairs") {
  CHECK(forwarded({"for=198.51.100.1"}) == "198.51.100.1");
  CHECK(forwarded({"For=\"[2001:db8::17]:4711\";proto=https;host=\"a.example\""}) == "2001:db8::17");
  CHECK(forwarded({"proto=https; for=198.51.100.1 ;by=203.0.113.43"}) == "198.51.100.1");
  CHECK(forwarded({"for=6.6.6.6, for=198.51.100.1, for=10.0.0.2"}) == "198.51.100.1");
  CHECK(forwarded({"for=6.6.6.6", "for=198.51.100.1,for=10.0.0.2"}) == "198.51.100.1");
  CHECK(forwarded({"for=\"198.51.100.1:80\""}) == "198.51.100.1");
  CHECK(forwarded({"for=198.51.100.1;host=\"a,b;for=6.6.6.6\""}) == "198.51.100.1");
}

TEST_CASE("a Forwarded element without exactly one readable for stops the walk") {
  for (const char* element :
       {"for=unknown", "for=_hidden", "proto=https", "for", "for=", "for=\"\"", "for=198.51.100.1:80",
        "for=[2001:db8::1]", "for=2001:db8::1", "for=6.6.6.6;for=198.51.100.1", "198.51.100.1",
        "for =6.6.6.6", "for= 6.6.6.6", "for=\"6.6.6.6\\\"\"", "for=\"6.6.6.6", "for=6.6.6.6\"", "for=1.2.3",
        "xfor=6.6.6.6"}) {
    CAPTURE(element);
    CHECK(forwarded({"for=6.6.6.6", element}) == "10.0.0.1");
  }
}

TEST_CASE("a quote that the client left open swallows nothing that a proxy appended") {
  CHECK(forwarded({"for=\"6.6.6.6, for=198.51.100.1"}) == "198.51.100.1");
  CHECK(forwarded({"host=\"", "for=198.51.100.1"}) == "198.51.100.1");
  CHECK(forwarded({"for=6.6.6.6;x=\"\\, for=198.51.100.1"}) == "198.51.100.1");
}
