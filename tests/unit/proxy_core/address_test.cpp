// SPDX-License-Identifier: Apache-2.0
#include "proxy/identity/address.hpp"

#include <doctest/doctest.h>
#include <random>
#include <string>
#include <vector>

using namespace weir::identity;

namespace {

std::string text_of(const address& a) {
  std::string out;
  append_address(out, a);
  return out;
}

/// Canonical text of what was parsed.
std::string parsed(std::string_view text) {
  const auto a = parse_address(text);
  return a ? text_of(*a) : "(nothing)";
}

std::string element(std::string_view text) {
  const auto a = parse_forwarded_element(text);
  return a ? text_of(*a) : "(nothing)";
}

std::string group(std::string_view text, int ipv4 = 32, int ipv6 = 64) {
  std::string out = "=";
  append_group(out, parse_address(text).value(), ipv4, ipv6);
  return out.substr(1);
}

bool contains(std::string_view network, std::string_view text) {
  return parse_cidr(network).value().contains(parse_address(text).value());
}

}  // namespace

TEST_CASE("an IPv4 address is four decimal octets and nothing else") {
  CHECK(parsed("0.0.0.0") == "0.0.0.0");
  CHECK(parsed("255.255.255.255") == "255.255.255.255");
  CHECK(parsed("192.0.2.1") == "192.0.2.1");
  for (const char* text :
       {"",           "1.2.3",    "1.2.3.4.5", "1.2.3.",           ".1.2.3",     "1..2.3",
        "256.0.0.1",  "01.2.3.4", "1.2.3.04",  "1.2.3.00",         "0x7f.0.0.1", "0x7f000001",
        "2130706433", "127.1",    "1.2.3.4 ",  " 1.2.3.4",         "1.2.3.4/32", "1.2.3.4%eth0",
        "+1.2.3.4",   "1.2.3.-4", "1.2.3.4.",  "1.2.3.99999999999"}) {
    CAPTURE(text);
    CHECK(parsed(text) == "(nothing)");
  }
}

