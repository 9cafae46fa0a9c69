// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/replay.hpp"

#include <algorithm>
#include <cstdio>
#include <optional>
#include <stdexcept>
#include <string_view>

namespace weir::tests {
namespace {

using limiter::charge;
using limiter::operation;
using limiter::rule;
using limiter::rule_state;
using limiter::store_reply;

constexpr std::size_t shown_mismatches = 10;

/// Which subjects the rules of one event speak about.
enum class layout { one_subject, subject_per_rule };

// Numbered names: a rule keeps its id over a reload.
std::vector<rule> to_product_rules(const std::vector<trace_rule>& from) {
  std::vector<rule> rules(from.size());
  for (std::size_t i = 0; i < from.size(); ++i) {
    std::array<char, 8> digits{};
    std::snprintf(digits.data(), digits.size(), "%03zu", i % 1000);
    rules[i].rid = {{'r', digits[0], digits[1], digits[2]}, {digits[0], digits[1], digits[2]}};
    rules[i].quota = from[i].quota.value();
    rules[i].penalty_us = from[i].penalty_us;
    rules[i].mode = from[i].shadow ? limiter::rule_mode::shadow : limiter::rule_mode::enforce;
    if (validate(rules[i].quota).problem != limiter::quota_problem::none) {
      throw std::runtime_error("rule " + std::to_string(i) + " is not computable exactly");
    }
  }
  return rules;
}

limiter::subject_key subject_named(std::size_t number) {
  limiter::subject_key key;
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "conformance-%010zu", number);
  std::copy_n(text.begin(), key.text.size(), key.text.begin());
  return key;
}

std::optional<operation> to_operation(std::string_view op) {
  if (op == "take" || op == "acquire") return operation::take;
  if (op == "peek") return operation::peek;
  if (op == "refund" || op == "release") return operation::refund;
  if (op == "take_upto") return operation::take_upto;
  if (op == "renew") return operation::renew;
  return std::nullopt;
}

std::string describe(const expected_state& s) {
  std::string text = std::string(s.allowed ? "allowed" : "denied") + " remaining " +
                     std::to_string(s.remaining) + " retry " + std::to_string(s.retry_after_us) + " reset " +
                     std::to_string(s.reset_after_us);
  if (s.granted) text += " granted " + std::to_string(*s.granted);
  return text;
}

std::string describe(const std::vector<expected_state>& states) {
  std::string text;
  for (const expected_state& s : states) text += (text.empty() ? "" : "; ") + describe(s);
  return text;
}

expectation to_answer(const store_reply& reply, operation op, std::span<const limiter::charge> charges) {
  expectation answer;
  for (std::size_t i = 0; i < reply.states.size(); ++i) {
    const rule_state& s = reply.states[i];
    answer.rules.push_back({s.allowed, s.remaining, s.retry_after_us, s.reset_after_us, std::nullopt});
    if (op == operation::take_upto) answer.rules.back().granted = s.granted;
    if (passes(charges[i], s)) continue;
    answer.allowed = false;
    answer.denied_by.push_back(static_cast<std::int64_t>(i));
    const bool never = s.retry_after_us < 0 || answer.retry_after_us < 0;
    answer.retry_after_us = never ? -1 : std::max(answer.retry_after_us, s.retry_after_us);
  }
  return answer;
}

bool near(std::int64_t a, std::int64_t b, std::int64_t tolerance) noexcept {
  return std::abs(a - b) <= tolerance;
}

bool matches(const expected_state& want, const expected_state& got, std::int64_t tolerance) noexcept {
  return want.allowed == got.allowed && want.remaining == got.remaining && want.granted == got.granted &&
         near(want.retry_after_us, got.retry_after_us, tolerance) &&
         near(want.reset_after_us, got.reset_after_us, tolerance);
}

bool matches(const expectation& want, const expectation& got, bool several, std::int64_t tolerance) {
  const auto same = [&](const expected_state& w, const expected_state& g) {
    return matches(w, g, tolerance);
  };
  if (!std::equal(want.rules.begin(), want.rules.end(), got.rules.begin(), got.rules.end(), same))
    return false;
  return !several || (want.allowed == got.allowed && want.denied_by == got.denied_by &&
                      near(want.retry_after_us, got.retry_after_us, tolerance));
}

/// Plays one trace in one layout; an answer per event that has a `want`, or why there is none.
class player {
 public:
  player(const trace& t, backend& store, layout how)
      : trace_(t), store_(store), layout_(how), rules_(to_product_rules(t.rules)) {}

