// SPDX-License-Identifier: Apache-2.0
#include "proxy/identity/proxy_protocol.hpp"

#include <array>
#include <doctest/doctest.h>
#include <string>
#include <vector>

using namespace weir::identity;
using namespace std::string_literals;
using status = proxy_header_status;

namespace {

proxy_header parse(std::string_view bytes) {
  return parse_proxy_header(bytes, true, true);
}

std::string source_of(const proxy_header& header) {
  std::string text;
  if (header.source) append_address(text, *header.source);
  return text;
}

std::string u16(std::size_t value) {
  return {static_cast<char>(value >> 8), static_cast<char>(value & 0xff)};
}

std::string extension(char type, const std::string& value) {
  return type + u16(value.size()) + value;
}

/// Version 2: command and family as their bytes, then addresses and extensions.
std::string v2(char command, char family, const std::string& rest) {
  return "\r\n\r\n\0\r\nQUIT\n"s + command + family + u16(rest.size()) + rest;
}

const std::string addresses_v4 = "\xc0\x00\x02\x01"s + "\x0a\x00\x00\x01"s + u16(56324) + u16(443);
const std::string addresses_v6 = "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"s +
                                 "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02"s + u16(4711) + u16(443);

/// Reckoned bit by bit, unlike the parser's.
std::uint32_t crc32c(std::string_view bytes) {
  std::uint32_t crc = 0xffffffff;
  for (const char c : bytes) {
    crc ^= static_cast<std::uint8_t>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78u : 0);
  }
  return ~crc;
}

/// `header` ends in a checksum extension of zeros, which is filled in.
std::string with_checksum(std::string header) {
  const std::uint32_t sum = crc32c(header);
  for (std::size_t i = 0; i < 4; ++i) header[header.size() - 4 + i] = static_cast<char>(sum >> (24 - 8 * i));
  return header;
}

const std::string checksummed =
    with_checksum(v2('\x21', '\x11', addresses_v4 + extension('\x03', std::string(4, '\0'))));

}  // namespace

TEST_CASE("a header of version 1 names its source") {
  const proxy_header v4 = parse("PROXY TCP4 192.0.2.1 10.0.0.1 56324 443\r\nGET / HTTP/1.1\r\n");
  CHECK(v4.status == status::complete);
  CHECK(v4.size == 41);
  CHECK(source_of(v4) == "192.0.2.1");
  CHECK(source_of(parse("PROXY TCP6 2001:db8::1 2001:db8::2 0 65535\r\n")) == "2001:db8::1");
  CHECK(source_of(parse("PROXY TCP6 ::ffff:192.0.2.9 ::1 1 2\r\n")) == "192.0.2.9");
}

TEST_CASE("UNKNOWN leaves the peer as it is, whatever follows the word") {
  for (const auto* text :
       {"PROXY UNKNOWN\r\n", "PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", "PROXY UNKNOWN  \r\n"}) {
    const proxy_header header = parse(text);
    CHECK(header.status == status::complete);
    CHECK(header.size == std::string_view(text).size());
    CHECK_FALSE(header.source);
  }
}

TEST_CASE("a malformed header of version 1 is refused") {
  const std::vector<std::string> wrong{
      "PROXY\r\n",
      "PROXY \r\n",
      "PROXY TCP5 1.1.1.1 2.2.2.2 1 2\r\n",
      "PROXY tcp4 1.1.1.1 2.2.2.2 1 2\r\n",
      "proxy TCP4 1.1.1.1 2.2.2.2 1 2\r\n",
      "PROXY  TCP4 1.1.1.1 2.2.2.2 1 2\r\n",
      "PROXY TCP4  1.1.1.1 2.2.2.2 1 2\r\n",
      "PROXY TCP4 1.1.1.1 2.2.2.2 1 2 \r\n",
      "PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n",
      "PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n",
      "PROXY TCP4 1.1.1.1 2.2.2.2 1 \r\n",
      "PROXY TCP4 1.1.1.1 2.2.2.2\r\n",
      "PROXY TCP4 1.1.1 2.2.2.2 1 2\r\n",
      "PROXY TCP4 1.1.1.01 2.2.2.2 1 2\r\n",
      "PROXY TCP4 1.1.1.1 2.2.2.256 1 2\r\n",
      "PROXY TCP4 ::1 ::2 1 2\r\n",
      "PROXY TCP6 1.1.1.1 2.2.2.2 1 2\r\n",
      "PROXY TCP6 fe80::1%eth0 ::2 1 2\r\n",
      "PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n",
      "PROXY TCP4 1.1.1.1 2.2.2.2 65536 2\r\n",
      "PROXY TCP4 1.1.1.1 2.2.2.2 1 -2\r\n",
      "PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n",
      "PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\r\n",
      "PROXY TCP4 1.1.1.1\0 2.2.2.2 1 2\r\n"s,
      "PROXY UNKNOWNX\r\n",
      "PROXY UNKNOWN \n",
      "GET / HTTP/1.1\r\n",
      "\x16\x03\x01",
      "Q",
  };
  for (const std::string& text : wrong) {
    CAPTURE(text);
    CHECK(parse(text).status == status::refused);
  }
}

TEST_CASE("a line of 107 bytes is the longest") {
  const std::string start = "PROXY UNKNOWN ";
  const auto of_size = [&](std::size_t size) {
    return start + std::string(size - start.size() - 2, 'x') + "\r\n";
  };
  CHECK(parse(of_size(107)).status == status::complete);
  CHECK(parse(of_size(108)).status == status::refused);
  CHECK(parse(start + std::string(106 - start.size(), 'x')).status == status::need_more);
  CHECK(parse(start + std::string(107 - start.size(), 'x')).status == status::refused);
}

