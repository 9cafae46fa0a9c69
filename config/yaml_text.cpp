// SPDX-License-Identifier: Apache-2.0
#include "config/yaml_text.hpp"

#include "config/yaml_reader.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>

namespace weir::config {
namespace {

bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}

bool only(std::string_view text, std::string_view characters) noexcept {
  return !text.empty() && text.find_first_not_of(characters) == std::string_view::npos;
}

constexpr std::string_view decimal = "0123456789";

/// Length of the UTF-8 character at `at`, 0 when it is none (overlong, surrogate, beyond U+10FFFF, cut).
std::size_t character_length(std::string_view text, std::size_t at) noexcept {
  const auto byte = [&](std::size_t i) -> unsigned {
    return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0U;
  };
  const auto tail = [&](std::size_t i) { return (byte(i) & 0xC0U) == 0x80U; };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return tail(1) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    const bool overlong = lead == 0xE0 && byte(1) < 0xA0;
    const bool surrogate = lead == 0xED && byte(1) > 0x9F;
    return tail(1) && tail(2) && !overlong && !surrogate ? 3 : 0;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    const bool overlong = lead == 0xF0 && byte(1) < 0x90;
    const bool beyond = lead == 0xF4 && byte(1) > 0x8F;
    return tail(1) && tail(2) && tail(3) && !overlong && !beyond ? 4 : 0;
  }
  return 0;
}

bool is_sexagesimal(std::string_view digits) noexcept {
  if (digits.empty() || digits.find(':') == std::string_view::npos || !is_digit(digits.front())) return false;
  bool first = true;
  while (!digits.empty()) {
    const auto colon = digits.find(':');
    const auto group = digits.substr(0, colon);
    if (!only(group, decimal) || (!first && (group.size() > 2 || (group.size() == 2 && group.front() > '5'))))
      return false;
    first = false;
    if (colon == std::string_view::npos) return true;
    digits.remove_prefix(colon + 1);
  }
  return false;
}

bool is_exponent(std::string_view number) noexcept {
  const auto e = number.find_first_of("eE");
  if (e == std::string_view::npos || e == 0 || !only(number.substr(0, e), "0123456789._")) return false;
  auto power = number.substr(e + 1);
  if (power.starts_with('+') || power.starts_with('-')) power.remove_prefix(1);
  return is_digit(number.front()) && only(power, decimal);
}

}  // namespace

source_lines::source_lines(std::string_view text) : text_(text), starts_{0} {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n') starts_.push_back(i + 1);
  }
}

std::size_t source_lines::offset(int line, int column) const noexcept {
  const auto index = static_cast<std::size_t>(std::max(line, 1)) - 1;
  if (index >= starts_.size()) return text_.size();
  return std::min(text_.size(), starts_[index] + static_cast<std::size_t>(std::max(column, 1)) - 1);
}

place source_lines::at(std::size_t offset, std::size_t width) const noexcept {
  const auto next = std::upper_bound(starts_.begin(), starts_.end(), offset);
  const auto line = static_cast<std::size_t>(next - starts_.begin());
  return {static_cast<int>(line), static_cast<int>(offset - starts_[line - 1]) + 1, static_cast<int>(width)};
}

bool check_bytes(const source_lines& source, reporter& report) {
  const auto text = source.text();
  if (text.size() > file_size_max) {
    report.error("E0114", {}, "a policy file is at most 1MiB");
    return false;
  }
  for (std::size_t i = 0; i < text.size();) {
    const auto length = character_length(text, i);
    if (length == 0) {
      report.error("E0113", source.at(i),
                   fmt::format("byte 0x{:02x} is not UTF-8", static_cast<unsigned char>(text[i])));
      return false;  // one place is enough: a file in another encoding has thousands
    }
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool lone_return = byte == '\r' && !text.substr(i + 1).starts_with('\n');
    if ((byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r') || byte == 0x7F || lone_return) {
      report.error("E0112", source.at(i), fmt::format("control character 0x{:02x}", byte));
      return false;
    }
    i += length;
  }
  return true;
}

std::optional<std::size_t> end_of_quoted(std::string_view text, std::size_t open) noexcept {
  const char quote = text[open];
  for (std::size_t i = open + 1; i < text.size(); ++i) {
    if (quote == '"' && text[i] == '\\') {
      ++i;
    } else if (text[i] == quote) {
      const bool doubled = quote == '\'' && i + 1 < text.size() && text[i + 1] == quote;
      if (!doubled) return i + 1;
      ++i;
    }
  }
  return std::nullopt;
}

notation notation_of(std::string_view plain) noexcept {
  constexpr std::array booleans{"yes", "Yes", "YES", "no",  "No", "NO", "on", "On",
                                "ON",  "off", "Off", "OFF", "y",  "Y",  "n",  "N"};
  if (std::find(booleans.begin(), booleans.end(), plain) != booleans.end()) return notation::boolean;
  if (plain.starts_with('-') || plain.starts_with('+')) plain.remove_prefix(1);
  if (plain.empty() || !is_digit(plain.front())) return notation::fine;
  if (plain.size() > 2 && plain.front() == '0') {
    const auto rest = plain.substr(2);
    if ((plain[1] == 'x' || plain[1] == 'X') && only(rest, "0123456789abcdefABCDEF_"))
      return notation::hexadecimal;
    if ((plain[1] == 'o' || plain[1] == 'O') && only(rest, "01234567_")) return notation::octal;
    if ((plain[1] == 'b' || plain[1] == 'B') && only(rest, "01_")) return notation::binary;
  }
  if (plain.find('_') != std::string_view::npos && only(plain, "0123456789_.")) return notation::underscore;
  if (plain.size() > 1 && plain.front() == '0' && only(plain, decimal)) return notation::octal;
  if (is_exponent(plain)) return notation::exponent;
  return is_sexagesimal(plain) ? notation::sexagesimal : notation::fine;
}

bool is_not_text(std::string_view plain) noexcept {
  constexpr std::array words{"true", "True", "TRUE", "false", "False", "FALSE",
                             "null", "Null", "NULL", "~",     ""};
  if (std::find(words.begin(), words.end(), plain) != words.end()) return true;
  if (notation_of(plain) != notation::fine) return true;
  if (plain.starts_with('-') || plain.starts_with('+')) plain.remove_prefix(1);
  return only(plain, "0123456789.") && plain.find_first_of(decimal) != std::string_view::npos;
}

}  // namespace weir::config
