// SPDX-License-Identifier: Apache-2.0
#include "config/key_reference.hpp"

#include "config/sections/sections.hpp"

#include <fmt/format.h>

namespace weir::config {

std::vector<key_doc> all_keys() {
  std::vector<key_doc> keys;
  describe(file_table(), {}, keys);
  return keys;
}

std::string key_reference() {
  std::string out = "| key | type | default | range, meaning |\n|---|---|---|---|\n";
  for (const auto& key : all_keys()) {
    const auto* separator = key.range.empty() || key.meaning.empty() ? "" : "; ";
    out += fmt::format("| `{}` | {} | {} | {}{}{} |\n", key.path, key.type, key.default_text, key.range,
                       separator, key.meaning);
  }
  return out;
}

}  // namespace weir::config
