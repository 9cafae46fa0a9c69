// SPDX-License-Identifier: Apache-2.0
// A second reader of HTTP/1 messages, written from the grammar of RFC 9112 and for no other purpose than to
// disagree with the first: it works on whole messages, copies everything, knows no limits and shares no code
// with weir.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weir::plain_http {

using name_values = std::vector<std::pair<std::string, std::string>>;

struct head {
  std::string first, second, third;  ///< method, target, version; or version, status, reason
  name_values fields;
  std::size_t size = 0;  ///< bytes of the head

  [[nodiscard]] std::vector<std::string> all(std::string_view lower_name) const {
    std::vector<std::string> values;
    for (const auto& [name, value] : fields) {
      std::string lower = name;
      for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
      if (lower == lower_name) values.push_back(value);
    }
    return values;
  }
};

inline bool is_tchar(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         (c != '\0' && std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos);
}
inline bool is_token(std::string_view s) {
  return !s.empty() && std::all_of(s.begin(), s.end(), is_tchar);
}
inline bool is_field_content(std::string_view s) {
  return std::all_of(s.begin(), s.end(), [](char c) {
    const auto b = static_cast<unsigned char>(c);
    return b == 9 || (b >= 32 && b != 127);
  });
}
inline std::string without_ows(std::string_view s) {
  const std::size_t begin = s.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return std::string(s.substr(begin, s.find_last_not_of(" \t") - begin + 1));
}

/// The line at `at`, which moves behind its CRLF; nothing: it does not end, or has a CR or LF of its own.
inline std::optional<std::string> take_line(std::string_view text, std::size_t& at) {
  const std::size_t end = text.find("\r\n", at);
  if (end == std::string_view::npos) return {};
  std::string line(text.substr(at, end - at));
  if (line.find_first_of("\r\n") != std::string::npos) return {};
  at = end + 2;
  return line;
}

/// Field lines up to and with the empty line.
inline std::optional<name_values> take_fields(std::string_view text, std::size_t& at) {
  name_values fields;
  for (;;) {
    const std::optional<std::string> line = take_line(text, at);
    if (!line) return {};
    if (line->empty()) return fields;
    const std::size_t colon = line->find(':');
    if (colon == std::string::npos) return {};
    const std::string name = line->substr(0, colon), value = without_ows(line->substr(colon + 1));
    if (!is_token(name) || !is_field_content(value)) return {};
    fields.emplace_back(name, value);
  }
}

inline std::optional<head> read_request_head(std::string_view text) {
  head h;
  while (text.substr(h.size).starts_with("\r\n")) h.size += 2;
  const std::optional<std::string> line = take_line(text, h.size);
  if (!line) return {};
  const std::size_t first = line->find(' '), second = line->find(' ', first + 1);
  if (first == std::string::npos || second == std::string::npos) return {};
  h.first = line->substr(0, first);
  h.second = line->substr(first + 1, second - first - 1);
  h.third = line->substr(second + 1);
  const bool visible =
      std::all_of(h.second.begin(), h.second.end(), [](char c) { return c > ' ' && c < 127; });
  if (!is_token(h.first) || h.second.empty() || !visible) return {};
  if (h.third != "HTTP/1.0" && h.third != "HTTP/1.1") return {};
  std::optional<name_values> fields = take_fields(text, h.size);
  if (!fields) return {};
  h.fields = std::move(*fields);
  return h;
}

inline std::optional<head> read_response_head(std::string_view text) {
  head h;
  const std::optional<std::string> line = take_line(text, h.size);
  if (!line || line->size() < 12) return {};
  h.first = line->substr(0, 8);
  h.second = line->substr(9, 3);
  h.third = line->size() > 13 ? line->substr(13) : "";
  const bool digits =
      std::all_of(h.second.begin(), h.second.end(), [](char c) { return c >= '0' && c <= '9'; });
  if ((h.first != "HTTP/1.0" && h.first != "HTTP/1.1") || (*line)[8] != ' ' || !digits) return {};
  if ((line->size() > 12 && (*line)[12] != ' ') || !is_field_content(h.third)) return {};
  std::optional<name_values> fields = take_fields(text, h.size);
  if (!fields) return {};
  h.fields = std::move(*fields);
  return h;
}

struct body {
  std::string data;
  std::size_t size = 0;  ///< bytes it takes on the wire
};

inline bool is_chunk_extension(std::string_view s) {
  while (!s.empty()) {
    if (s.front() != ';') return false;
    std::size_t at = 1;
    while (at < s.size() && is_tchar(s[at])) ++at;
    if (at == 1) return false;
    if (at < s.size() && s[at] == '=') {
      std::size_t value = ++at;
      if (at < s.size() && s[at] == '"') {
        for (++at; at < s.size() && s[at] != '"'; ++at) at += s[at] == '\\';
        if (at >= s.size() || !is_field_content(s.substr(0, at))) return false;
        ++at;
      } else {
        while (at < s.size() && is_tchar(s[at])) ++at;
        if (at == value) return false;
      }
    }
    s.remove_prefix(at);
  }
  return true;
}

/// A whole chunked body at the front of `text`.
inline std::optional<body> read_chunked(std::string_view text) {
  body b;
  for (;;) {
    const std::size_t line_at = b.size;
    const std::size_t end = text.find("\r\n", line_at);
    if (end == std::string_view::npos) return {};
    const std::string_view line = text.substr(line_at, end - line_at);
    const std::size_t digits = std::min(line.find(';'), line.size());
    if (digits == 0 || digits > 16 || !is_chunk_extension(line.substr(digits))) return {};
    std::uint64_t size = 0;
    for (const char c : line.substr(0, digits)) {
      const std::size_t digit =
          std::string_view("0123456789abcdef").find(c >= 'A' && c <= 'F' ? static_cast<char>(c + 32) : c);
      if (digit == std::string_view::npos) return {};
      size = size * 16 + digit;
    }
    b.size = end + 2;
    if (size == 0) break;
    if (text.size() - b.size < 2 || size > text.size() - b.size - 2) return {};
    b.data += text.substr(b.size, size);
    b.size += size;
    if (text.substr(b.size, 2) != "\r\n") return {};
    b.size += 2;
  }
  if (!take_fields(text, b.size)) return {};
  return b;
}

}  // namespace weir::plain_http
