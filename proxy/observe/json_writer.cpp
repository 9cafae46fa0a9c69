// SPDX-License-Identifier: Apache-2.0
#include "proxy/observe/json_writer.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstring>

namespace weir::proxy {
namespace {

constexpr std::uint64_t every_byte(std::uint64_t value) noexcept {
  return value * 0x0101010101010101ull;
}

/// True when one of eight bytes is a control byte, `"`, `\`, DEL or not ASCII. (Carries between bytes may
/// raise a false alarm, never hide a byte.)
bool needs_care(std::uint64_t word) noexcept {
  constexpr std::uint64_t high = every_byte(0x80);
  const auto has_zero = [](std::uint64_t w) { return (w - every_byte(1)) & ~w & high; };
  const std::uint64_t control = (word - every_byte(0x20)) & ~word & high;
  return ((word & high) | control | has_zero(word ^ every_byte('"')) | has_zero(word ^ every_byte('\\')) |
          has_zero(word ^ every_byte(0x7f))) != 0;
}

constexpr bool is_plain(unsigned char c) noexcept {
  return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

/// Size of the well-formed multi-byte sequence at the start of `text` (RFC 3629: no overlong form, no
/// surrogate, nothing above U+10FFFF); 0 = there is none.
std::size_t utf8_sequence(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto continues = [&](std::size_t from, std::size_t size) {
    if (text.size() < size) return false;
    for (std::size_t i = from; i < size; ++i) {
      if ((byte(i) & 0xc0) != 0x80) return false;
    }
    return true;
  };
  const unsigned char lead = byte(0);
  if (lead >= 0xc2 && lead <= 0xdf) return continues(1, 2) ? 2 : 0;
  if (lead >= 0xe0 && lead <= 0xef) {
    if (!continues(1, 3)) return 0;
    const bool overlong = lead == 0xe0 && byte(1) < 0xa0;
    const bool surrogate = lead == 0xed && byte(1) > 0x9f;
    return overlong || surrogate ? 0 : 3;
  }
  if (lead >= 0xf0 && lead <= 0xf4) {
    if (!continues(1, 4)) return 0;
    const bool overlong = lead == 0xf0 && byte(1) < 0x90;
    const bool too_large = lead == 0xf4 && byte(1) > 0x8f;
    return overlong || too_large ? 0 : 4;
  }
  return 0;
}

char* put_escape(char* at, unsigned char c) noexcept {
  constexpr std::string_view hex = "0123456789abcdef";
  *at++ = '\\';
  if (c == '"' || c == '\\') {
    *at++ = static_cast<char>(c);
    return at;
  }
  for (const char digit : {'u', '0', '0', hex[c >> 4], hex[c & 15]}) *at++ = digit;
  return at;
}

/// Writes the first character of `text` and removes it.
char* put_special(char* at, std::string_view& text) noexcept {
  const auto c = static_cast<unsigned char>(text.front());
  const std::size_t sequence = c >= 0x80 ? utf8_sequence(text) : 0;
  at = sequence != 0 ? std::copy_n(text.data(), sequence, at) : put_escape(at, c);
  text.remove_prefix(sequence != 0 ? sequence : 1);
  return at;
}

char* put_character(char* at, std::string_view& text) noexcept {
  const char c = text.front();
  if (!is_plain(static_cast<unsigned char>(c))) return put_special(at, text);
  *at = c;
  text.remove_prefix(1);
  return at + 1;
}

/// `digits` decimal digits with leading zeros.
char* put_digits(char* at, std::uint64_t value, int digits) noexcept {
  for (int i = digits - 1; i >= 0; --i) {
    at[i] = static_cast<char>('0' + value % 10);
    value /= 10;
  }
  return at + digits;
}

/// Appends what `put` writes into at most `room` bytes.
template <class Put>
void append(std::string& out, std::size_t room, Put put) {
  const std::size_t before = out.size();
  out.resize(before + room);
  const char* const end = put(out.data() + before);
  out.resize(static_cast<std::size_t>(end - out.data()));
}

}  // namespace

char* put_json_string(char* at, std::string_view text) noexcept {
  *at++ = '"';
  while (!text.empty()) {
    std::uint64_t word = 0;
    if (text.size() >= sizeof word) {
      std::memcpy(&word, text.data(), sizeof word);
      if (!needs_care(word)) {
        std::memcpy(at, &word, sizeof word);
        at += sizeof word;
        text.remove_prefix(sizeof word);
        continue;
      }
    }
    at = put_character(at, text);
  }
  *at++ = '"';
  return at;
}

char* put_json_milliseconds(char* at, std::int64_t microseconds) noexcept {
  auto magnitude = static_cast<std::uint64_t>(microseconds);
  if (microseconds < 0) {
    *at++ = '-';
    magnitude = 0 - magnitude;
  }
  at = std::to_chars(at, at + json_milliseconds_room, magnitude / 1000).ptr;
  *at++ = '.';
  return put_digits(at, magnitude % 1000, 3);
}

char* put_json_time(char* at, std::int64_t microseconds_since_epoch) noexcept {
  using namespace std::chrono;
  const sys_time<microseconds> when{microseconds{microseconds_since_epoch}};
  const auto day = floor<days>(when);
  const year_month_day date{day};
  const auto ms = static_cast<std::uint64_t>(floor<milliseconds>(when - day).count());
  const auto put = [&](std::uint64_t value, int digits, char end) {
    at = put_digits(at, value, digits);
    *at++ = end;
  };
  *at++ = '"';
  put(static_cast<std::uint64_t>(static_cast<int>(date.year())), 4, '-');
  put(static_cast<unsigned>(date.month()), 2, '-');
  put(static_cast<unsigned>(date.day()), 2, 'T');
  put(ms / 3'600'000, 2, ':');
  put(ms / 60'000 % 60, 2, ':');
  put(ms / 1000 % 60, 2, '.');
  put(ms % 1000, 3, 'Z');
  *at++ = '"';
  return at;
}

void append_json_string(std::string& out, std::string_view text) {
  append(out, json_string_room(text.size()), [&](char* at) { return put_json_string(at, text); });
}

void append_json_milliseconds(std::string& out, std::int64_t us) {
  append(out, json_milliseconds_room, [&](char* at) { return put_json_milliseconds(at, us); });
}

void append_json_time(std::string& out, std::int64_t us) {
  append(out, json_time_room, [&](char* at) { return put_json_time(at, us); });
}

}  // namespace weir::proxy
