// SPDX-License-Identifier: Apache-2.0
// Byte classes and small text tools of the HTTP grammar (RFC 9110 5.6, RFC 3986), shared by scanner, decoder,
// path and rewriter. Everything here is constant time per byte and allocates nothing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

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
  for (const char c : s) {
    if (!is(c, k)) return false;
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
  std::size_t i = 0;
  for (; i + 8 <= size; i += 8) {
    std::uint64_t a, b;
    std::memcpy(&a, word + i, 8);
    std::memcpy(&b, lower_word + i, 8);
    if ((a | 0x2020202020202020U) != b) return false;
  }
  for (; i < size; ++i) {
    if ((word[i] | 0x20) != lower_word[i]) return false;
  }
  return true;
}
[[nodiscard]] inline bool equals_lower(std::string_view word, std::string_view lower_word) noexcept {
  return word.size() == lower_word.size() && equals_lower(word.data(), lower_word.data(), word.size());
}
/// Both in any case.
[[nodiscard]] constexpr bool equals_ignoring_case(std::string_view a, std::string_view b) noexcept {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
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

/// First byte of [at, end) that a field value may not hold, else `end`. CR is such a byte.
[[nodiscard]] const char* skip_text(const char* at, const char* end) noexcept;
/// First byte of [at, end) that a request target may not hold, else `end`. SP is such a byte.
[[nodiscard]] const char* skip_target(const char* at, const char* end) noexcept;

}  // namespace weir::http::grammar
