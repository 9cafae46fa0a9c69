// SPDX-License-Identifier: Apache-2.0
#include "proxy/observe/json_writer.hpp"

#include <boost/json.hpp>
#include <doctest/doctest.h>
#include <limits>
#include <random>
#include <string>
#include <string_view>
#include <vector>

using namespace weir::proxy;

namespace {

std::string escaped(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

std::string milliseconds_of(std::int64_t us) {
  std::string out;
  append_json_milliseconds(out, us);
  return out;
}

std::string time_of(std::int64_t us) {
  std::string out;
  append_json_time(out, us);
  return out;
}

/// What a reader must get back: each byte that is not part of well-formed UTF-8 becomes the character
/// U+0000..U+00FF of the same number. Written independently: tries all sequence sizes against a decoder of
/// code points.
std::string expected_meaning(std::string_view text) {
  std::string out;
  const auto byte = [&](std::size_t i) { return static_cast<unsigned>(static_cast<unsigned char>(text[i])); };
  for (std::size_t i = 0; i < text.size();) {
    if (byte(i) < 0x80) {
      out += text[i++];
      continue;
    }
    const std::size_t size = byte(i) >= 0xf0 ? 4 : byte(i) >= 0xe0 ? 3 : byte(i) >= 0xc0 ? 2 : 0;
    bool good = size != 0 && byte(i) < 0xf8 && i + size <= text.size();
    unsigned code = size == 0 ? 0 : byte(i) & (0x7fu >> size);
    for (std::size_t k = 1; good && k < size; ++k) {
      good = (byte(i + k) >> 6) == 2;
      code = code << 6 | (byte(i + k) & 0x3f);
    }
    const unsigned smallest = size == 2 ? 0x80 : size == 3 ? 0x800 : 0x10000;
    good = good && code >= smallest && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff);
    if (good) {
      out.append(text.substr(i, size));
      i += size;
    } else {
      out += static_cast<char>(0xc0 | byte(i) >> 6);
      out += static_cast<char>(0x80 | (byte(i) & 0x3f));
      ++i;
    }
  }
  return out;
}

void check_round_trip(std::string_view text) {
  boost::system::error_code failed;
  const boost::json::value parsed = boost::json::parse(escaped(text), failed);
  REQUIRE_MESSAGE(!failed, "not JSON: ", escaped(text));
  CHECK(std::string_view(parsed.as_string()) == expected_meaning(text));
}

}  // namespace

TEST_CASE("plain text is written as it is") {
  CHECK(escaped("") == R"("")");
  CHECK(escaped("/v1/users/42?x=y&z=%20") == R"("/v1/users/42?x=y&z=%20")");
}

TEST_CASE("quotes, backslashes, control bytes and DEL are escaped") {
  CHECK(escaped("a\"b\\c") == R"("a\"b\\c")");
  CHECK(escaped("123\x7f"
                "4567") == "\"123\\u007f4567\"");
  CHECK(escaped("12345678\x7f\"\\\n4567") == "\"12345678\\u007f\\\"\\\\\\u000a4567\"");
  CHECK(escaped(std::string_view("\0\n\x1f\x7f", 4)) == R"("\u0000\u000a\u001f\u007f")");
}

TEST_CASE("well-formed UTF-8 stays, every other byte becomes its number") {
  CHECK(escaped("é€𝄞") == "\"é€𝄞\"");
  CHECK(escaped("\xff") == R"("\u00ff")");
  CHECK(escaped("\xc0\xaf") == R"("\u00c0\u00af")");                      // overlong
  CHECK(escaped("\xe0\x80\xaf") == R"("\u00e0\u0080\u00af")");            // overlong
  CHECK(escaped("\xed\xa0\x80") == R"("\u00ed\u00a0\u0080")");            // surrogate
  CHECK(escaped("\xf4\x90\x80\x80") == R"("\u00f4\u0090\u0080\u0080")");  // above U+10FFFF
  CHECK(escaped("\xe2\x82") == R"("\u00e2\u0082")");                      // cut short
  CHECK(escaped("\xe2(x") == R"("\u00e2(x")");
}

TEST_CASE("a special byte is found at every position, also behind eight plain ones") {
  for (std::size_t size = 1; size <= 40; ++size) {
    for (std::size_t at = 0; at < size; ++at) {
      for (const char special : {'\0', '\x1f', '"', '\\', '\x7f', '\x80', '\xff'}) {
        std::string text(size, 'x');
        text[at] = special;
        check_round_trip(text);
      }
    }
  }
}

TEST_CASE("plain text is told from any other, copied whole, and nothing is written around it") {
  for (std::size_t size = 0; size <= 70; ++size) {
    const std::string plain(size, 'p');
    std::string room(size + 2, '#');
    CHECK(copy_plain(room.data() + 1, plain));
    CHECK(room == "#" + plain + "#");
    for (std::size_t at = 0; at < size; ++at) {
      for (const char special : {'\0', '\x1f', '"', '\\', '\x7f', '\x80', '\xff'}) {
        std::string text = plain;
        text[at] = special;
        CHECK_FALSE(copy_plain(room.data() + 1, text));
        CHECK((room.front() == '#' && room.back() == '#'));
      }
    }
  }
  for (int c = ' '; c < '\x7f'; ++c) {
    char copy = 0;
    const auto character = static_cast<char>(c);
    CHECK(copy_plain(&copy, {&character, 1}) == (c != '"' && c != '\\'));
  }
}

TEST_CASE("random bytes come back from a JSON parser with their meaning") {
  std::mt19937_64 rng(20260101);
  // three kinds of text: any byte, mostly UTF-8 leads and tails, mostly specials
  const std::vector<std::string_view> alphabets{{},
                                                "\xc2\xdf\xe0\xed\xef\xf0\xf4\xf5\x80\x8f\x90\x9f\xa0\xbf"
                                                "a",
                                                "\"\\\n\x7f\x1f !az"};
  for (int round = 0; round < 30'000; ++round) {
    const std::string_view alphabet = alphabets[rng() % alphabets.size()];
    std::string text(rng() % 48, '\0');
    for (char& c : text) c = alphabet.empty() ? static_cast<char>(rng()) : alphabet[rng() % alphabet.size()];
    check_round_trip(text);
  }
}

TEST_CASE("every two-byte text comes back") {
  for (int first = 0; first < 256; ++first) {
    for (int second = 0; second < 256; ++second) {
      const std::string text{static_cast<char>(first), static_cast<char>(second)};
      check_round_trip(text);
    }
  }
}

TEST_CASE("milliseconds keep the microseconds") {
  CHECK(milliseconds_of(0) == "0.000");
  CHECK(milliseconds_of(7) == "0.007");
  CHECK(milliseconds_of(1234) == "1.234");
  CHECK(milliseconds_of(60'000'050) == "60000.050");
  CHECK(milliseconds_of(-1) == "-0.001");
  CHECK(milliseconds_of(std::numeric_limits<std::int64_t>::min()) == "-9223372036854775.808");
}

TEST_CASE("times are RFC 3339 in UTC with milliseconds, rounded down") {
  CHECK(time_of(0) == R"("1970-01-01T00:00:00.000Z")");
  CHECK(time_of(1'767'225'600'000'000) == R"("2026-01-01T00:00:00.000Z")");
  CHECK(time_of(1'709'210'096'789'999) == R"("2024-02-29T12:34:56.789Z")");
  CHECK(time_of(-1) == R"("1969-12-31T23:59:59.999Z")");
}