TEST_CASE("a header of version 2 names its source, and its length says where it ends") {
  const proxy_header v4 = parse(v2('\x21', '\x11', addresses_v4) + "GET");
  CHECK(v4.status == status::complete);
  CHECK(v4.size == 28);
  CHECK(source_of(v4) == "192.0.2.1");
  const proxy_header v6 = parse(v2('\x21', '\x21', addresses_v6 + extension('\x01', "h2")));
  CHECK(v6.size == 16 + 36 + 5);
  CHECK(source_of(v6) == "2001:db8::1");
}

TEST_CASE("LOCAL and an unspecified family leave the peer as it is") {
  for (const std::string& header :
       {v2('\x20', '\x00', ""), v2('\x20', '\x11', addresses_v4), v2('\x21', '\x00', ""),
        v2('\x21', '\x00', extension('\x04', "padding"))}) {
    CHECK(parse(header).status == status::complete);
    CHECK(parse(header).size == header.size());
    CHECK_FALSE(parse(header).source);
  }
}

TEST_CASE("a malformed header of version 2 is refused") {
  const std::string good = v2('\x21', '\x11', addresses_v4);
  const std::vector<std::string> wrong{
      v2('\x11', '\x11', addresses_v4),                               // version 1 in binary
      v2('\x22', '\x11', addresses_v4),                               // no such command
      v2('\x21', '\x12', addresses_v4),                               // UDP
      v2('\x21', '\x31', std::string(216, 'x')),                      // unix socket
      v2('\x21', '\x01', addresses_v4),                               // unspecified over TCP
      v2('\x21', '\x11', addresses_v4.substr(1)),                     // too short for its family
      v2('\x21', '\x21', addresses_v6.substr(1)),                     //
      v2('\x21', '\x11', addresses_v4 + "\x04"),                      // half an extension
      v2('\x21', '\x11', addresses_v4 + "\x04" + u16(5) + "four"),    // an extension beyond the end
      v2('\x21', '\x11', addresses_v4 + extension('\x03', "three")),  // a checksum of five bytes
      v2('\x21', '\x11', std::string(4081, '\0')),                    // longer than 4 KiB
      "\r\n\r\n\0\r\nQUIR\n"s + good.substr(12),
      "\r\n\r\n\x01"s,
      "\r\nGET",
  };
  for (const std::string& bytes : wrong) {
    CAPTURE(bytes);
    CHECK(parse(bytes).status == status::refused);
  }
}

TEST_CASE("4 KiB is the longest, and judged by the length before the rest has come") {
  CHECK(parse(v2('\x21', '\x11', addresses_v4 + extension('\x04', std::string(4080 - 15, 'x')))).status ==
        status::complete);
  CHECK(parse(v2('\x21', '\x11', std::string(4081, '\0')).substr(0, 16)).status == status::refused);
}

TEST_CASE("a checksum must be right, wherever it stands, and stand once") {
  CHECK(crc32c("123456789") == 0xe3069283);  // RFC 3720 B.4 agrees with this table's check value
  CHECK(source_of(parse(checksummed)) == "192.0.2.1");
  for (std::size_t i = 12; i < checksummed.size(); ++i) {
    std::string damaged = checksummed;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    CAPTURE(i);
    if (i == 28) continue;  // its type: without a checksum nothing is checked
    CHECK(parse(damaged).status != status::complete);
  }
  std::string in_front =
      v2('\x21', '\x11',
         addresses_v4 + extension('\x03', std::string(4, '\0')) + extension('\x02', "a.example"));
  const std::uint32_t sum = crc32c(in_front);
  for (std::size_t i = 0; i < 4; ++i) in_front[16 + 12 + 3 + i] = static_cast<char>(sum >> (24 - 8 * i));
  CHECK(parse(in_front).status == status::complete);
  const std::string local = with_checksum(v2('\x20', '\x00', extension('\x03', std::string(4, '\0'))));
  CHECK(parse(local).status == status::complete);
  CHECK(parse(v2('\x20', '\x00', extension('\x03', std::string(4, '\0')))).status == status::refused);
}

TEST_CASE("any beginning of a header needs more, and no byte behind it matters") {
  for (const std::string& header : {"PROXY TCP4 192.0.2.1 10.0.0.1 56324 443\r\n"s, "PROXY UNKNOWN\r\n"s,
                                    v2('\x21', '\x11', addresses_v4), v2('\x21', '\x21', addresses_v6),
                                    v2('\x20', '\x00', ""), checksummed}) {
    for (std::size_t i = 0; i < header.size(); ++i) {
      CAPTURE(i);
      CHECK(parse(std::string_view(header).substr(0, i)).status == status::need_more);
    }
    for (const std::string& behind : {""s, "\r\n"s, "PROXY"s, std::string(8000, '\0')})
      CHECK(parse(header + behind).size == header.size());
  }
}

TEST_CASE("a version that is not accepted is refused at its first byte") {
  CHECK(parse_proxy_header("P", false, true).status == status::refused);
  CHECK(parse_proxy_header("\r", true, false).status == status::refused);
  CHECK(parse_proxy_header("P", true, false).status == status::need_more);
  CHECK(parse_proxy_header("\r", false, true).status == status::need_more);
}
