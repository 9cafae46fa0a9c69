// SPDX-License-Identifier: Apache-2.0
#include "proxy/identity/strict_json.hpp"

namespace weir::identity {
namespace {

constexpr int depth_max = 16;

/// Judged before parsing, so that depth never becomes recursion.
bool is_too_deep(std::string_view text) noexcept {
  int depth = 0;
  bool in_text = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_text) {
      if (c == '\\') ++i;
      if (c == '"') in_text = false;
    } else if (c == '"') {
      in_text = true;
    } else if (c == '{' || c == '[') {
      if (++depth > depth_max) return true;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return false;
}

}  // namespace

json_owner parse_object(std::string_view text) noexcept {
  // jansson skips a NUL byte as if it were not there
  if (text.find('\0') != std::string_view::npos || is_too_deep(text)) return nullptr;
  json_owner value(json_loadb(text.data(), text.size(), JSON_REJECT_DUPLICATES, nullptr));
  if (!json_is_object(value.get())) return nullptr;
  return value;
}

std::string_view text_member(const json_t* object, const char* name) noexcept {
  const json_t* value = json_object_get(object, name);
  if (!json_is_string(value)) return {};
  return {json_string_value(value), json_string_length(value)};
}

}  // namespace weir::identity
