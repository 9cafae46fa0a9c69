// SPDX-License-Identifier: Apache-2.0
// The keys of a policy file as a tree: what may stand below what, and in which order.
#pragma once

#include "config/table.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir::config {

struct key_node {
  std::string name;            ///< without `[]`; upper case: any name (`upstreams.NAME`)
  std::optional<key_doc> doc;  ///< nothing: only a group of keys
  std::vector<key_node> children;

  /// Children are named by the user.
  [[nodiscard]] bool has_free_names() const noexcept;
  /// The child of that name, or the one that stands for every name; null when there is none.
  [[nodiscard]] const key_node* child(std::string_view key) const noexcept;
};

/// The root is the file itself; children are in the order of the reference.
[[nodiscard]] const key_node& key_tree();

}  // namespace weir::config
