// SPDX-License-Identifier: Apache-2.0
// Two policies on the same requests: which verdicts differ.
#pragma once

#include "proxy/replay/judgement.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

namespace weir::replay {

inline constexpr std::size_t max_changed_keys = 100'000;  ///< counted by themselves, in each direction
inline constexpr std::size_t max_changed_lines = 5;       ///< named as examples, in each direction

/// Requests that one policy denies or blocks and the other lets pass.
struct changed_verdicts {
  std::uint64_t requests = 0;
  std::map<std::string, std::uint64_t> by_rule{};           ///< the rule that denies; `block`, `require_user`
  std::unordered_map<std::string, std::uint64_t> by_key{};  ///< "RULE KEY"
  std::uint64_t other_keys = 0;                             ///< requests of keys beyond the bound
  std::vector<std::uint64_t> lines{};                       ///< of the log, the first ones

  /// The keys with most requests first; of equal ones by name.
  [[nodiscard]] std::vector<std::pair<std::string, std::uint64_t>> top(std::size_t most) const;
  void add(std::uint64_t line, const std::string& rule, const std::string& key);
};

struct verdict_changes {
  changed_verdicts newly_denied;  ///< the new policy denies them, the old one does not
  changed_verdicts newly_allowed;
  std::uint64_t other_rule = 0;  ///< both deny, for another reason
};

}  // namespace weir::replay
