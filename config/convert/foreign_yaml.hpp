// SPDX-License-Identifier: Apache-2.0
// YAML of others: read leniently, but what nobody asked for is noted.
#pragma once

#include "config/convert/policy_draft.hpp"

#include <optional>
#include <set>
#include <string>
#include <yaml-cpp/yaml.h>

namespace weir::config {

/// A map of the file; the keys that were never asked for are notes of `finish`.
class foreign_map {
 public:
  /// `path` names it in notes: "http.routers.api".
  foreign_map(const YAML::Node& node, std::string path) : node_(node), path_(std::move(path)) {}

  [[nodiscard]] bool exists() const { return node_.IsDefined() && node_.IsMap(); }
  [[nodiscard]] int line() const { return node_.IsDefined() ? node_.Mark().line + 1 : 0; }
  /// Of a key; of the map when it has no such key.
  [[nodiscard]] int line_of(const std::string& key) const;
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

  [[nodiscard]] YAML::Node take(const std::string& key);
  [[nodiscard]] foreign_map map(const std::string& key);
  [[nodiscard]] std::string text(const std::string& key, const std::string& otherwise = {});
  [[nodiscard]] std::optional<std::int64_t> integer(const std::string& key);
  [[nodiscard]] bool flag(const std::string& key, bool otherwise);
  /// A list of scalars, or one scalar.
  [[nodiscard]] std::vector<std::string> texts(const std::string& key);
  /// The items of a list of maps.
  [[nodiscard]] std::vector<foreign_map> maps(const std::string& key);
  /// The values of a map, by their names, in the order of the file.
  [[nodiscard]] std::vector<std::pair<std::string, foreign_map>> named(const std::string& key);

  /// Notes every key that was not taken.
  void finish(notes& out) const;

 private:
  YAML::Node node_;
  std::string path_;
  std::set<std::string> taken_;
};

/// Throws not_readable or YAML::Exception; only the first document is read.
[[nodiscard]] foreign_map read_foreign(const std::string& text);

}  // namespace weir::config
