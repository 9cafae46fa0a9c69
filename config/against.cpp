// SPDX-License-Identifier: Apache-2.0
#include "config/against.hpp"

#include "config/reporter.hpp"
#include "config/rule_words.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace weir::config {
namespace {

using limiter::algorithm;
using limiter::quota;
using limiter::rule;
using limiter::rule_change;
using limiter::rule_fate;

/// Units used in the new bucket by who has used `used` of the old one: as long from full as before.
std::int64_t same_time_to_full(const quota& before, const quota& after, std::int64_t used) {
  const double wait_us =
      static_cast<double>(used) * static_cast<double>(before.period_us) / static_cast<double>(before.limit);
  const double units = wait_us * static_cast<double>(after.limit) / static_cast<double>(after.period_us);
  return std::min(after.burst, static_cast<std::int64_t>(std::llround(units)));
}

std::string words_of(const rule* r) {
  if (r == nullptr) return {};
  std::string words;
  for (const std::string& line : rules_in_words({*r}))
    words += (words.empty() ? "" : "; ") + line.substr(line.find("  ") + 2);  // without "rule NAME"
  return words;
}

bool uses(const rule& r, std::string_view selector) {
  const auto is = [&](const limiter::selector& s) { return s.text == selector; };
  return std::any_of(r.key.begin(), r.key.end(), is) || std::any_of(r.fallback.begin(), r.fallback.end(), is);
}

/// Values of a selector that mean other clients than before.
struct other_value {
  std::string selector;
  std::string why;
};

std::vector<other_value> other_values(const proxy::settings& a, const proxy::settings& b) {
  std::vector<other_value> all;
  const auto group = [&](std::string_view family, int before, int after) {
    if (before != after)
      all.push_back({"client_ip", fmt::format("`client_ip.group.{}`: {} -> {}", family, before, after)});
  };
  group("ipv4", a.client_ip.group_ipv4, b.client_ip.group_ipv4);
  group("ipv6", a.client_ip.group_ipv6, b.client_ip.group_ipv6);
  const bool same_users = std::equal(a.users.begin(), a.users.end(), b.users.begin(), b.users.end(),
                                     [](const auto& x, const auto& y) { return x.from == y.from; });
  if (!same_users) all.push_back({"user", "`identity.user` has other sources"});
  return all;
}

std::vector<std::string> remarks_on(const rule_change& change, const std::vector<other_value>& others) {
  std::vector<std::string> remarks;
  if (change.before == nullptr || change.after == nullptr || change.fate == rule_fate::reset) return remarks;
  const auto carried = carried_over(change.before->quota, change.after->quota);
  if (!carried.empty()) remarks.push_back(carried);
  if (change.before->fallback != change.after->fallback)
    remarks.push_back(fmt::format("requests without a key start empty: fallback: {} -> {}",
                                  limiter::selectors_text(change.before->fallback),
                                  limiter::selectors_text(change.after->fallback)));
  for (const other_value& other : others) {
    if (uses(*change.after, other.selector))
      remarks.push_back(fmt::format("clients that this names otherwise start empty: {}", other.why));
  }
  return remarks;
}

void add_rules(outlook& out, const limiter::policy_set& before, const limiter::policy_set& after,
               const std::vector<other_value>& others, reporter& report) {
  for (const rule_change& change : limiter::compare_rules(before.rules(), after.rules())) {
    out.rules.push_back({change.name, change.fate, change.why, words_of(change.before),
                         words_of(change.after), remarks_on(change, others)});
    if (change.fate == rule_fate::reset)
      report.warn("W0401", {},
                  fmt::format("rule {} starts empty for every client: {}", in_ticks(change.name), change.why),
                  {"", "a limit, burst, cost or tier may change without that"});
  }
}

void append_rule(std::string& text, const rule_outlook& rule, std::size_t width) {
  text += fmt::format("  {:<{}}  {:<7}", rule.name, width, fate_name(rule.fate));
  const auto indent = std::string(width + 13, ' ');
  switch (rule.fate) {
    case rule_fate::reset:
      text += "  every client starts empty: " + rule.why;
      break;
    case rule_fate::changed:
      if (rule.before != rule.after) {
        text += fmt::format("  from {}\n{}to   {}", rule.before, indent, rule.after);
      } else {
        text += "  what was counted stays; the limit is the same";
      }
      break;
    case rule_fate::kept:
      text += "  what was counted stays";
      break;
    case rule_fate::added:
      text += "  " + rule.after;
      break;
    case rule_fate::removed:
      text += "  is not applied any more";
  }
  text += '\n';
  for (const auto& remark : rule.remarks) text += indent + remark + '\n';
}

}  // namespace

std::string_view fate_name(rule_fate fate) noexcept {
  switch (fate) {
    case rule_fate::kept:
      return "kept";
    case rule_fate::changed:
      return "changed";
    case rule_fate::reset:
      return "reset";
    case rule_fate::added:
      return "new";
    case rule_fate::removed:
      break;
  }
  return "removed";
}

std::string carried_over(const quota& before, const quota& after) {
  if (before == after) return {};
  if (before.algorithm == algorithm::concurrency) return "slots that are held stay held";
  const std::int64_t used = std::max<std::int64_t>(1, before.burst / 2);
  if (before.algorithm == algorithm::token_bucket) {
    return fmt::format(
        "who has used {} of {} is then at {} of {}: the time until the bucket is full carries over", used,
        before.burst, same_time_to_full(before, after, used), after.burst);
  }
  auto words = fmt::format("counts carry over: who has used {} of {} has {} of {} left", used, before.limit,
                           std::max<std::int64_t>(0, after.limit - used), after.limit);
  if (before.period_us != after.period_us || before.calendar != after.calendar || before.zone != after.zone)
    words += "; other windows: at most one limit more at the change";
  return words;
}

outlook compare(const load_result& old, const load_result& next) {
  const proxy::settings& before = *old.settings;
  const proxy::settings& after = *next.settings;
  outlook out{before.source, before.hash, after.hash, {}, reload_problems(before, after, next)};
  reporter report{after.source, out.problems};
  const auto others = other_values(before, after);
  add_rules(out, before.policy, after.policy, others, report);
  add_rules(out, before.concurrency, after.concurrency, others, report);
  return out;
}

std::string outlook_in_words(const outlook& what) {
  std::size_t width = 0;
  for (const auto& rule : what.rules) width = std::max(width, rule.name.size());
  auto text = fmt::format("against {} ({} -> {}):\n", what.old_name, what.hash_before, what.hash_after);
  for (const auto& rule : what.rules) append_rule(text, rule, width);
  if (what.rules.empty()) text += "  no rules before or after\n";
  return text;
}

}  // namespace weir::config
