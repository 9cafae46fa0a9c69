// SPDX-License-Identifier: Apache-2.0
// Byte classes and small text tools of the HTTP grammar (RFC 9110 5.6, RFC 3986), shared by scanner, decoder,
// path and rewriter. Everything here is constant time per byte and allocates nothing.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace weir::http::grammar {

enum byte_class : std::uint8_t {
  token = 1,        ///< tchar
  text = 2,         ///< HTAB, SP, VCHAR, obs-text: what a field value may hold
  target = 4,       ///< 0x21-0x7E without '#'
  unreserved = 8,   ///< RFC 3986 unreserved
  path_plain = 16,  ///< pchar that a canonical path holds as it is: no '%', no ';'
};

namespace detail {

constexpr bool is_alnum(int c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

constexpr std::array<std::uint8_t, 256> make_classes() {
  std::array<std::uint8_t, 256> table{};
  for (int c = 0; c < 256; ++c) {
    const char b = static_cast<char>(c);
    unsigned k = 0;
    if (is_alnum(c) || (c != 0 && std::string_view("!#$%&'*+-.^_`|~").find(b) != std::string_view::npos))
      k |= token;
    if (c == '\t' || (c >= 0x20 && c != 0x7F)) k |= text;
    if (c > 0x20 && c < 0x7F && c != '#') k |= target;
    if (is_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~') k |= unreserved;
    if ((k & unreserved) != 0 ||
        (c != 0 && std::string_view("!$&'()*+,=:@").find(b) != std::string_view::npos)) {
      k |= path_plain;
    }
    table[static_cast<std::size_t>(c)] = static_cast<std::uint8_t>(k);
  }
  return table;
}

constexpr std::array<std::int8_t, 256> make_hex() {
  std::array<std::int8_t, 256> table{};
  table.fill(-1);
  for (int i = 0; i < 16; ++i) {
    table[static_cast<std::size_t>("0123456789ABCDEF"[i])] = static_cast<std::int8_t>(i);
    table[static_cast<std::size_t>("0123456789abcdef"[i])] = static_cast<std::int8_t>(i);
  }
  return table;
}

}  // namespace detail

inline constexpr std::array<std::uint8_t, 256> classes = detail::make_classes();
inline constexpr std::array<std::int8_t, 256> hex_values = detail::make_hex();

[[nodiscard]] constexpr bool is(char c, byte_class k) noexcept {
  return (classes[static_cast<unsigned char>(c)] & k) != 0;
}
[[nodiscard]] constexpr bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}
[[nodiscard]] constexpr bool is_ows(char c) noexcept {
  return c == ' ' || c == '\t';
}
/// 0-15, or -1 for anything but HEXDIG.
[[nodiscard]] constexpr int hex_value(char c) noexcept {
  return hex_values[static_cast<unsigned char>(c)];
}
[[nodiscard]] constexpr char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

[[nodiscard]] constexpr bool is_all(std::string_view s, byte_class k) noexcept {
  const auto class_at = [s](std::size_t i) { return classes[static_cast<unsigned char>(s[i])]; };
  std::size_t i = 0;
  for (; i + 4 <= s.size(); i += 4) {
    if ((class_at(i) & class_at(i + 1) & class_at(i + 2) & class_at(i + 3) & k) == 0) return false;
  }
  for (; i < s.size(); ++i) {
    if ((class_at(i) & k) == 0) return false;
  }
  return true;
}

[[nodiscard]] constexpr std::string_view trim_ows(std::string_view s) noexcept {
  while (!s.empty() && is_ows(s.front())) s.remove_prefix(1);
  while (!s.empty() && is_ows(s.back())) s.remove_suffix(1);
  return s;
}

/// `word` in any case equals `lower_word`. Letters, digits and '-' only in `lower_word`: with bit 0x20 set no
/// byte but the two cases of a letter maps onto them, save controls, which no token holds.
[[nodiscard]] inline bool equals_lower(const char* word, const char* lower_word, std::size_t size) noexcept {
  const auto same = [word, lower_word]<typename Unit>(std::size_t at, Unit case_bits) {
    Unit a, b;
    std::memcpy(&a, word + at, sizeof a);
    std::memcpy(&b, lower_word + at, sizeof b);
    return (a | case_bits) == b;
  };
  constexpr std::uint64_t case_bits = 0x2020202020202020U;
  if (size >= 8) {  // the last step overlaps the one before
    for (std::size_t at = 0; at + 8 < size; at += 8) {
      if (!same(at, case_bits)) return false;
    }
    return same(size - 8, case_bits);
  }
  if (size >= 4) {
    const auto half = static_cast<std::uint32_t>(case_bits);
    return same(0, half) && same(size - 4, half);
  }
  for (std::size_t i = 0; i < size; ++i) {
    if ((word[i] | 0x20) != lower_word[i]) return false;
  }
  return true;
}
[[nodiscard]] inline bool equals_lower(std::string_view word, std::string_view lower_word) noexcept {
  return word.size() == lower_word.size() && equals_lower(word.data(), lower_word.data(), word.size());
}
/// lower() of eight bytes at once.
[[nodiscard]] constexpr std::uint64_t lower_bytes(std::uint64_t bytes) noexcept {
  constexpr std::uint64_t every = 0x0101010101010101U;
  const std::uint64_t ascii = bytes & 0x7F * every;
  const std::uint64_t from_a = ascii + (0x80 - 'A') * every;      // bit 7 of a byte: it is 'A' or more
  const std::uint64_t past_z = ascii + (0x80 - 'Z' - 1) * every;  // ... more than 'Z'
  return bytes | (from_a & ~past_z & ~bytes & 0x80 * every) >> 2;
}
/// What `step` says of every eight bytes of a text of `size` bytes, the last ones perhaps twice, and of the
/// bytes of a shorter one filled up with zeros. Stops at the first `false`.
template <typename Step>
[[nodiscard]] inline bool every_word(std::size_t size, Step step) noexcept {
  constexpr std::size_t word = 8;
  if (size < word) return step(0, size);
  for (std::size_t at = 0; at + word < size; at += word) {
    if (!step(at, word)) return false;
  }
  return step(size - word, word);
}
[[nodiscard]] inline std::uint64_t word_of(const char* at, std::size_t size) noexcept {
  std::uint64_t word = 0;
  if (size == sizeof word) {
    std::memcpy(&word, at, sizeof word);
  } else {
    for (std::size_t i = 0; i < size; ++i) word = word << 8 | static_cast<unsigned char>(at[i]);
  }
  return word;
}
/// Both in any case, any bytes.
[[nodiscard]] inline bool equals_ignoring_case(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() && every_word(a.size(), [&](std::size_t at, std::size_t size) {
           return lower_bytes(word_of(a.data() + at, size)) == lower_bytes(word_of(b.data() + at, size));
         });
}
/// `text` in any case equals `lower_text`, which has no letter in upper case; any bytes.
[[nodiscard]] inline bool equals_lower_text(std::string_view text, std::string_view lower_text) noexcept {
  return text.size() == lower_text.size() && every_word(text.size(), [&](std::size_t at, std::size_t size) {
           return lower_bytes(word_of(text.data() + at, size)) == word_of(lower_text.data() + at, size);
         });
}
/// No letter is upper case.
[[nodiscard]] inline bool is_lower(std::string_view text) noexcept {
  return every_word(text.size(), [text](std::size_t at, std::size_t size) {
    const std::uint64_t word = word_of(text.data() + at, size);
    return lower_bytes(word) == word;
  });
}

/// Takes the next element off a comma separated list, OWS trimmed; it may be empty. False at the end of the
/// list.
[[nodiscard]] constexpr bool next_element(std::string_view& list, std::string_view& element) noexcept {
  if (list.data() == nullptr) return false;
  const std::size_t comma = list.find(',');
  element = trim_ows(list.substr(0, comma));
  list = comma == std::string_view::npos ? std::string_view{} : list.substr(comma + 1);
  return true;
}

// Names, values and targets are most of a head: sixteen bytes a step where the processor has SSE2, the table
// elsewhere. `floor` is the first readable byte: the last step may look at bytes before `at` again instead of
// going byte by byte.

namespace detail {

[[nodiscard]] inline const char* skip_by_table(const char* at, const char* end, byte_class k) noexcept {
  while (at != end && is(*at, k)) ++at;
  return at;
}

#ifdef __SSE2__

[[nodiscard]] inline __m128i all(char c) noexcept {
  return _mm_set1_epi8(c);
}
[[nodiscard]] inline unsigned bits(__m128i lanes) noexcept {
  return static_cast<unsigned>(_mm_movemask_epi8(lanes));
}

struct not_text {
  unsigned operator()(__m128i bytes) const noexcept {
    const __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, all(0x1F)), bytes);
    const __m128i tab = _mm_cmpeq_epi8(bytes, all('\t'));
    return bits(_mm_or_si128(_mm_andnot_si128(tab, control), _mm_cmpeq_epi8(bytes, all(0x7F))));
  }
};

