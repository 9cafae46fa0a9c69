// SPDX-License-Identifier: Apache-2.0
#include "proxy/replay/verdict_changes.hpp"

#include <algorithm>

namespace weir::replay {

void changed_verdicts::add(std::uint64_t line, const std::string& rule, const std::string& key) {
  ++requests;
  ++by_rule[rule];
  if (lines.size() < max_changed_lines) lines.push_back(line);
  if (key.empty()) return;
  const std::string name = rule + " " + key;
  if (by_key.size() < max_changed_keys || by_key.contains(name)) {
    ++by_key[name];
  } else {
    ++other_keys;
  }
}

std::vector<std::pair<std::string, std::uint64_t>> changed_verdicts::top(std::size_t most) const {
  std::vector<std::pair<std::string, std::uint64_t>> found(by_key.begin(), by_key.end());
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  found.resize(std::min(found.size(), most));
  return found;
}

}  // namespace weir::replay
