// SPDX-License-Identifier: Apache-2.0
#include "proxy/replay/report.hpp"
#include "proxy/replay/report_words.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <iterator>

namespace weir::replay {
namespace {

constexpr std::size_t shown_keys = 5;  // of each rule
constexpr std::size_t changed_keys = 10;
constexpr std::int64_t coarse = 10;  // a window shorter than so many steps of the log's clock is noted

class text_writer {
 public:
  text_writer(const log_replay& replay, const report_options& options)
      : replay_(replay),
        options_(options),
        requests_(replay.policy().requests),
        numbers_(replay.policy().numbers) {
    for (const rule_tally& rule : numbers_.rules()) width_ = std::max(width_, rule.name.size());
  }

  std::string write() {
    log();
    verdicts();
    rules();
    chart();
    keys();
    if (replay_.against() != nullptr) changes();
    missing();
    notes();
    if (!replay_.meters().empty()) suggestions();
    return std::move(out_);
  }

 private:
  template <class... Args>
  void put(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(out_), format, std::forward<Args>(args)...);
  }

  void log() {
    put("{}: {} requests in {} lines ({})", options_.log, grouped(numbers_.requests()),
        grouped(replay_.lines()), replay_.format().name());
    if (numbers_.requests() > 0) {
      put(", {} to {} UTC ({})", date_and_time(numbers_.first_us()), date_and_time(numbers_.last_us()),
          time_span(numbers_.last_us() - numbers_.first_us()));
    }
    put("\n");
    if (replay_.bad_lines() > 0) put("  {} lines could not be read:\n", grouped(replay_.bad_lines()));
    for (const bad_line& bad : replay_.first_bad_lines()) put("    line {}: {}\n", bad.number, bad.problem);
    if (replay_.late_lines() > 0) {
      put("  {} lines lie more than {} lines behind their time: they were replayed late\n",
          grouped(replay_.late_lines()), grouped(reorder_lines));
    }
  }

  void verdicts() {
    const std::uint64_t denied = numbers_.of(fate::denied);
    put("{}: {} of them denied ({})", options_.policy, grouped(denied),
        percentage(denied, numbers_.requests()));
    if (numbers_.without_user() > 0) put(", {} for want of a user", grouped(numbers_.without_user()));
    for (const auto& [f, text] : {std::pair{fate::exempt, "exempt"},
                                  {fate::blocked, "blocked"},
                                  {fate::refused, "refused before any rule"}}) {
      if (numbers_.of(f) > 0) put(", {} {}", grouped(numbers_.of(f)), text);
    }
    put("\n");
    if (!replay_.format().contents().decision) return;
    const agreement& a = numbers_.log_agrees();
    put("  the log tells of {} denials: {} are denied here, too, {} are not; {} are denied only here\n",
        grouped(a.both_denied + a.only_log), grouped(a.both_denied), grouped(a.only_log),
        grouped(a.only_replay));
  }

  void rules() {
    if (numbers_.rules().empty()) return;
    put("\n  {:<{}}  {:>12}  {:>12} {:>8}  {:>12}  {:<19}  last\n", "rule", width_, "matched", "denied", "",
        "shadow", "first");
    for (const rule_tally& r : numbers_.rules()) {
      put("  {:<{}}  {:>12}  {:>12} {:>8}  {:>12}", r.name, width_, grouped(r.matched), grouped(r.denied),
          r.denied > 0 ? percentage(r.denied, r.matched) : "", grouped(r.shadow));
      if (r.first_us > 0) put("  {}  {}", date_and_time(r.first_us), date_and_time(r.last_us));
      put("\n");
    }
  }

  void chart_row(std::string_view name, std::size_t row) {
    put("  {:<{}}  |{}|\n", name, std::max<std::size_t>(width_, 8),
        bars(numbers_.chart(), row, options_.unicode));
  }

  void chart() {
    if (numbers_.requests() == 0) return;
    put("\n  by time, a column is {}\n", time_span(numbers_.chart().column_us()));
    chart_row("requests", 0);
    if (numbers_.of(fate::denied) > 0) chart_row("denied", 1);
    for (std::size_t i = 0; i < numbers_.rules().size(); ++i) {
      if (numbers_.rules()[i].first_us > 0) chart_row(numbers_.rules()[i].name, 2 + i);
    }
  }

