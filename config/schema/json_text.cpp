// SPDX-License-Identifier: Apache-2.0
#include "config/schema/json_text.hpp"

#include <algorithm>

namespace weir::config {
namespace {

namespace json = boost::json;

constexpr std::size_t line_width = 100;

bool is_scalar(const json::value& value) {
  return !value.is_object() && !value.is_array();
}

std::string on_a_line(const json::value& value) {
  if (is_scalar(value)) return json::serialize(value);
  std::string items;
  if (value.is_array()) {
    for (const auto& item : value.get_array()) items += (items.empty() ? "" : ", ") + on_a_line(item);
    return "[" + items + "]";
  }
  for (const auto& [name, member] : value.get_object())
    items += (items.empty() ? "" : ", ") + json::serialize(json::value(name)) + ": " + on_a_line(member);
  return "{" + items + "}";
}

/// At most one level of lists inside: deeper ones are easier to read below each other.
bool fits_on_a_line(const json::value& value, std::size_t indent, int levels = 2) {
  if (is_scalar(value)) return true;
  if (levels == 0) return false;
  const auto fits = [&](const auto& member) { return fits_on_a_line(member, indent, levels - 1); };
  const bool shallow =
      value.is_array()
          ? std::all_of(value.get_array().begin(), value.get_array().end(), fits)
          : std::all_of(value.get_object().begin(), value.get_object().end(), [&](const auto& member) {
              return !member.value().is_object() && fits(member.value());
            });
  return shallow && on_a_line(value).size() + indent <= line_width;
}

void append(std::string& out, const json::value& value, std::size_t indent);

void append_member(std::string& out, std::string_view name, const json::value& value, std::size_t indent,
                   bool first) {
  out += first ? "\n" : ",\n";
  out.append(indent, ' ');
  if (!name.empty()) out += json::serialize(json::value(name)) + ": ";
  append(out, value, indent);
}

void append(std::string& out, const json::value& value, std::size_t indent) {
  if (fits_on_a_line(value, indent)) {
    out += on_a_line(value);
    return;
  }
  bool first = true;
  out += value.is_object() ? '{' : '[';
  if (value.is_object()) {
    for (const auto& [name, member] : value.get_object())
      append_member(out, name, member, indent + 2, std::exchange(first, false));
  } else {
    for (const auto& item : value.get_array())
      append_member(out, {}, item, indent + 2, std::exchange(first, false));
  }
  out += '\n';
  out.append(indent, ' ');
  out += value.is_object() ? '}' : ']';
}

}  // namespace

std::string indented_json(const json::value& value) {
  std::string text;
  append(text, value, 0);
  return text;
}

}  // namespace weir::config