TEST_CASE("IPv6 text is written as RFC 5952 says") {
  CHECK(parsed("::") == "::");
  CHECK(parsed("::1") == "::1");
  CHECK(parsed("1::") == "1::");
  CHECK(parsed("2001:DB8:0:0:0:0:0:1") == "2001:db8::1");
  CHECK(parsed("2001:0db8:0000:0000:0001:0000:0000:0001") == "2001:db8::1:0:0:1");  // the first of equal runs
  CHECK(parsed("2001:db8:0:1:1:1:1:1") == "2001:db8:0:1:1:1:1:1");                  // one group is no run
  CHECK(parsed("2001:0:0:1:0:0:0:1") == "2001:0:0:1::1");                           // the longest run
  CHECK(parsed("0:0:1:2:3:4:5:6") == "::1:2:3:4:5:6");
  CHECK(parsed("1:2:3:4:5:6:0:0") == "1:2:3:4:5:6::");
  CHECK(parsed("1:2:3:4:5:6:7::") == "1:2:3:4:5:6:7:0");
  CHECK(parsed("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff") == "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
}

TEST_CASE("malformed IPv6 text is nothing") {
  for (const char* text : {":",
                           ":::",
                           "1:2:3:4:5:6:7",
                           "1:2:3:4:5:6:7:8:9",
                           "1::2::3",
                           "1:2:3:4:5:6:7:8::",
                           "::1:2:3:4:5:6:7:8",
                           "1:2:3:4::5:6:7:8",
                           "12345::",
                           "g::",
                           ":1",
                           "1:",
                           "::1 ",
                           "[::1]",
                           "::1/128",
                           "0x1::",
                           "-1::",
                           "1.2.3.4::",
                           "::1.2.3",
                           "::1.2.3.256",
                           "::1.2.3.4:5",
                           "1:2:3:4:5:6:7:1.2.3.4",
                           "fe80::1%",
                           "fe80::1%a b",
                           "fe80::1%eth0/64"}) {
    CAPTURE(text);
    CHECK(parsed(text) == "(nothing)");
  }
}

TEST_CASE("an IPv4-mapped address in any notation is the IPv4 address") {
  for (const char* text : {"::ffff:192.0.2.1", "::ffff:c000:201", "0:0:0:0:0:FFFF:192.0.2.1"}) {
    CHECK(parsed(text) == "192.0.2.1");
    CHECK(parse_address(text).value().is_v4());
    CHECK(parse_address(text) == parse_address("192.0.2.1"));
  }
  CHECK(parse_address("192.0.2.1").value() == from_v4(0xc0000201));
}

TEST_CASE("a dotted tail elsewhere is still IPv6") {
  CHECK(parsed("::192.0.2.1") == "::c000:201");
  CHECK(parsed("64:ff9b::192.0.2.1") == "64:ff9b::c000:201");
  CHECK(parsed("1:2:3:4:5:6:192.0.2.1") == "1:2:3:4:5:6:c000:201");
  CHECK_FALSE(parse_address("::192.0.2.1").value().is_v4());
}

TEST_CASE("a zone id is removed") {
  CHECK(parsed("fe80::1%eth0") == "fe80::1");
  CHECK(element("[fe80::1%25eth0]:80") == "fe80::1");
}

TEST_CASE("canonical text of any address parses to the same address") {
  std::mt19937 random(3);
  for (int i = 0; i < 20000; ++i) {
    address a;
    for (auto& byte : a.bytes) byte = random() % 2 == 0 ? 0 : static_cast<std::uint8_t>(random());
    if (i % 5 == 0) a = from_v4(static_cast<std::uint32_t>(random()));
    const std::string text = text_of(a);
    CAPTURE(text);
    REQUIRE(parse_address(text) == a);
    REQUIRE(text.size() <= 45);
    REQUIRE(parsed(text) == text);
  }
}

TEST_CASE("a forwarded element may have a port, IPv6 then in brackets") {
  CHECK(element("192.0.2.1") == "192.0.2.1");
  CHECK(element("192.0.2.1:8080") == "192.0.2.1");
  CHECK(element("2001:db8::1") == "2001:db8::1");
  CHECK(element("[2001:db8::1]") == "2001:db8::1");
  CHECK(element("[2001:db8::1]:443") == "2001:db8::1");
  CHECK(element("[::ffff:192.0.2.1]:443") == "192.0.2.1");
  CHECK(element("::1:80") == "::1:80");  // bare: the last group, not a port
  for (const char* text : {"",
                           "unknown",
                           "_hidden",
                           "192.0.2.1:",
                           "192.0.2.1:65536",
                           "192.0.2.1:08",
                           "192.0.2.1:x",
                           "[192.0.2.1]",
                           "[192.0.2.1]:80",
                           "[::1",
                           "::1]",
                           "[]",
                           "[::1]x",
                           "[::1]:",
                           "[::1]80",
                           "[::1]:99999",
                           "[[::1]]",
                           "192.0.2.1/32",
                           "192.0.2.1 x",
                           "\"192.0.2.1\"",
                           "localhost:80"}) {
    CAPTURE(text);
    CHECK(element(text) == "(nothing)");
  }
}

TEST_CASE("a network is an address with a prefix length and no host bits") {
  CHECK(parse_cidr("10.0.0.0/8") == cidr{from_v4(0x0a000000), 104});
  CHECK(parse_cidr("192.0.2.1") == cidr{from_v4(0xc0000201), 128});
  CHECK(parse_cidr("fd00::/8").value().prefix == 8);
  CHECK(parse_cidr("0.0.0.0/0").value().prefix == 96);
  CHECK(parse_cidr("::ffff:10.0.0.0/104") == parse_cidr("10.0.0.0/8"));
  for (const char* text :
       {"", "/8", "10.0.0.0/", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/08", "10.0.0.0/-1", "10.0.0.0/8 ",
        "10.0.0.0/8/8", "fd00::1/8", "fd00::/129", "[fd00::]/8", "fe80::%eth0/64", "10/8"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_cidr(text).has_value());
  }
}

TEST_CASE("a network contains the addresses that share its prefix, by value") {
  CHECK(contains("10.0.0.0/8", "10.255.0.1"));
  CHECK(contains("10.0.0.0/8", "::ffff:10.1.2.3"));
  CHECK_FALSE(contains("10.0.0.0/8", "11.0.0.0"));
  CHECK(contains("192.0.2.128/25", "192.0.2.200"));
  CHECK_FALSE(contains("192.0.2.128/25", "192.0.2.127"));
  CHECK(contains("2001:db8::/33", "2001:db8:7fff::1"));
  CHECK_FALSE(contains("2001:db8::/33", "2001:db8:8000::1"));
  CHECK(contains("::1", "::1"));
  CHECK_FALSE(contains("::1", "::2"));
}

TEST_CASE("all of IPv6 does not contain IPv4, nor the reverse") {
  CHECK(contains("::/0", "2001:db8::1"));
  CHECK_FALSE(contains("::/0", "192.0.2.1"));
  CHECK(contains("0.0.0.0/0", "192.0.2.1"));
  CHECK_FALSE(contains("0.0.0.0/0", "2001:db8::1"));
}

TEST_CASE("a group is the masked address with its length") {
  CHECK(group("192.0.2.77") == "192.0.2.77");
  CHECK(group("192.0.2.77", 24) == "192.0.2.0/24");
  CHECK(group("192.0.2.77", 9) == "192.0.0.0/9");
  CHECK(group("2001:db8:1:2:3:4:5:6") == "2001:db8:1:2::/64");
  CHECK(group("2001:db8:1:2ff:3:4:5:6", 32, 56) == "2001:db8:1:200::/56");
  CHECK(group("2001:db8:1:2:3:4:5:6", 32, 128) == "2001:db8:1:2:3:4:5:6");
  CHECK(group("::ffff:192.0.2.77", 24, 64) == "192.0.2.0/24");
}

TEST_CASE("NAT64 counts as its IPv4 address and 6to4 as its site") {
  CHECK(group("64:ff9b::192.0.2.77") == "192.0.2.77");
  CHECK(group("64:ff9b::192.0.2.77", 24) == "192.0.2.0/24");
  CHECK(group("64:ff9b:1::192.0.2.77") == "64:ff9b:1::/64");  // another prefix
  CHECK(group("2002:c000:201:5::1") == "2002:c000:201::/48");
  CHECK(group("2002:c000:201:5::1", 32, 128) == "2002:c000:201::/48");
  CHECK(group("2002:c000:201:5::1", 32, 32) == "2002:c000::/32");
}

TEST_CASE("65536 addresses of one /64 are one group") {
  address a = parse_address("2001:db8::").value();
  std::string first;
  append_group(first, a, 32, 64);
  for (int i = 0; i < 65536; ++i) {
    a.bytes[8] = static_cast<std::uint8_t>(i >> 8);
    a.bytes[15] = static_cast<std::uint8_t>(i);
    std::string text;
    append_group(text, a, 32, 64);
    REQUIRE(text == first);
  }
}

TEST_CASE("NAT64 is its IPv4 by value") {
  CHECK(text_of(by_value(parse_address("64:ff9b::192.0.2.1").value())) == "192.0.2.1");
  CHECK(text_of(by_value(parse_address("64:ff9b:1::192.0.2.1").value())) == "64:ff9b:1::c000:201");
}

TEST_CASE("the ranges of a network hold what the network holds") {
  const std::vector<std::string_view> probes{"0.0.0.0",
                                             "10.0.0.0",
                                             "10.255.255.255",
                                             "11.0.0.0",
                                             "255.255.255.255",
                                             "::",
                                             "::1",
                                             "::fffe:ffff:ffff",
                                             "::1:0:0:0",
                                             "2001:db8::",
                                             "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
                                             "2001:db9::",
                                             "ffff::",
                                             "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"};
  for (const char* network : {"0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/32", "::/0", "::/1", "::/64", "8000::/1",
                              "2001:db8::/32", "2001:db8::/128", "::ffff:0:0/96", "::/96", "::/80"}) {
    CAPTURE(network);
    const cidr parsed_network = parse_cidr(network).value();
    std::vector<weir::limiter::address_range> ranges;
    append_ranges(ranges, parsed_network);
    const weir::limiter::address_set set(ranges);
    for (const auto probe : probes) {
      CAPTURE(probe);
      const address a = parse_address(probe).value();
      CHECK(set.contains(a.bytes) == parsed_network.contains(a));
    }
  }
  std::vector<weir::limiter::address_range> ranges;
  append_ranges(ranges, parse_cidr("64:ff9b::192.0.2.0/120").value());
  CHECK(weir::limiter::address_set(ranges).contains(parse_address("192.0.2.9").value().bytes));
}