  void keys() {
    const denied_keys& keys = numbers_.keys();
    if (keys.size() == 0) return;
    put("\n  keys denied most\n");
    for (std::size_t i = 0; i < numbers_.rules().size(); ++i) {
      const auto number = static_cast<std::uint32_t>(i);
      for (const auto& key : keys.top(number, shown_keys)) {
        put("  {:<{}}  {:>12}  {}\n", numbers_.rules()[i].name, width_, grouped(key.times), key.name);
      }
      const std::size_t all = keys.keys_of(number);
      if (all > shown_keys)
        put("  {:<{}}  {:>12}  and {} more keys\n", "", width_, "", grouped(all - shown_keys));
    }
    if (keys.others() > 0) {
      put("  {} denials of keys beyond the first {} are not told apart\n", grouped(keys.others()),
          grouped(max_denied_keys));
    }
  }

  void change(const changed_verdicts& c, const char* what) {
    put("  {} {}\n", grouped(c.requests), what);
    for (const auto& [rule, times] : c.by_rule) put("    {:>12}  by {}\n", grouped(times), rule);
    for (const auto& [key, times] : c.top(changed_keys)) put("    {:>12}  {}\n", grouped(times), key);
    if (c.by_key.size() > changed_keys)
      put("    {:>12}  and {} more keys\n", "", grouped(c.by_key.size() - changed_keys));
    if (!c.lines.empty()) put("    such as line {}\n", fmt::join(c.lines, ", "));
  }

  void changes() {
    const verdict_changes& c = replay_.changes();
    const std::uint64_t before = replay_.against()->numbers.of(fate::denied);
    put("\n  against {}, which denies {} ({})\n", options_.against, grouped(before),
        percentage(before, numbers_.requests()));
    change(c.newly_denied, "newly denied");
    change(c.newly_allowed, "no longer denied");
    if (c.other_rule > 0) put("  {} denied by another rule\n", grouped(c.other_rule));
  }

  void suggestions() {
    put("\n# Limits that at most 1 % of the keys of the log would ever have met. What is measured is the "
        "most that a\n"
        "# key asked for in any window, whether it was denied or not.\nrules:\n");
    const auto& rules = requests_.policy().settings->policy.rules();
    for (std::size_t i = 0; i < rules.size(); ++i) suggestion(rules[i], replay_.meters()[i].summarize());
  }

  void suggestion(const limiter::rule& rule, const rate_meter::summary& s) {
    if (s.keys == 0) return put("  # {}: no request\n", rule.name);
    put("  # {} keys", grouped(s.keys));
    if (s.sampled_one_in > 1) put(" (a sample: one of {})", grouped(s.sampled_one_in));
    put(" at their busiest: p50 {}, p95 {}, p99 {}, max {}; the limit now: {}\n", s.p50, s.p95, s.p99, s.max,
        rate_text(rule.quota.limit, rule.quota));
    if (!covers_a_window(replay_, rule))
      return put("  # - name: {}, but the log is shorter than its window\n", rule.name);
    put("  - name: {}\n    limit: {:<16} # at most 0.1 % of the keys: {}\n", rule.name,
        rate_text(s.denies_1_percent, rule.quota), rate_text(s.denies_0_1_percent, rule.quota));
  }

  void missing_of(const replayed_policy& policy, const std::string& name) {
    const auto& missing = policy.requests.policy().missing;
    if (missing.empty()) return;
    put("\n  not replayed of {}\n", name);
    for (const left_out& item : missing) {
      put("  {}: {}; taken for granted: {}\n", item.what, item.why.reason, item.assumed);
      if (!item.why.remedy.empty()) put("    = help: {}\n", item.why.remedy);
    }
  }

  void missing() {
    missing_of(replay_.policy(), options_.policy);
    if (replay_.against() != nullptr) missing_of(*replay_.against(), options_.against);
  }

  void notes() {
    for (const std::string& note : requests_.policy().notes) put("\n  note: {}\n", note);
    for (const limiter::rule& rule : requests_.policy().settings->policy.rules()) {
      if (rule.quota.period_us >= coarse * replay_.resolution_us()) continue;
      put("\n  note: the log's times are multiples of {}: the windows of {} are too short to be exact\n",
          time_span(replay_.resolution_us()), rule.name);
    }
  }

  const log_replay& replay_;
  const report_options& options_;
  const replayer& requests_;
  const tally& numbers_;
  std::size_t width_ = 4;
  std::string out_;
};

}  // namespace

std::string text_report(const log_replay& replay, const report_options& options) {
  return text_writer(replay, options).write();
}

}  // namespace weir::replay