struct not_target {
  unsigned operator()(__m128i bytes) const noexcept {
    const __m128i visible = _mm_cmpgt_epi8(bytes, all(0x20));  // signed: bytes above 0x7F are not
    const __m128i excluded = _mm_or_si128(_mm_cmpeq_epi8(bytes, all(0x7F)), _mm_cmpeq_epi8(bytes, all('#')));
    return bits(_mm_andnot_si128(excluded, visible)) ^ 0xFFFFU;
  }
};

/// Lanes of `first` ... `last`: moved to the top of the signed bytes, they are those above all others.
[[nodiscard]] inline __m128i within(__m128i bytes, char first, char last) noexcept {
  constexpr int top = 0x7F;
  return _mm_cmpgt_epi8(_mm_add_epi8(bytes, all(static_cast<char>(top - last))),
                        all(static_cast<char>(top - last + first - 1)));
}

/// Neither letter, digit nor '-': includes the rarer token bytes.
struct not_plain_token {
  unsigned operator()(__m128i bytes) const noexcept {
    const __m128i letter = within(_mm_or_si128(bytes, all(0x20)), 'a', 'z');
    const __m128i digit = within(bytes, '0', '9');
    return bits(_mm_or_si128(_mm_or_si128(letter, digit), _mm_cmpeq_epi8(bytes, all('-')))) ^ 0xFFFFU;
  }
};

