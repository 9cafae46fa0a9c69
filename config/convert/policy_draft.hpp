// SPDX-License-Identifier: Apache-2.0
// A policy in the making: keys with values that are written already, and the notes that belong to them.
#pragma once

#include "config/convert/convert.hpp"

#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace weir::config {

using notes = std::vector<conversion_note>;

struct policy_item {
  std::vector<std::pair<std::string, std::string>> fields;  ///< key and value, as in brackets
  config::notes notes;

  policy_item& set(std::string key, std::string value);
};

struct policy_draft {
  config::notes notes;  ///< about the whole file, or about what is not in the policy
  std::vector<std::pair<std::string, policy_item>> sections;  ///< store, client_ip, ...: one line each
  std::vector<std::pair<std::string, policy_item>> upstreams;
  std::vector<policy_item> routes;
  std::vector<policy_item> block;
  std::vector<policy_item> rules;
  std::vector<policy_item> concurrency;
  std::set<std::string> names;  ///< taken, with their kind: "rules/per-ip"

  void note(int line, std::string text) { notes.push_back({line, std::move(text)}); }

  /// A section of the top level; later calls add keys.
  policy_item& section(const std::string& name);
  [[nodiscard]] bool has_section(const std::string& name) const;

  /// `wanted` as a name of weir's that nothing else of its kind has.
  [[nodiscard]] std::string free_name(const std::string& kind, std::string_view wanted);
};

/// A scalar as it is written in brackets.
[[nodiscard]] std::string written(std::string_view text);
/// `[a, b]` of scalars that are not yet written.
[[nodiscard]] std::string written_list(const std::vector<std::string>& items);

/// "/a/**" for "/a/" or "/a".
[[nodiscard]] std::string below(std::string path);
/// The text when it is a path template of weir's.
[[nodiscard]] std::optional<std::string> usable_template(std::string text);

/// The file before its layout. `made_by` and `name` go into its first line.
[[nodiscard]] std::string policy_text(const policy_draft& draft, std::string_view made_by,
                                      std::string_view name);

/// All notes, in the order of the origin's file.
[[nodiscard]] notes all_notes(const policy_draft& draft);

[[nodiscard]] policy_draft convert_nginx(const std::string& text);
[[nodiscard]] policy_draft convert_traefik(const std::string& text);
[[nodiscard]] policy_draft convert_kong(const std::string& text);
[[nodiscard]] policy_draft convert_envoy_rls(const std::string& text);

/// Thrown by the four for text that is not theirs.
struct not_readable {
  int line = 0;
  std::string why;
};

}  // namespace weir::config
