// SPDX-License-Identifier: Apache-2.0
#include "proxy/observe/json_writer.hpp"

#include "proxy/decimal.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstring>
#include <type_traits>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace weir::proxy {
namespace {

constexpr std::size_t step = 16;

/// Bit i: byte i of `step` ones cannot stand for itself.
unsigned special_bits(const char* bytes) noexcept {
#ifdef __SSE2__
  const __m128i all = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes));
  const __m128i from_space = _mm_sub_epi8(all, _mm_set1_epi8(0x20));  // 0 ... 0x5e: printable ASCII
  const __m128i printable = _mm_cmpeq_epi8(_mm_min_epu8(from_space, _mm_set1_epi8(0x5e)), from_space);
  const __m128i marks =
      _mm_or_si128(_mm_cmpeq_epi8(all, _mm_set1_epi8('"')), _mm_cmpeq_epi8(all, _mm_set1_epi8('\\')));
  return static_cast<unsigned>(_mm_movemask_epi8(_mm_andnot_si128(marks, printable))) ^ 0xffffu;
#else
  const auto is_plain = [](char c) { return c >= 0x20 && c < 0x7f && c != '"' && c != '\\'; };
  unsigned bits = 0;
  for (std::size_t i = 0; i < step; ++i) {
    bits |= static_cast<unsigned>(!is_plain(bytes[i])) << i;
  }
  return bits;
#endif
}

/// Copies 1 ... 15 bytes by two pieces that overlap: most values are that short, and a call would cost more.
void copy_short(char* to, std::string_view text) noexcept {
  const auto both_ends = [to, text]<std::size_t piece>(std::integral_constant<std::size_t, piece>) {
    std::memcpy(to, text.data(), piece);
    std::memcpy(to + text.size() - piece, text.data() + text.size() - piece, piece);
  };
  if (text.size() >= 8) return both_ends(std::integral_constant<std::size_t, 8>{});
  if (text.size() >= 4) return both_ends(std::integral_constant<std::size_t, 4>{});
  if (text.size() >= 2) return both_ends(std::integral_constant<std::size_t, 2>{});
  *to = text.front();
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

/// `digits` decimal digits with leading zeros.
char* put_digits(char* at, std::uint64_t value, int digits) noexcept {
  for (int i = digits - 1; i >= 0; --i) {
    at[i] = static_cast<char>('0' + value % 10);
    value /= 10;
  }
  return at + digits;
}

/// `2026-01-01T00:00:00.`
using second_text = std::array<char, 20>;
second_text text_of(std::chrono::sys_seconds second) noexcept {
  using namespace std::chrono;
  const auto day = floor<days>(second);
  const year_month_day date{day};
  const hh_mm_ss time{second - day};
  second_text text;
  char* at = text.data();
  const auto put = [&at](std::int64_t value, int digits, char end) {
    at = put_digits(at, static_cast<std::uint64_t>(value), digits);
    *at++ = end;
  };
  put(static_cast<int>(date.year()), 4, '-');
  put(static_cast<unsigned>(date.month()), 2, '-');
  put(static_cast<unsigned>(date.day()), 2, 'T');
  put(time.hours().count(), 2, ':');
  put(time.minutes().count(), 2, ':');
  put(time.seconds().count(), 2, '.');
  return text;
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

// The bytes up to the first special one are copied with those behind it, which are then written again.
char* put_json_string(char* at, std::string_view text) noexcept {
  *at++ = '"';
  while (!text.empty()) {
    std::array<char, step> padded;
    const std::size_t size = std::min(text.size(), step);
    const char* bytes = text.data();
    if (size < step) {
      padded.fill(' ');
      copy_short(padded.data(), text);
      bytes = padded.data();
    }
    const unsigned special = special_bits(bytes);
    const std::size_t plain = special == 0 ? size : static_cast<std::size_t>(std::countr_zero(special));
    std::memcpy(at, bytes, step);
    at += plain;
    text.remove_prefix(plain);
    if (special != 0) at = put_special(at, text);
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
  at = put_decimal(at, magnitude / 1000);
  *at++ = '.';
  return put_digits(at, magnitude % 1000, 3);
}

char* put_json_time(char* at, std::int64_t microseconds_since_epoch) noexcept {
  using namespace std::chrono;
  // Most times a thread writes are of the second of the one before.
  static thread_local sys_seconds last{};
  static thread_local second_text text = text_of(last);
  const sys_time<microseconds> when{microseconds{microseconds_since_epoch}};
  const sys_seconds second = floor<seconds>(when);
  if (second != last) {
    last = second;
    text = text_of(second);
  }
  *at++ = '"';
  at = std::copy_n(text.data(), text.size(), at);
  at = put_digits(at, static_cast<std::uint64_t>(floor<milliseconds>(when - second).count()), 3);
  *at++ = 'Z';
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
