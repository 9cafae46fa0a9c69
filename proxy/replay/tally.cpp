// SPDX-License-Identifier: Apache-2.0
#include "proxy/replay/tally.hpp"

namespace weir::replay {

std::string_view to_string(fate f) noexcept {
  constexpr std::array<std::string_view, 5> names{"allow", "deny", "exempt", "blocked", "refused"};
  return names[static_cast<std::size_t>(f)];
}

tally::tally(const std::vector<std::string>& rules) : chart_(2 + rules.size()) {
  for (const std::string& name : rules) rules_.push_back({.name = name});
}

void tally::count(const judgement& j, logged_decision logged, std::int64_t time_us) {
  if (requests_ == 0) first_us_ = time_us;
  last_us_ = time_us;
  ++requests_;
  ++fates_[static_cast<std::size_t>(j.outcome)];
  chart_.add(0, time_us);
  const bool denied = j.outcome == fate::denied;
  if (denied) chart_.add(1, time_us);
  if (denied && j.rule == judgement::no_rule) ++without_user_;
  const bool denied_there = logged == logged_decision::deny;
  if (denied && denied_there) ++agreement_.both_denied;
  if (denied && !denied_there) ++agreement_.only_replay;
  if (!denied && denied_there) ++agreement_.only_log;

  for (const judged_charge& c : j.charges) {
    rule_tally& rule = rules_[c.rule];
    ++rule.matched;
    if (!c.over) continue;
    count_rule(rule, c.shadow, time_us);
    chart_.add(2 + c.rule, time_us);
  }
  if (j.charges.empty() && denied && j.rule != judgement::no_rule) {  // its key has no value: 401
    ++rules_[j.rule].matched;
    count_rule(rules_[j.rule], false, time_us);
    chart_.add(2 + j.rule, time_us);
  }
}

void tally::count_rule(rule_tally& rule, bool shadow, std::int64_t time_us) {
  ++(shadow ? rule.shadow : rule.denied);
  if (rule.first_us == 0) rule.first_us = time_us;
  rule.last_us = time_us;
}

}  // namespace weir::replay
