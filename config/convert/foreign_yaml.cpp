// SPDX-License-Identifier: Apache-2.0
#include "config/convert/foreign_yaml.hpp"

#include "config/units.hpp"

#include <fmt/format.h>

namespace weir::config {

YAML::Node foreign_map::take(const std::string& key) {
  taken_.insert(key);
  return exists() ? node_[key] : YAML::Node{YAML::NodeType::Undefined};
}

int foreign_map::line_of(const std::string& key) const {
  const auto value = exists() ? node_[key] : YAML::Node{YAML::NodeType::Undefined};
  return value.IsDefined() ? value.Mark().line + 1 : line();
}

foreign_map foreign_map::map(const std::string& key) {
  return {take(key), path_.empty() ? key : path_ + "." + key};
}

std::string foreign_map::text(const std::string& key, const std::string& otherwise) {
  const auto value = take(key);
  return value.IsDefined() && value.IsScalar() ? value.Scalar() : otherwise;
}

std::optional<std::int64_t> foreign_map::integer(const std::string& key) {
  const auto value = text(key);
  return value.empty() ? std::nullopt : parse_integer(value).value;
}

bool foreign_map::flag(const std::string& key, bool otherwise) {
  const auto value = text(key);
  return value.empty() ? otherwise : value == "true" || value == "yes" || value == "on";
}

std::vector<std::string> foreign_map::texts(const std::string& key) {
  const auto value = take(key);
  if (!value.IsDefined()) return {};
  if (value.IsScalar()) return {value.Scalar()};
  std::vector<std::string> all;
  for (const auto& item : value) {
    if (item.IsScalar()) all.push_back(item.Scalar());
  }
  return all;
}

std::vector<foreign_map> foreign_map::maps(const std::string& key) {
  std::vector<foreign_map> all;
  const auto list = take(key);
  if (!list.IsDefined() || !list.IsSequence()) return all;
  std::size_t number = 0;
  for (const auto& item : list)
    all.emplace_back(item, fmt::format("{}[{}]", path_.empty() ? key : path_ + "." + key, number++));
  return all;
}

std::vector<std::pair<std::string, foreign_map>> foreign_map::named(const std::string& key) {
  std::vector<std::pair<std::string, foreign_map>> all;
  const auto value = take(key);
  if (!value.IsDefined() || !value.IsMap()) return all;
  for (const auto& item : value) {
    const auto name = item.first.Scalar();
    all.emplace_back(
        name, foreign_map{item.second, fmt::format("{}{}{}.{}", path_, path_.empty() ? "" : ".", key, name)});
  }
  return all;
}

void foreign_map::finish(notes& out) const {
  if (!exists()) return;
  for (const auto& item : node_) {
    const auto key = item.first.IsScalar() ? item.first.Scalar() : std::string{"?"};
    if (taken_.find(key) != taken_.end()) continue;
    out.push_back({item.first.Mark().line + 1,
                   fmt::format("`{}{}{}` is not converted", path_, path_.empty() ? "" : ".", key)});
  }
}

foreign_map read_foreign(const std::string& text) {
  foreign_map root{YAML::Load(text), ""};
  if (!root.exists()) throw not_readable{1, "the file is no map of keys"};
  return root;
}

}  // namespace weir::config
