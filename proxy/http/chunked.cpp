// SPDX-License-Identifier: Apache-2.0
#include "proxy/http/chunked.hpp"

#include "proxy/http/field_lines.hpp"
#include "proxy/http/grammar.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

namespace weir::http {
namespace {

constexpr unsigned max_size_digits = 16;
constexpr std::uint64_t max_chunk_size = std::numeric_limits<std::int64_t>::max();
constexpr std::uint32_t max_chunk_extension = 1024;
constexpr std::uint32_t max_message_extension = 16 * 1024;
constexpr std::uint32_t max_trailer_size = 8 * 1024;
constexpr std::uint16_t max_trailer_fields = 32;

enum state : std::uint8_t {
  chunk_size,
  extension_name,   // after ';'
  extension_value,  // after '='
  extension_token,
  extension_quoted,
  extension_escaped,  // after '\' in a quoted string
  extension_end,      // after the closing quote
  size_line_end,      // LF wanted
  data,
  data_end,       // CR wanted
  data_line_end,  // LF wanted
  trailer_start,
  trailer_name,
  trailer_value,
  trailer_line_end,  // LF wanted
  message_end,       // LF wanted
  complete,
  malformed,
};

}  // namespace

void chunk_decoder::begin() noexcept {
  *this = chunk_decoder{};
}

chunk_decoder::result chunk_decoder::decode(char* bytes, std::size_t size) noexcept {
  std::size_t at = 0;
  std::size_t produced = 0;
  while (at < size && state_ < complete) {
    if (state_ == data) {
      const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(left_, size - at));
      if (at != produced) std::memmove(bytes + produced, bytes + at, n);
      produced += n;
      at += n;
      left_ -= n;
      if (left_ == 0) state_ = data_end;
      continue;
    }
    state_ = step(bytes[at++]);
  }
  const status s = state_ == complete    ? status::complete
                   : state_ == malformed ? status::malformed
                                         : status::need_more;
  return {s, at, produced};
}

std::uint8_t chunk_decoder::step(char c) noexcept {
  switch (state_) {
    case chunk_size:
      return size_step(c);
    case size_line_end:
      if (c != '\n') return malformed;
      digits_ = 0;
      chunk_extension_bytes_ = 0;
      return left_ == 0 ? trailer_start : data;
    case data_end:
      return c == '\r' ? data_line_end : malformed;
    case data_line_end:
      return c == '\n' ? chunk_size : malformed;
    case message_end:
      return c == '\n' ? complete : malformed;
    default:
      return state_ < size_line_end ? extension_step(c) : trailer_step(c);
  }
}

std::uint8_t chunk_decoder::size_step(char c) noexcept {
  const int digit = grammar::hex_value(c);
  if (digit >= 0) {
    if (++digits_ > max_size_digits || left_ > max_chunk_size >> 4) return malformed;
    left_ = left_ << 4 | static_cast<std::uint64_t>(digit);
    return chunk_size;
  }
  if (digits_ == 0) return malformed;
  return size_line_step(c);
}

/// Between the parts of a size line: an extension or the end of the line.
std::uint8_t chunk_decoder::size_line_step(char c) noexcept {
  if (c == '\r') return size_line_end;
  if (c != ';') return malformed;
  name_size_ = 0;
  return count_extension_byte() ? extension_name : malformed;
}

bool chunk_decoder::count_extension_byte() noexcept {
  return ++chunk_extension_bytes_ <= max_chunk_extension &&
         ++message_extension_bytes_ <= max_message_extension;
}

std::uint8_t chunk_decoder::extension_step(char c) noexcept {
  const bool is_token = grammar::is(c, grammar::token);
  const bool is_text = grammar::is(c, grammar::text);
  switch (state_) {
    case extension_name:
      if (is_token) ++name_size_;
      if (!is_token && name_size_ == 0) return malformed;
      if (!is_token && c != '=') return size_line_step(c);
      break;
    case extension_value:
      if (!is_token && c != '"') return malformed;
      break;
    case extension_token:
      if (!is_token) return size_line_step(c);
      break;
    case extension_quoted:
    case extension_escaped:
      if (!is_text) return malformed;
      break;
    default:
      return size_line_step(c);
  }
  if (!count_extension_byte()) return malformed;
  switch (state_) {
    case extension_name:
      return is_token ? extension_name : extension_value;
    case extension_value:
      return is_token ? extension_token : extension_quoted;
    case extension_quoted:
      return c == '"' ? extension_end : c == '\\' ? extension_escaped : extension_quoted;
    case extension_escaped:
      return extension_quoted;
    default:
      return extension_token;
  }
}

/// Trailers obey the rules of field lines and are dropped: nothing may take them for header fields.
std::uint8_t chunk_decoder::trailer_step(char c) noexcept {
  if (state_ == trailer_start && c == '\r') return message_end;
  if (++trailer_bytes_ > max_trailer_size) return malformed;
  switch (state_) {
    case trailer_start:
      name_size_ = 1;
      return grammar::is(c, grammar::token) && ++trailer_fields_ <= max_trailer_fields ? trailer_name
                                                                                       : malformed;
    case trailer_name:
      if (c == ':') return trailer_value;
      return grammar::is(c, grammar::token) && ++name_size_ <= max_name_size ? trailer_name : malformed;
    case trailer_value:
      if (c == '\r') return trailer_line_end;
      return grammar::is(c, grammar::text) ? trailer_value : malformed;
    default:
      return c == '\n' ? trailer_start : malformed;
  }
}

chunk_header::chunk_header(std::size_t size) noexcept {
  text_[--at_] = '\n';
  text_[--at_] = '\r';
  do {
    text_[--at_] = "0123456789abcdef"[size & 15];
    size >>= 4;
  } while (size != 0);
}

}  // namespace weir::http
