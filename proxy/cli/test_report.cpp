// SPDX-License-Identifier: Apache-2.0
#include "proxy/cli/test_report.hpp"

#include "config/units.hpp"
#include "proxy/cli/paint.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace weir::cli {
namespace {

using proxy::offline::traced_request;
using proxy::offline::unmet;

std::string time_in_words(std::int64_t us) {
  return us == 0 ? "at once" : "after " + config::format_duration(std::chrono::microseconds{us});
}

std::string unmet_lines(const std::vector<unmet>& failures) {
  std::size_t what = 0, expected = 0;
  for (const unmet& f : failures) {
    what = std::max(what, f.what.size());
    expected = std::max(expected, f.expected.size());
  }
  std::string text;
  for (const unmet& f : failures) {
    text +=
        fmt::format("          {:<{}}  expected {:<{}}  got {}\n", f.what, what, f.expected, expected, f.got);
  }
  return text;
}

std::string verdict_in_words(const traced_request& r) {
  std::string text{to_string(r.verdict)};
  if (r.status != 0) text += fmt::format(" {}", r.status);
  if (!r.reason.empty()) text += fmt::format(" ({})", r.reason);
  if (r.verdict == proxy::record_decision::deny && !r.rule.empty()) text += " by " + r.rule;
  if (r.retry_after_us < 0) text += ", never admitted";
  if (r.retry_after_us > 0) {
    text += ", admitted again in " + config::format_duration(std::chrono::microseconds{r.retry_after_us});
  }
  return text;
}

std::string trace(const traced_request& r) {
  std::string text = fmt::format("          first wrong: request {} {}: {} from {}, route {}: {}\n", r.number,
                                 time_in_words(r.after_us), r.request, r.client_ip,
                                 r.route.empty() ? "_none" : r.route, verdict_in_words(r));
  std::size_t width = 0;
  for (const auto& c : r.rules) width = std::max(width, c.rule.size());
  for (const auto& c : r.rules) {
    text += fmt::format("            {:<{}}  cost {}, {} left{}\n", c.rule, width, c.cost, c.remaining,
                        c.allowed ? "" : ": refused");
  }
  if (r.rules.empty()) text += "            no rule counted it\n";
  return text;
}

}  // namespace

std::string test_report(const std::string& file, const proxy::offline::policy_test& test,
                        const proxy::offline::test_result& result, bool color) {
  const paint in{color};
  if (result.failures.empty()) return fmt::format("{}      {}\n", in.good("ok"), test.name);
  auto text = fmt::format("{}  {} {}\n", in.bad("FAILED"), in.strong(test.name),
                          in.faint(fmt::format("({}:{})", file, test.line)));
  text += unmet_lines(result.failures);
  if (result.wrong) text += trace(*result.wrong);
  return text;
}

std::string test_summary(const std::string& file, std::size_t tests, int failed) {
  if (tests == 0) return fmt::format("{}: no tests\n", file);
  return fmt::format("{}: {} test{}, {} failed\n", file, tests, tests == 1 ? "" : "s", failed);
}

}  // namespace weir::cli
