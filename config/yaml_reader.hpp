// SPDX-License-Identifier: Apache-2.0
// A strict reader over yaml-cpp: what YAML readers disagree about is refused, never guessed.
#pragma once

#include "config/reporter.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace weir::config {

enum class node_kind : std::uint8_t { null, scalar, list, map };

struct entry;

/// A value of the file. Aliases are already replaced by copies whose places are those of the alias.
struct node {
  node_kind kind = node_kind::null;
  std::string text;               ///< scalars
  bool plain = true;              ///< scalars: written without quotes
  bool from_environment = false;  ///< a `${...}` was replaced: the text must not be shown
  bool unresolved = false;        ///< a `${...}` failed and is reported: the text means nothing
  place at;
  std::vector<node> items;     ///< lists
  std::vector<entry> entries;  ///< maps, in file order, keys unique
  int height = 0;              ///< levels of lists and maps below
  int alias_depth = 0;         ///< longest chain of aliases inside

  /// The entry of a key; null when there is none.
  [[nodiscard]] const entry* find(std::string_view key) const noexcept;
};

struct entry {
  std::string key;
  place at;  ///< of the key
  node value;
};

struct document {
  node root;
  bool complete = false;    ///< false: reading stopped at a problem; the root holds what came before
  int stopped_at_line = 0;  ///< complete == false: nothing from this line on may be judged
};

inline constexpr std::size_t file_size_max = 1024 * 1024;
inline constexpr int nesting_max = 32;
inline constexpr int alias_depth_max = 8;
inline constexpr std::size_t nodes_max = 100'000;

/// Reads one document; every problem goes to `report`. Never throws for bad input.
[[nodiscard]] document read_yaml(std::string_view text, reporter& report);

}  // namespace weir::config
