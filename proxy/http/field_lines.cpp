// SPDX-License-Identifier: Apache-2.0
#include "proxy/http/field_lines.hpp"

#include <limits>

namespace weir::http {

field_reader::event field_reader::fail(field_fault f) noexcept {
  fault = f;
  return event::fault;
}

field_reader::event field_reader::read_part(field& f, bool room) noexcept {
  plain_name = false;
  if (phase == line_phase::start) {
    if (const event e = begin_line(f, room); e != event::field) return e;
  }
  if (phase == line_phase::name) {
    if (const event e = read_name(f); e != event::field) return e;
  }
  if (phase == line_phase::value) {
    if (const event e = read_value(f); e != event::field) return e;
  }
  if (cursor == size) return event::need_more;
  if (data[cursor] != '\n') return fail(field_fault::line_end);
  ++cursor;
  if (phase == line_phase::head_end) return event::head_end;
  phase = line_phase::start;
  return event::field;
}

// The parts below answer event::field for "go on with the next part".

field_reader::event field_reader::begin_line(field& f, bool room) noexcept {
  if (cursor == size) return event::need_more;
  const char c = data[cursor];
  if (c == '\r') {
    ++cursor;
    phase = line_phase::head_end;
    return event::field;
  }
  if (!grammar::is(c, grammar::token)) {
    if (grammar::is_ows(c)) return fail(field_fault::folded);
    return fail(c == '\n' ? field_fault::line_end : field_fault::name);
  }
  if (!room) return fail(field_fault::too_many);
  f = field{};
  f.name_at = cursor;
  phase = line_phase::name;
  return event::field;
}

field_reader::event field_reader::read_name(field& f) noexcept {
  const std::size_t limit = f.name_at + std::min(max_name_size, line_limit);
  const char* const at =
      grammar::skip_token(data, data + cursor, data + std::min<std::size_t>(size, limit + 1));
  cursor = static_cast<std::uint32_t>(at - data);
  if (cursor > limit) return fail(field_fault::name_too_long);
  if (cursor == size) return event::need_more;
  if (*at != ':') return fail(field_fault::name);
  f.name_size = static_cast<std::uint16_t>(cursor - f.name_at);
  f.value_at = ++cursor;
  phase = line_phase::value;
  return event::field;
}

field_reader::event field_reader::read_value(field& f) noexcept {
  const std::size_t limit = f.name_at + line_limit;
  const char* const stop = data + std::min<std::size_t>(size, limit + 1);
  // the colon itself may be the first byte beyond the limit: nothing is left to scan then
  const char* const at = data + cursor < stop ? grammar::skip_text(data, data + cursor, stop) : data + cursor;
  cursor = static_cast<std::uint32_t>(at - data);
  if (cursor > limit) return fail(field_fault::line_too_long);
  if (cursor == size) return event::need_more;
  if (*at != '\r') return fail(*at == '\n' ? field_fault::line_end : field_fault::control);
  const std::string_view value = grammar::trim_ows({data + f.value_at, cursor - f.value_at});
  f.value_at = static_cast<std::uint32_t>(value.data() - data);
  f.value_size = static_cast<std::uint32_t>(value.size());
  ++cursor;
  phase = line_phase::value_end;
  return event::field;
}

bool parse_content_length(std::string_view value, std::uint64_t& length) noexcept {
  if (value.empty() || value.size() > 19) return false;  // 19 digits cannot overflow 64 bits
  std::uint64_t n = 0;
  for (const char c : value) {
    if (!grammar::is_digit(c)) return false;
    n = n * 10 + static_cast<std::uint64_t>(c - '0');
  }
  if (n > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) return false;
  length = n;
  return true;
}

bool parse_hops(std::string_view value, std::uint64_t& hops) noexcept {
  constexpr std::uint64_t most = std::numeric_limits<std::int64_t>::max();
  if (value.empty()) return false;
  std::uint64_t n = 0;
  for (const char c : value) {
    if (!grammar::is_digit(c)) return false;
    const auto digit = static_cast<std::uint64_t>(c - '0');
    n = n > (most - digit) / 10 ? most : n * 10 + digit;
  }
  hops = n;
  return true;
}

coding parse_transfer_encoding(std::string_view value) noexcept {
  constexpr std::string_view chunked = "chunked";
  if (grammar::equals_lower(value, chunked)) return coding::chunked;
  bool ended = false;
  std::string_view element;
  while (grammar::next_element(value, element)) {
    if (ended || element.empty() || !grammar::is_all(element, grammar::token)) return coding::invalid;
    ended = grammar::equals_lower(element, chunked);
  }
  return ended ? coding::unsupported : coding::invalid;
}

connection_options parse_connection(std::string_view value) noexcept {
  connection_options options;
  if (grammar::equals_lower(value, "keep-alive")) {  // nearly always
    options.count = 1;
    return options;
  }
  std::string_view element;
  while (options.count <= max_connection_options && grammar::next_element(value, element)) {
    ++options.count;
    if (element.empty()) continue;
    if (!grammar::is_all(element, grammar::token)) {
      options.valid = false;
    } else if (grammar::equals_lower(element, "close")) {
      options.close = true;
    } else if (!grammar::equals_lower(element, "keep-alive")) {
      options.nominates = true;
    }
  }
  return options;
}

}  // namespace weir::http