/// Bit i: byte `at` + i is bad. Up to sixteen bytes, those before `end`.
template <typename BadBits>
[[nodiscard, gnu::always_inline]] inline unsigned bad_ahead(const char* at, const char* end,
                                                            BadBits bad_bits) noexcept {
  const char* const from = std::min(at, end - 16);
  return bad_bits(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))) >> (at - from);
}

template <typename BadBits>
[[nodiscard, gnu::noinline]] const char* find_further(const char* at, const char* end,
                                                      BadBits bad_bits) noexcept {
  for (;; at += 16) {
    if (const unsigned bad = bad_ahead(at, end, bad_bits); bad != 0) return at + __builtin_ctz(bad);
    if (end - at <= 16) return end;
  }
}

/// First byte of [at, end) whose bit is set, else `end`. The sixteen bytes before `end` are readable. Most
/// are found in the first step, which is made where it is wanted.
template <typename BadBits>
[[nodiscard, gnu::always_inline]] inline const char* find_first(const char* at, const char* end,
                                                                BadBits bad_bits) noexcept {
  const unsigned bad = bad_ahead(at, end, bad_bits);
  if (bad != 0) return at + __builtin_ctz(bad);
  return end - at <= 16 ? end : find_further(at + 16, end, bad_bits);
}

#endif

}  // namespace detail

/// First byte of [at, end) that a field value may not hold, else `end`. CR is such a byte.
[[nodiscard]] inline const char* skip_text([[maybe_unused]] const char* floor, const char* at,
                                           const char* end) noexcept {
#ifdef __SSE2__
  if (end - floor >= 16) return detail::find_first(at, end, detail::not_text{});
#endif
  return detail::skip_by_table(at, end, text);
}

/// First byte of [at, end) that a request target may not hold, else `end`. SP is such a byte.
[[nodiscard]] inline const char* skip_target([[maybe_unused]] const char* floor, const char* at,
                                             const char* end) noexcept {
#ifdef __SSE2__
  if (end - floor >= 16) return detail::find_first(at, end, detail::not_target{});
#endif
  return detail::skip_by_table(at, end, target);
}

/// First byte of [at, end) that is neither letter, digit nor '-', else `end`.
[[nodiscard]] inline const char* skip_plain_token([[maybe_unused]] const char* floor, const char* at,
                                                  const char* end) noexcept {
#ifdef __SSE2__
  if (end - floor >= 16) return detail::find_first(at, end, detail::not_plain_token{});
#endif
  while (at != end && (detail::is_alnum(*at) || *at == '-')) ++at;
  return at;
}

/// First byte of [at, end) that a token may not hold, else `end`.
[[nodiscard]] inline const char* skip_token([[maybe_unused]] const char* floor, const char* at,
                                            const char* end) noexcept {
#ifdef __SSE2__
  if (end - floor >= 16) {
    at = detail::find_first(at, end, detail::not_plain_token{});
    while (at != end && is(*at, token)) at = detail::find_first(at + 1, end, detail::not_plain_token{});
    return at;
  }
#endif
  return detail::skip_by_table(at, end, token);
}

}  // namespace weir::http::grammar
