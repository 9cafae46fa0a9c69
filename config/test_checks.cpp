// SPDX-License-Identifier: Apache-2.0
#include "config/test_checks.hpp"

#include "config/did_you_mean.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <map>

namespace weir::config {
namespace {

constexpr std::int64_t year_2026_us = 1'767'225'600'000'000;

std::vector<std::string_view> names_of_limits(const file_draft& draft) {
  std::vector<std::string_view> names;
  names.reserve(draft.rules.size() + draft.concurrency.size());
  for (const rule_draft& r : draft.rules) names.push_back(r.value.name);
  for (const concurrency_draft& c : draft.concurrency) names.push_back(c.value.name);
  return names;
}

void check_rules(const test_draft& test, const std::vector<std::string_view>& known, reporter& report) {
  for (const reference& wanted : test.rules) {
    if (std::find(known.begin(), known.end(), wanted.name) != known.end()) continue;
    report.error("E0408", wanted.at, fmt::format("there is no rule {}", in_ticks(wanted.name)),
                 {did_you_mean_hint(wanted.name, known),
                  known.size() <= 32 ? fmt::format("rules and limits: {}", fmt::join(known, " ")) : ""});
  }
}

}  // namespace

std::vector<proxy::offline::policy_test> complete_tests(const file_draft& draft, reporter& report) {
  std::vector<proxy::offline::policy_test> tests;
  std::map<std::string_view, place> seen;
  const auto known = names_of_limits(draft);
  for (const test_draft& test : draft.tests) {
    const auto [first, added] = seen.emplace(test.value.name, test.name_at);
    if (!added && !test.value.name.empty()) {
      report.error("E0403", test.name_at,
                   fmt::format("the name {} is used by two tests", in_ticks(test.value.name)),
                   {fmt::format("first at line {}", first->second.line), ""});
    }
    check_rules(test, known, report);
    tests.push_back(test.value);
    if (tests.back().at_us == 0) tests.back().at_us = year_2026_us;
  }
  return tests;
}

}  // namespace weir::config