  std::string play(const trace_event& event) {  // empty = matched
    if (!event.reload.empty()) {
      rules_ = to_product_rules(event.reload);
      return {};
    }
    const auto op = to_operation(event.op);
    if (!op) return "operation " + event.op + " is not built";
    if (event.costs.size() != rules_.size()) return "the event has not one cost per rule";
    const limiter::charge_list charges = charges_of(event);
    const expectation got = to_answer(store_.execute(*op, charges, event.t), *op, charges);
    const bool reloads = std::find(trace_.tags.begin(), trace_.tags.end(), "reload") != trace_.tags.end();
    if (matches(event.want, got, trace_.several_rules, reloads ? 1 : 0)) return {};
    return describe(got.rules);
  }

 private:
  limiter::charge_list charges_of(const trace_event& event) {
    const auto known = std::find(keys_.begin(), keys_.end(), event.key);
    const auto key = static_cast<std::size_t>(known - keys_.begin());
    if (known == keys_.end()) keys_.push_back(event.key);
    limiter::charge_list charges;
    for (std::size_t i = 0; i < rules_.size(); ++i) {
      const std::size_t number = layout_ == layout::one_subject ? key : key * rules_.size() + i;
      charges.push_back({&rules_[i], subject_named(number), event.costs[i], 0, event.holder});
      charges.back().charged_at_us = event.since;
      charges.back().aged = event.aged;
      charges.back().shadow = rules_[i].mode == limiter::rule_mode::shadow;
    }
    return charges;
  }

  const trace& trace_;
  backend& store_;
  layout layout_;
  std::vector<rule> rules_;
  std::vector<std::string> keys_;
};

// Per event: why it does not match; empty = it does.
std::vector<std::string> play_all(const trace& t, backend& store, layout how) {
  std::vector<std::string> failures(t.events.size());
  for (const trace_rule& r : t.rules) {
    if (!r.quota)
      return std::vector<std::string>(t.events.size(), "algorithm " + r.algorithm + " is not built");
  }
  store.reset();
  player p(t, store, how);
  for (std::size_t i = 0; i < t.events.size(); ++i) failures[i] = p.play(t.events[i]);
  return failures;
}

void count(const trace& t, bool matched, report& result) {
  const auto add = [matched](tally& sum) {
    sum.matched += matched ? 1 : 0;
    ++sum.total;
  };
  add(result.all);
  add(result.suites[t.suite]);
  for (const std::string& tag : t.tags) add(result.tags[tag]);
}

}  // namespace

void replay(const trace& t, backend& store, report& result) {
  std::vector<std::string> failures = play_all(t, store, layout::one_subject);
  if (t.several_rules) {
    const std::vector<std::string> apart = play_all(t, store, layout::subject_per_rule);
    for (std::size_t i = 0; i < failures.size(); ++i) {
      if (failures[i].empty() && !apart[i].empty()) failures[i] = "subject per rule: " + apart[i];
    }
  }
  for (std::size_t i = 0; i < t.events.size(); ++i) {
    if (t.events[i].op == "reload") continue;
    count(t, failures[i].empty(), result);
    if (failures[i].empty() || result.mismatches.size() >= shown_mismatches) continue;
    result.mismatches.push_back({t.file + " " + t.name + " event " + std::to_string(i),
                                 describe(t.events[i].want.rules), failures[i]});
  }
}

}  // namespace weir::tests
