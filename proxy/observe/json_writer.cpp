// SPDX-License-Identifier: Apache-2.0
#include "proxy/observe/json_writer.hpp"

#include <array>
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

bool is_plain(unsigned char c) noexcept {
  return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

/// Length of the leading bytes that a JSON string may hold as they are.
std::size_t plain_prefix(std::string_view text) noexcept {
  std::size_t at = 0;
  for (; at + sizeof(std::uint64_t) <= text.size(); at += sizeof(std::uint64_t)) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + at, sizeof word);
    if (needs_care(word)) break;
  }
  while (at < text.size() && is_plain(static_cast<unsigned char>(text[at]))) ++at;
  return at;
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

void append_escape(std::string& out, unsigned char c) {
  constexpr std::string_view hex = "0123456789abcdef";
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    default:
      break;
  }
  const std::array<char, 6> escape{'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
  out.append(escape.data(), escape.size());
}

/// `digits` decimal digits with leading zeros.
char* put_digits(char* at, std::uint64_t value, int digits) noexcept {
  for (int i = digits - 1; i >= 0; --i) {
    at[i] = static_cast<char>('0' + value % 10);
    value /= 10;
  }
  return at + digits;
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  while (true) {
    const std::size_t plain = plain_prefix(text);
    out.append(text.data(), plain);
    text.remove_prefix(plain);
    if (text.empty()) break;
    const auto c = static_cast<unsigned char>(text.front());
    const std::size_t sequence = c >= 0x80 ? utf8_sequence(text) : 0;
    if (sequence != 0) {
      out.append(text.data(), sequence);
    } else {
      append_escape(out, c);
    }
    text.remove_prefix(sequence != 0 ? sequence : 1);
  }
  out += '"';
}

void append_json_milliseconds(std::string& out, std::int64_t microseconds) {
  std::array<char, 32> text;
  char* at = text.data();
  auto magnitude = static_cast<std::uint64_t>(microseconds);
  if (microseconds < 0) {
    *at++ = '-';
    magnitude = 0 - magnitude;
  }
  at = std::to_chars(at, text.data() + text.size(), magnitude / 1000).ptr;
  *at++ = '.';
  at = put_digits(at, magnitude % 1000, 3);
  out.append(text.data(), at);
}

void append_json_time(std::string& out, std::int64_t microseconds_since_epoch) {
  using namespace std::chrono;
  const sys_time<microseconds> when{microseconds{microseconds_since_epoch}};
  const auto day = floor<days>(when);
  const year_month_day date{day};
  const auto ms = static_cast<std::uint64_t>(floor<milliseconds>(when - day).count());
  std::array<char, 32> text;
  char* at = text.data();
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
  out.append(text.data(), at);
}

}  // namespace weir::proxy
