// SPDX-License-Identifier: Apache-2.0
// What request and response heads have in common: the reader of field lines and the framing fields' values.
#pragma once

#include "proxy/http/grammar.hpp"
#include "proxy/http/head.hpp"

#include <algorithm>
#include <cstdint>
#include <string_view>

namespace weir::http {

inline constexpr std::size_t max_name_size = 256;

enum class line_phase : std::uint8_t { start, name, value, value_end, head_end };

enum class field_fault : std::uint8_t {
  none,
  line_end,
  folded,
  name,
  control,
  name_too_long,
  line_too_long,
  too_many,
};

/// Reads one field line after the other out of a window that may end anywhere. Faults are found in the order
/// of the bytes, so that every segmentation of the same bytes has the same outcome.
struct field_reader {
  enum class event : std::uint8_t { need_more, field, head_end, fault };

  const char* data;
  std::uint32_t size;    ///< bytes readable at `data`
  std::uint32_t cursor;  ///< next byte to judge
  line_phase phase;
  std::size_t line_limit;  ///< of a line without its CRLF
  field_fault fault = field_fault::none;

  /// The name of the last field has letters, digits and '-' alone; false: it may, nobody looked.
  bool plain_name = false;

  /// Goes on with the line that fills `f`. `room` false: one field more is a fault.
  [[nodiscard]] event next(field& f, bool room) noexcept {
    if (phase == line_phase::start) {
      if (room && read_whole_line(f)) return event::field;
      if (read_empty_line()) return event::head_end;
    }
    return read_part(f, room);
  }

 private:
  /// The usual case at once: a line without fault that has wholly arrived. False: nothing was done.
  bool read_whole_line(field& f) noexcept;
  /// The end of the head, likewise.
  bool read_empty_line() noexcept {
    if (size - cursor < 2 || data[cursor] != '\r' || data[cursor + 1] != '\n') return false;
    cursor += 2;
    phase = line_phase::head_end;
    return true;
  }
  /// Anything else, as far as it has arrived.
  [[gnu::noinline]] event read_part(field& f, bool room) noexcept;
  event begin_line(field& f, bool room) noexcept;
  event read_name(field& f) noexcept;
  event read_value(field& f) noexcept;
  event fail(field_fault f) noexcept;
};

inline bool field_reader::read_whole_line(field& f) noexcept {
  const char* const begin = data + cursor;
  const char* const end = data + size;
  if (begin == end || *begin == '\r') return false;
  const char* colon = grammar::skip_plain_token(data, begin, end);
  plain_name = colon != end && *colon == ':';
  if (!plain_name) colon = grammar::skip_token(data, colon, end);
  const auto name_size = static_cast<std::size_t>(colon - begin);
  if (name_size == 0 || name_size > max_name_size || colon == end || *colon != ':') return false;
  const char* value = colon + 1;
  const char* const cr = grammar::skip_text(data, value, end);
  const auto line_size = static_cast<std::size_t>(cr - begin);
  if (end - cr < 2 || cr[0] != '\r' || cr[1] != '\n' || line_size > line_limit) return false;
  const char* value_end = cr;
  const auto is_blank = [](char text) { return static_cast<unsigned char>(text) <= ' '; };  // or a tab
  while (value != cr && is_blank(*value)) ++value;
  while (value_end != value && is_blank(value_end[-1])) --value_end;
  f.name_at = cursor;
  f.value_at = static_cast<std::uint32_t>(value - data);
  f.value_size = static_cast<std::uint32_t>(value_end - value);
  f.name_size = static_cast<std::uint16_t>(name_size);
  f.id = header_id::other;
  f.dropped = false;
  cursor = static_cast<std::uint32_t>(cr + 2 - data);
  return true;
}

/// 1*DIGIT of at most 19 digits and at most 2^63-1.
[[nodiscard]] bool parse_content_length(std::string_view value, std::uint64_t& length) noexcept;

/// The value of Max-Forwards: 1*DIGIT; larger ones count as 2^63-1.
[[nodiscard]] bool parse_hops(std::string_view value, std::uint64_t& hops) noexcept;

enum class coding : std::uint8_t {
  chunked,      ///< exactly "chunked"
  unsupported,  ///< a valid list of other codings that ends in one "chunked"
  invalid,
};
[[nodiscard]] coding parse_transfer_encoding(std::string_view value) noexcept;

struct connection_options {
  bool valid = true;  ///< a list of tokens
  bool close = false;
  bool nominates = false;  ///< names other than close and keep-alive
  std::size_t count = 0;   ///< elements; counting stops beyond max_connection_options
};
[[nodiscard]] connection_options parse_connection(std::string_view value) noexcept;

}  // namespace weir::http
