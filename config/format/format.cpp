// SPDX-License-Identifier: Apache-2.0
#include "config/format/format.hpp"

#include "config/format/layout.hpp"
#include "config/yaml_reader.hpp"

#include <algorithm>

namespace weir::config {
namespace {

bool matters(const problem& p) {
  const bool of_this_machine = p.line > 0 && (p.code == "E0201" || p.code.starts_with("E05"));
  return p.severity == severity::error && !of_this_machine;
}

std::optional<node> values_of(std::string_view text) {
  std::vector<problem> problems;
  reporter report{"", problems};
  auto file = read_yaml(text, report);
  if (!file.complete || has_errors(problems)) return std::nullopt;
  return std::move(file.root);
}

/// Maps may differ in the order of their keys.
bool same_values(const node& a, const node& b) {
  if (a.kind != b.kind || a.text != b.text || a.items.size() != b.items.size() ||
      a.entries.size() != b.entries.size())
    return false;
  for (std::size_t i = 0; i < a.items.size(); ++i) {
    if (!same_values(a.items[i], b.items[i])) return false;
  }
  return std::all_of(a.entries.begin(), a.entries.end(), [&](const entry& e) {
    const auto* other = b.find(e.key);
    return other != nullptr && same_values(e.value, other->value);
  });
}

std::vector<std::string> comment_texts(const syntax_document& document) {
  std::vector<std::string> texts;
  texts.reserve(document.comments.size());
  for (const auto& c : document.comments) texts.push_back(c.text);
  std::sort(texts.begin(), texts.end());
  return texts;
}

/// Nothing of the user's is lost, and a second run changes nothing.
bool is_lossless(const syntax_document& before, std::string_view source, const std::string& result) {
  const auto old_values = values_of(source);
  const auto new_values = values_of(result);
  if (!old_values || !new_values || !same_values(*old_values, *new_values)) return false;
  const auto after = read_syntax(result);
  return comment_texts(before) == comment_texts(after) && lay_out(after, result) == result;
}

}  // namespace

format_result format_policy(const load_result& loaded) {
  format_result result;
  std::copy_if(loaded.problems.begin(), loaded.problems.end(), std::back_inserter(result.problems), matters);
  if (!result.problems.empty()) return result;
  const auto document = read_syntax(loaded.source_text);
  auto text = lay_out(document, loaded.source_text);
  result.lossless = is_lossless(document, loaded.source_text, text);
  if (result.lossless) result.text = std::move(text);
  return result;
}

}  // namespace weir::config
