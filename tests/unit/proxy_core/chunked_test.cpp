// SPDX-License-Identifier: Apache-2.0
#include "proxy/http/chunked.hpp"

#include <algorithm>
#include <doctest/doctest.h>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace weir::http::test {
namespace {

using namespace std::string_literals;
using status = chunk_decoder::status;

struct outcome {
  chunk_decoder::status status = status::need_more;
  std::size_t consumed = 0;
  std::string body;
  friend bool operator==(const outcome&, const outcome&) = default;
};

/// Decodes in pieces of at most `step()` bytes, each in a block of its own size.
template <typename Step>
outcome decode_in_pieces(const std::string& bytes, Step step) {
  chunk_decoder decoder;
  decoder.begin();
  outcome o;
  for (std::size_t at = 0; at < bytes.size() && o.status == status::need_more;) {
    const std::size_t n = std::min<std::size_t>(step(), bytes.size() - at);
    std::vector<char> piece(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                            bytes.begin() + static_cast<std::ptrdiff_t>(at + n));
    const auto r = decoder.decode(piece.data(), piece.size());
    CHECK(r.produced <= r.consumed);
    if (r.status == status::need_more) CHECK(r.consumed == n);
    o.status = r.status;
    o.consumed += r.consumed;
    o.body.append(piece.data(), r.produced);
    at += n;
  }
  return o;
}

outcome decode(const std::string& bytes) {
  const outcome whole = decode_in_pieces(bytes, [&] { return bytes.size(); });
  CHECK(decode_in_pieces(bytes, [] { return 1U; }) == whole);
  std::mt19937 random(static_cast<std::mt19937::result_type>(bytes.size()));
  for (int i = 0; i < 10; ++i) {
    std::uniform_int_distribution<std::size_t> size(1, 1 + bytes.size() / 3);
    CHECK(decode_in_pieces(bytes, [&] { return size(random); }) == whole);
  }
  return whole;
}

void check_complete(const std::vector<std::pair<std::string, std::string>>& cases) {
  for (const auto& [bytes, body] : cases) {
    CAPTURE(bytes.substr(0, 200));
    const outcome o = decode(bytes + "GET /");
    CHECK(o.status == status::complete);
    CHECK(o.consumed == bytes.size());
    CHECK(o.body == body);
    if (bytes.size() > 200) continue;
    for (std::size_t n = 0; n < bytes.size(); ++n)
      CHECK(decode(bytes.substr(0, n)).status == status::need_more);
  }
}

void check_malformed(const std::vector<std::string>& cases) {
  for (const auto& bytes : cases) {
    CAPTURE(bytes.substr(0, 200));
    CHECK(decode(bytes).status == status::malformed);
  }
}

/// One byte of data behind an extension.
std::string extended(std::string_view extension) {
  return "1" + std::string(extension) + "\r\na\r\n0\r\n\r\n";
}
std::string with_trailers(std::string_view lines) {
  return "1\r\na\r\n0\r\n" + std::string(lines) + "\r\n";
}

std::string repeat(std::string_view s, std::size_t n) {
  std::string all;
  for (std::size_t i = 0; i < n; ++i) all += s;
  return all;
}

}  // namespace

TEST_CASE("chunks become a body, whatever their sizes") {
  check_complete({{"0\r\n\r\n", ""},
                  {"3\r\nabc\r\n0\r\n\r\n", "abc"},
                  {"3\r\nabc\r\n2\r\nde\r\n000\r\n\r\n", "abcde"},
                  {"a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789"},
                  {"0000000000000001\r\na\r\n0\r\n\r\n", "a"},
                  {"4\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n\r\n"},
                  {"1\r\n\0\r\n0\r\n\r\n"s, "\0"s},
                  {"100\r\n" + std::string(256, 'x') + "\r\n0\r\n\r\n", std::string(256, 'x')}});
}

TEST_CASE("a chunk size is 1 to 16 hexadecimal digits below 2^63") {
  check_malformed({"\r\nabc", ";a\r\n", "g\r\n", "+1\r\n", "-1\r\n", " 1\r\n", "1 \r\na", "0x1\r\n",
                   "1\t\r\n", "1,\r\n", "00000000000000001\r\na", "8000000000000000\r\n",
                   "FFFFFFFFFFFFFFFF\r\n", "1\0\r\n"s});
  CHECK(decode("7fffffffffffffff\r\nabc").status == status::need_more);
  CHECK(decode("7fffffffffffffff\r\nabc").body == "abc");
}

TEST_CASE("lines of the chunked coding end in CRLF and data is followed by CRLF") {
  check_malformed({"1\na\r\n0\r\n\r\n", "1\ra\r\n", "1\r\nab\r\n", "1\r\na\n0\r\n\r\n", "1\r\na0\r\n\r\n",
                   "1\r\na\r0\r\n", "1\r\na\r\n\r\n0\r\n\r\n", "0\n\n", "0\r\n\n", "0\r\n\rX", "\r\n1\r\na"});
}

