// SPDX-License-Identifier: Apache-2.0
#include "proxy/http/grammar.hpp"

#include <doctest/doctest.h>
#include <string>
#include <string_view>

namespace grammar = weir::http::grammar;

namespace {

/// A text of each length with `odd` at each place, in the middle of a buffer.
template <typename Check>
void at_every_place(char filling, char odd, Check check) {
  for (std::size_t size = 1; size <= 40; ++size) {
    for (std::size_t place = 0; place < size; ++place) {
      std::string text(size, filling);
      text[place] = odd;
      check(text, place);
    }
  }
}

template <typename Skip>
std::size_t skipped(Skip skip, const std::string& text, std::size_t floor) {
  const std::string buffer = std::string(floor, '\0') + text;
  return static_cast<std::size_t>(skip(buffer.data(), buffer.data() + floor, buffer.data() + buffer.size()) -
                                  buffer.data()) -
         floor;
}

}  // namespace

TEST_CASE("eight bytes are made lower case as one is") {
  for (int c = 0; c < 256; ++c) {
    const auto byte = static_cast<unsigned char>(c);
    const auto lower = static_cast<unsigned char>(grammar::lower(static_cast<char>(byte)));
    constexpr std::uint64_t every = 0x0101010101010101U;
    CHECK(grammar::lower_bytes(byte * every) == lower * every);
    CHECK(grammar::lower_bytes(std::uint64_t{byte} << 8 | 0xFF00FF) ==
          (std::uint64_t{lower} << 8 | 0xFF00FF));
  }
}

TEST_CASE("texts are equal in any case when every byte is") {
  at_every_place('a', 'Q', [](const std::string& text, std::size_t place) {
    std::string other = text;
    other[place] = 'q';
    CHECK(grammar::equals_ignoring_case(text, other));
    CHECK(grammar::is_lower(other));
    CHECK_FALSE(grammar::is_lower(text));
    for (const char different : {'r', '\0', '\x11', '1', '\xF1'}) {
      other[place] = different;
      CHECK_FALSE(grammar::equals_ignoring_case(text, other));
    }
  });
  CHECK(grammar::equals_ignoring_case("", ""));
  CHECK_FALSE(grammar::equals_ignoring_case("a", ""));
  CHECK_FALSE(grammar::equals_ignoring_case("@", "`"));
  CHECK_FALSE(grammar::equals_ignoring_case("[", "{"));
  CHECK(grammar::is_lower(""));
  CHECK(grammar::is_lower("@[`{\xC1"));
}

TEST_CASE("a byte outside its class is found wherever it is, whatever lies before the text") {
  for (const std::size_t floor : {0U, 1U, 15U, 16U, 40U}) {
    at_every_place('a', ' ', [&](const std::string& text, std::size_t place) {
      CHECK(skipped(grammar::skip_token, text, floor) == place);
      CHECK(skipped(grammar::skip_plain_token, text, floor) == place);
      CHECK(skipped(grammar::skip_target, text, floor) == place);
      CHECK(skipped(grammar::skip_text, text, floor) == text.size());
      CHECK(grammar::is_all(text, grammar::unreserved) == false);
    });
    at_every_place('a', '\r', [&](const std::string& text, std::size_t place) {
      CHECK(skipped(grammar::skip_text, text, floor) == place);
    });
    at_every_place('a', '_', [&](const std::string& text, std::size_t place) {
      CHECK(skipped(grammar::skip_token, text, floor) == text.size());
      CHECK(skipped(grammar::skip_plain_token, text, floor) == place);
      CHECK(grammar::is_all(text, grammar::unreserved));
    });
  }
}

TEST_CASE("every byte belongs to the same classes sixteen at a time and alone") {
  for (int c = 0; c < 256; ++c) {
    CAPTURE(c);
    const std::string text(20, static_cast<char>(c));
    const auto all = [&](auto skip) { return skipped(skip, text, 20) == text.size(); };
    const bool alnum = grammar::detail::is_alnum(c);
    CHECK(all(grammar::skip_token) == grammar::is(text[0], grammar::token));
    CHECK(all(grammar::skip_text) == grammar::is(text[0], grammar::text));
    CHECK(all(grammar::skip_target) == grammar::is(text[0], grammar::target));
    CHECK(all(grammar::skip_plain_token) == (alnum || c == '-'));
  }
}
