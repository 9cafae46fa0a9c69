// SPDX-License-Identifier: Apache-2.0
#include "proxy/observe/json_writer.hpp"

#include "proxy/observe/plain_text.hpp"
#include "proxy/put.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstring>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace weir::proxy {
namespace {

constexpr std::size_t step = 16;
using step_bytes [[gnu::vector_size(step)]] = signed char;

template <typename Word>
Word load(const char* from) noexcept {
  Word word;
  std::memcpy(&word, from, sizeof word);
  return word;
}

/// All bits of every byte that stands for itself. Bytes from 0x80 are negative, and DEL + 1 is, too.
step_bytes plain_bytes(step_bytes text) noexcept {
  using unsigned_bytes [[gnu::vector_size(step)]] = unsigned char;
  const auto after = reinterpret_cast<step_bytes>(reinterpret_cast<unsigned_bytes>(text) + 1);
  return (after > ' ') & ~((text == '"') | (text == '\\'));
}

bool all(step_bytes flags) noexcept {
#ifdef __SSE2__
  return _mm_movemask_epi8(reinterpret_cast<__m128i>(flags)) == 0xffff;
#else
  const auto words = std::bit_cast<std::array<std::uint64_t, 2> >(flags);
  return (words[0] & words[1]) == ~std::uint64_t{0};
#endif
}

bool are_plain(std::uint64_t first, std::uint64_t last) noexcept {
  return all(plain_bytes(std::bit_cast<step_bytes>(std::array{first, last})));
}

/// Copies a text that is as long as a word, or at most twice as long: both ends, which may overlap.
template <typename Word>
bool copy_plain_ends(char* at, std::string_view text) noexcept {
  const std::size_t behind = text.size() - sizeof(Word);
  const auto first = load<Word>(text.data());
  const auto last = load<Word>(text.data() + behind);
  std::memcpy(at, &first, sizeof first);
  std::memcpy(at + behind, &last, sizeof last);
  if constexpr (sizeof(Word) == sizeof(std::uint64_t)) return are_plain(first, last);
  const std::uint64_t both = first | std::uint64_t{last} << 32;
  return are_plain(both, both);
}

/// Of 1 ... 3 bytes: the first, the middle and the last one.
bool copy_plain_bytes(char* at, std::string_view text) noexcept {
  const std::size_t middle = text.size() / 2, last = text.size() - 1;
  std::uint64_t bytes = 0;
  for (const std::size_t i : {std::size_t{0}, middle, last, last}) {
    at[i] = text[i];
    bytes = bytes << 8 | static_cast<unsigned char>(text[i]);
  }
  return are_plain(bytes | bytes << 32, bytes | bytes << 32);
}

/// As copy_plain(), of less than a step.
bool copy_plain_short(char* at, std::string_view text) noexcept {
  if (text.size() >= 8) return copy_plain_ends<std::uint64_t>(at, text);
  if (text.size() >= 4) return copy_plain_ends<std::uint32_t>(at, text);
  return text.empty() || copy_plain_bytes(at, text);
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
  if (c == '"' || c == '\\') return put(at, '\\', static_cast<char>(c));
  return put(at, "\\u00", hex[c >> 4], hex[c & 15]);
}

/// Writes the first character of `text` and removes it.
char* put_character(char* at, std::string_view& text) noexcept {
  const char c = text.front();
  const std::size_t sequence = is_plain(c) ? 1 : utf8_sequence(text);
  at = sequence != 0 ? std::copy_n(text.data(), sequence, at) : put_escape(at, static_cast<unsigned char>(c));
  text.remove_prefix(std::max<std::size_t>(sequence, 1));
  return at;
}

[[gnu::noinline]] char* put_escaped(char* at, std::string_view text) noexcept {
  while (!text.empty()) at = put_character(at, text);
  return at;
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
  const auto put_two = [&at](auto value, char end) {
    at = put(put_two_digits(at, static_cast<unsigned>(value)), end);
  };
  const auto year = static_cast<unsigned>(static_cast<int>(date.year()));
  at = put_two_digits(at, year / 100);
  put_two(year, '-');
  put_two(static_cast<unsigned>(date.month()), '-');
  put_two(static_cast<unsigned>(date.day()), 'T');
  put_two(time.hours().count(), ':');
  put_two(time.minutes().count(), ':');
  put_two(time.seconds().count(), '.');
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

bool copy_plain(char* at, std::string_view text) noexcept {
  if (text.size() < step) return copy_plain_short(at, text);
  step_bytes plain = ~step_bytes{};
  const auto copy = [&](std::size_t from) {
    const auto bytes = load<step_bytes>(text.data() + from);
    std::memcpy(at + from, &bytes, step);
    plain &= plain_bytes(bytes);
  };
  const std::size_t last = text.size() - step;
  for (std::size_t from = 0; from < last; from += step) copy(from);
  copy(last);
  return all(plain);
}

char* put_json_string(char* at, std::string_view text) noexcept {
  *at++ = '"';
  at = copy_plain(at, text) ? at + text.size() : put_escaped(at, text);
  return put(at, '"');
}

char* put_json_milliseconds(char* at, std::int64_t microseconds) noexcept {
  auto magnitude = static_cast<std::uint64_t>(microseconds);
  if (microseconds < 0) {
    *at++ = '-';
    magnitude = 0 - magnitude;
  }
  return put_three_digits(put(at, magnitude / 1000, '.'), magnitude);
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
  std::memcpy(at, text.data(), text.size());
  const auto thousandths = static_cast<std::uint64_t>(floor<milliseconds>(when - second).count());
  return put(put_three_digits(at + text.size(), thousandths), "Z\"");
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
