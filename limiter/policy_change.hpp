// SPDX-License-Identifier: Apache-2.0
// What becomes of each rule's state when one policy takes the place of another: state belongs to the rule's
// name, its algorithm and the selectors of its key.
#pragma once

#include "limiter/rule.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace weir::limiter {

enum class rule_fate : std::uint8_t {
  kept,     ///< the same rule, wherever it stands in the file
  changed,  ///< other numbers, another match, ...: its state is read under the new ones
  reset,    ///< what was counted is not seen any more: every key starts empty
  added,
  removed,
};

struct rule_change {
  std::string name;
  rule_fate fate = rule_fate::kept;
  const rule* before = nullptr;  ///< of the vectors compared; null: added
  const rule* after = nullptr;   ///< null: removed
  std::string why;               ///< of `reset`: "algorithm: fixed_window -> token_bucket"
};

/// In the order of `after`, then what was removed in the order of `before`. Names are unique in each.
[[nodiscard]] std::vector<rule_change> compare_rules(const std::vector<rule>& before,
                                                     const std::vector<rule>& after);

/// "[client_ip, route]"
[[nodiscard]] std::string selectors_text(const std::vector<selector>& key);

}  // namespace weir::limiter