TEST_CASE("valid extensions are skipped") {
  check_complete({{extended(";a"), "a"},
                  {extended(";a=b"), "a"},
                  {extended(";a;b=c;d"), "a"},
                  {extended(";a=\"\""), "a"},
                  {extended(";a=\"x \t;\\\"\\\\y\x80\";b"), "a"},
                  {"1\r\na\r\n0;last=\"1\"\r\n\r\n", "a"}});
  check_malformed({extended(";"),
                   extended(";;a"),
                   extended("; a"),
                   extended(" ;a"),
                   extended(";a "),
                   extended(";a =b"),
                   extended(";a= b"),
                   extended(";a="),
                   extended(";=b"),
                   extended(";a=b=c"),
                   extended(";a=\"x\"y"),
                   extended(";a=\"x\n\""),
                   extended(";a=\"x\r\n\""),
                   extended(";a=\"\x01\""),
                   extended(";a=\"\\\x01\""),
                   extended(";a=\"\x7F\""),
                   extended(";a=\x80"),
                   extended(";a\x01"),
                   extended(";a=\"\0\""s),
                   extended(";a\n")});
}

TEST_CASE("extensions are limited per chunk and per message") {
  const std::string longest = ";" + std::string(1023, 'a');
  check_complete({{extended(longest), "a"}});
  check_malformed({extended(longest + "a"), extended(";a=" + std::string(1021, 'b') + "b"),
                   extended(";a=\"" + std::string(1021, 'b')), "1;" + std::string(2000, 'a')});
  const std::string chunk = "1" + longest + "\r\na\r\n";
  check_complete({{repeat(chunk, 16) + "0\r\n\r\n", std::string(16, 'a')}});
  const std::string shorter = "1;" + std::string(1022, 'a') + "\r\na\r\n";
  check_malformed({repeat(chunk, 16) + "0;a\r\n\r\n", repeat(chunk, 15) + shorter + "0;a\r\n\r\n"});
}

TEST_CASE("trailers obey the rules of fields and are discarded") {
  check_complete({{with_trailers("A: b\r\n"), "a"},
                  {with_trailers("A:\r\nHost: x\r\nB: \x80 \t\r\n"), "a"},
                  {with_trailers(std::string(256, 'n') + ":\r\n"), "a"},
                  {with_trailers(repeat("A: b\r\n", 32)), "a"}});
  check_malformed({with_trailers(" A: b\r\n"), with_trailers("A : b\r\n"), with_trailers("A\r\n"),
                   with_trailers(": b\r\n"), with_trailers("A: b\n"), with_trailers("A: b\rc\r\n"),
                   with_trailers("A: b\r\n c\r\n"), with_trailers("A: \x01\r\n"), with_trailers("A: \0\r\n"s),
                   with_trailers("A(: b\r\n"), with_trailers(std::string(257, 'n') + ":\r\n"),
                   with_trailers(repeat("A: b\r\n", 33))});
}

TEST_CASE("trailers are limited to 8 KiB") {
  const std::string rest = "A: " + std::string(8 * 1024 - 5, 'v');
  check_complete({{with_trailers(rest + "\r\n"), "a"}});
  check_malformed({with_trailers(rest + "v\r\n"), with_trailers("A: " + std::string(70000, 'v') + "\r\n")});
}

TEST_CASE("a finished decoder takes no more bytes until it begins anew") {
  chunk_decoder decoder;
  decoder.begin();
  std::string bytes = "0\r\n\r\n1\r\n";
  CHECK(decoder.decode(bytes.data(), bytes.size()).consumed == 5);
  const auto again = decoder.decode(bytes.data() + 5, 3);
  CHECK(again.status == status::complete);
  CHECK(again.consumed == 0);
  decoder.begin();
  CHECK(decoder.decode(bytes.data() + 5, 3).consumed == 3);
  std::string bad = "x";
  decoder.begin();
  CHECK(decoder.decode(bad.data(), 1).status == status::malformed);
  CHECK(decoder.decode(bytes.data(), 5).status == status::malformed);
}

TEST_CASE("what the encoder writes the decoder reads") {
  CHECK(chunk_header(1).view() == "1\r\n");
  CHECK(chunk_header(0x1aF0).view() == "1af0\r\n");
  CHECK(chunk_header(std::numeric_limits<std::size_t>::max()).view() == "ffffffffffffffff\r\n");
  std::mt19937 random(7);
  for (int round = 0; round < 20; ++round) {
    std::string coded, body;
    for (int i = 0; i < 5; ++i) {
      const std::string data(1 + random() % 3000, static_cast<char>(random() % 256));
      coded.append(chunk_header(data.size()).view()).append(data).append("\r\n");
      body += data;
    }
    coded += last_chunk;
    check_complete({{coded, body}});
  }
}

}  // namespace weir::http::test
