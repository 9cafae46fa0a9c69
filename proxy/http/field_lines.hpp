// SPDX-License-Identifier: Apache-2.0
// What request and response heads have in common: the reader of field lines and the framing fields' values.
#pragma once

#include "proxy/http/head.hpp"

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

  /// Goes on with the line that fills `f`. `room` false: one field more is a fault.
  [[nodiscard]] event next(field& f, bool room) noexcept;

 private:
  /// The usual case at once: a line without fault that has wholly arrived. False: nothing was done.
  bool read_whole_line(field& f) noexcept;
  event begin_line(field& f, bool room) noexcept;
  event read_name(field& f) noexcept;
  event read_value(field& f) noexcept;
  event fail(field_fault f) noexcept;
};

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
