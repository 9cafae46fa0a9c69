// SPDX-License-Identifier: Apache-2.0
#include "limiter/policy_change.hpp"

#include "limiter/algorithms/algorithm.hpp"
#include "limiter/override_list.hpp"

#include <algorithm>

namespace weir::limiter {
namespace {

const rule* find(const std::vector<rule>& rules, const std::string& name) {
  const auto found = std::find_if(rules.begin(), rules.end(), [&](const rule& r) { return r.name == name; });
  return found == rules.end() ? nullptr : &*found;
}

std::string arrow(std::string_view what, std::string_view before, std::string_view after) {
  std::string text{what};
  return text.append(": ").append(before).append(" -> ").append(after);
}

std::string algorithm_text(const quota& q) {
  std::string text{functions_of(q).name};
  if (q.algorithm == algorithm::fixed_window)
    text += q.calendar == calendar_unit::none ? " since the epoch" : " by the calendar";
  return text;
}

std::string_view place_text(const rule& r) {
  const bool here = r.slots ? r.slots->this_process : r.sharing == sharing_mode::local;
  return here ? "in each process" : "in the store";
}

/// Why the state of `before` is not found any more; empty: it is.
std::string reset_reason(const rule& before, const rule& after) {
  if (functions_of(before.quota).letter != functions_of(after.quota).letter)
    return arrow("algorithm", algorithm_text(before.quota), algorithm_text(after.quota));
  if (before.key != after.key) return arrow("key", selectors_text(before.key), selectors_text(after.key));
  if (place_text(before) != place_text(after)) return arrow("counted", place_text(before), place_text(after));
  return {};
}

bool same_but_for_its_place(const rule& before, const rule& after) {
  rule moved = before;
  moved.index = after.index;
  if (moved.overrides && after.overrides && *moved.overrides == *after.overrides)
    moved.overrides = after.overrides;
  return moved == after;
}

}  // namespace

std::string selectors_text(const std::vector<selector>& key) {
  std::string text = "[";
  for (const selector& s : key) text.append(text.size() > 1 ? ", " : "").append(s.text);
  return text + "]";
}

std::vector<rule_change> compare_rules(const std::vector<rule>& before, const std::vector<rule>& after) {
  std::vector<rule_change> changes;
  for (const rule& r : after) {
    rule_change& change =
        changes.emplace_back(rule_change{r.name, rule_fate::added, find(before, r.name), &r, {}});
    if (change.before == nullptr) continue;
    change.why = reset_reason(*change.before, r);
    if (!change.why.empty()) {
      change.fate = rule_fate::reset;
    } else {
      change.fate = same_but_for_its_place(*change.before, r) ? rule_fate::kept : rule_fate::changed;
    }
  }
  for (const rule& r : before) {
    if (find(after, r.name) == nullptr) changes.push_back({r.name, rule_fate::removed, &r, nullptr, {}});
  }
  return changes;
}

}  // namespace weir::limiter
