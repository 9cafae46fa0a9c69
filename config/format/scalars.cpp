// SPDX-License-Identifier: Apache-2.0
#include "config/format/scalars.hpp"

#include "config/yaml_text.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace weir::config {
namespace {

bool is_control(char c) noexcept {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
}

/// The grammar of plain scalars, a little narrower.
bool can_be_plain(std::string_view text, bool in_brackets) {
  constexpr std::string_view never_first = "-?:,[]{}#&*!|>'\"%@`=~ ";
  if (text.empty() || never_first.find(text.front()) != std::string_view::npos) return false;
  if (text.back() == ' ' || text.back() == ':' || text.starts_with("...")) return false;
  if (std::any_of(text.begin(), text.end(), is_control)) return false;
  if (text.find(": ") != std::string_view::npos || text.find(" #") != std::string_view::npos) return false;
  return !in_brackets || text.find_first_of(",[]{}:") == std::string_view::npos;
}

/// What some reader takes for a number, a time or something else than text: "1.5", ".5", "+1", "2027-01-31".
bool looks_typed(std::string_view text) {
  if (is_not_text(text)) return true;
  if (text.front() == '.' || text.front() == '+') return true;
  const auto dash = text.find('-');
  return dash == 4 && text.substr(0, 4).find_first_not_of("0123456789") == std::string_view::npos;
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (is_control(c)) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out + '"';
}

}  // namespace

std::string written_scalar(std::string_view text, bool was_plain, bool in_brackets) {
  if (was_plain && text.find('\n') == std::string_view::npos) return std::string{text};
  return can_be_plain(text, in_brackets) && !looks_typed(text) ? std::string{text} : quoted(text);
}

}  // namespace weir::config
