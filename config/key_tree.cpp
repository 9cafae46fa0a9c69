// SPDX-License-Identifier: Apache-2.0
#include "config/key_tree.hpp"

#include "config/key_reference.hpp"

#include <algorithm>

namespace weir::config {
namespace {

bool stands_for_names(std::string_view name) noexcept {
  return !name.empty() && name.front() >= 'A' && name.front() <= 'Z';
}

key_node& child_of(key_node& parent, std::string_view name) {
  const auto found = std::find_if(parent.children.begin(), parent.children.end(),
                                  [&](const auto& child) { return child.name == name; });
  if (found != parent.children.end()) return *found;
  return parent.children.emplace_back(key_node{std::string{name}, {}, {}});
}

/// "upstreams.NAME.endpoints[].url" step by step; an item of a list is its list.
key_node& node_at(key_node& root, std::string_view path) {
  auto* at = &root;
  while (!path.empty()) {
    const auto step = path.substr(0, path.find('.'));
    at = &child_of(*at, step.substr(0, step.find('[')));
    path.remove_prefix(std::min(path.size(), step.size() + 1));
  }
  return *at;
}

key_node make_tree() {
  key_node root;
  for (auto& doc : all_keys()) node_at(root, doc.path).doc = doc;
  return root;
}

}  // namespace

bool key_node::has_free_names() const noexcept {
  return !children.empty() && stands_for_names(children.front().name);
}

const key_node* key_node::child(std::string_view key) const noexcept {
  const auto found = std::find_if(children.begin(), children.end(),
                                  [&](const auto& c) { return c.name == key || stands_for_names(c.name); });
  return found == children.end() ? nullptr : &*found;
}

const key_node& key_tree() {
  static const auto tree = make_tree();
  return tree;
}

}  // namespace weir::config
