// SPDX-License-Identifier: Apache-2.0
#include "proxy/observe/json_writer.hpp"
#include "proxy/replay/report.hpp"

#include <concepts>

namespace weir::replay {
namespace {

constexpr std::size_t shown_keys = 100;  // of each rule

/// Objects, arrays and their commas.
class json_text {
 public:
  explicit json_text(std::string& out) : out_(out) {}

  void begin(char bracket) {
    separate();
    out_ += bracket;
    first_ = true;
  }
  void end(char bracket) {
    out_ += bracket;
    first_ = false;
  }
  void name(std::string_view text) {
    separate();
    proxy::append_json_string(out_, text);
    out_ += ':';
    first_ = true;
  }
  void value(std::string_view text) {
    separate();
    proxy::append_json_string(out_, text);
  }
  void value(std::integral auto number) {
    separate();
    if constexpr (std::same_as<decltype(number), bool>) {
      out_ += number ? "true" : "false";
    } else {
      out_ += std::to_string(number);
    }
  }
  void time(std::int64_t us) {
    separate();
    proxy::append_json_time(out_, us);
  }
  void member(std::string_view key, const auto& content) {
    name(key);
    value(content);
  }
  void time_member(std::string_view key, std::int64_t us) {
    if (us == 0) return;
    name(key);
    time(us);
  }

 private:
  void separate() {
    if (!first_) out_ += ',';
    first_ = false;
  }
  std::string& out_;
  bool first_ = true;
};

class json_report_writer {
 public:
  json_report_writer(const log_replay& replay, const report_options& options)
      : replay_(replay), options_(options), json_(out_) {}

  std::string write() {
    json_.begin('{');
    log();
    json_.name("policy");
    policy(replay_.policy(), options_.policy);
    if (replay_.against() != nullptr) {
      json_.name("against");
      policy(*replay_.against(), options_.against);
      changes();
    }
    if (!replay_.meters().empty()) suggestions();
    json_.end('}');
    out_ += '\n';
    return std::move(out_);
  }

 private:
  void log() {
    json_.name("log");
    json_.begin('{');
    json_.member("name", options_.log);
    json_.member("format", replay_.format().name());
    json_.member("lines", replay_.lines());
    json_.member("requests", replay_.policy().numbers.requests());
    json_.member("no_requests", replay_.no_requests());
    json_.member("bad_lines", replay_.bad_lines());
    json_.member("late_lines", replay_.late_lines());
    json_.member("resolution_us", replay_.resolution_us());
    json_.name("first_bad_lines");
    json_.begin('[');
    for (const bad_line& bad : replay_.first_bad_lines()) {
      json_.begin('{');
      json_.member("line", bad.number);
      json_.member("problem", bad.problem);
      json_.end('}');
    }
    json_.end(']');
    json_.time_member("first", replay_.policy().numbers.first_us());
    json_.time_member("last", replay_.policy().numbers.last_us());
    json_.end('}');
  }

  void policy(const replayed_policy& p, const std::string& name) {
    json_.begin('{');
    json_.member("name", name);
    for (const auto& [f, key] : {std::pair{fate::allowed, "allowed"},
                                 {fate::denied, "denied"},
                                 {fate::exempt, "exempt"},
                                 {fate::blocked, "blocked"},
                                 {fate::refused, "refused"}}) {
      json_.member(key, p.numbers.of(f));
    }
    json_.member("without_user", p.numbers.without_user());
    if (replay_.format().contents().decision) logged(p.numbers.log_agrees());
    json_.name("rules");
    json_.begin('[');
    for (std::size_t i = 0; i < p.numbers.rules().size(); ++i) rule(p, static_cast<std::uint32_t>(i));
    json_.end(']');
    chart(p.numbers);
    missing(p.requests.policy());
    json_.end('}');
  }

  void logged(const agreement& a) {
    json_.name("logged");
    json_.begin('{');
    json_.member("denied", a.both_denied + a.only_log);
    json_.member("denied_in_both", a.both_denied);
    json_.member("denied_only_in_log", a.only_log);
    json_.member("denied_only_in_replay", a.only_replay);
    json_.end('}');
  }

  void rule(const replayed_policy& p, std::uint32_t number) {
    const rule_tally& r = p.numbers.rules()[number];
    json_.begin('{');
    json_.member("name", r.name);
    json_.member("matched", r.matched);
    json_.member("denied", r.denied);
    json_.member("shadow", r.shadow);
    json_.time_member("first", r.first_us);
    json_.time_member("last", r.last_us);
    json_.member("keys_denied", p.numbers.keys().keys_of(number));
    json_.name("top_keys");
    json_.begin('[');
    for (const auto& key : p.numbers.keys().top(number, shown_keys)) {
      json_.begin('{');
      json_.member("key", key.name);
      json_.member("denied", key.times);
      json_.end('}');
    }
    json_.end(']');
    json_.end('}');
  }

  void counts(const time_chart& chart, std::size_t row, std::string_view name) {
    json_.name(name);
    json_.begin('[');
    for (std::size_t i = 0; i < chart.columns(); ++i) json_.value(chart.at(row, i));
    json_.end(']');
  }

  void chart(const tally& numbers) {
    const time_chart& c = numbers.chart();
    json_.name("chart");
    json_.begin('{');
    json_.time_member("start", c.start_us());
    json_.member("column_s", c.column_us() / 1'000'000);
    counts(c, 0, "requests");
    counts(c, 1, "denied");
    json_.name("rules");
    json_.begin('{');
    for (std::size_t i = 0; i < numbers.rules().size(); ++i) counts(c, 2 + i, numbers.rules()[i].name);
    json_.end('}');
    json_.end('}');
  }

  void missing(const replayable_policy& p) {
    json_.name("not_replayed");
    json_.begin('[');
    for (const left_out& item : p.missing) {
      json_.begin('{');
      json_.member("what", item.what);
      json_.member("reason", item.why.reason);
      json_.member("remedy", item.why.remedy);
      json_.member("assumed", item.assumed);
      json_.end('}');
    }
    json_.end(']');
    json_.name("notes");
    json_.begin('[');
    for (const std::string& note : p.notes) json_.value(note);
    json_.end(']');
  }

  void change(const changed_verdicts& c, std::string_view name) {
    json_.name(name);
    json_.begin('{');
    json_.member("requests", c.requests);
    json_.name("by_rule");
    json_.begin('{');
    for (const auto& [rule, times] : c.by_rule) json_.member(rule, times);
    json_.end('}');
    json_.name("top_keys");
    json_.begin('[');
    for (const auto& [key, times] : c.top(shown_keys)) {
      json_.begin('{');
      json_.member("key", key);
      json_.member("requests", times);
      json_.end('}');
    }
    json_.end(']');
    json_.name("lines");
    json_.begin('[');
    for (const std::uint64_t line : c.lines) json_.value(line);
    json_.end(']');
    json_.end('}');
  }

  void changes() {
    json_.name("changes");
    json_.begin('{');
    change(replay_.changes().newly_denied, "newly_denied");
    change(replay_.changes().newly_allowed, "newly_allowed");
    json_.member("denied_by_another_rule", replay_.changes().other_rule);
    json_.end('}');
  }

  void suggestions() {
    const auto& rules = replay_.policy().requests.policy().settings->policy.rules();
    json_.name("suggestions");
    json_.begin('[');
    for (std::size_t i = 0; i < rules.size(); ++i) {
      const rate_meter::summary s = replay_.meters()[i].summarize();
      const limiter::quota& quota = rules[i].quota;
      json_.begin('{');
      json_.member("rule", rules[i].name);
      json_.member("keys", s.keys);
      json_.member("sampled_one_in", s.sampled_one_in);
      for (const auto& [key, value] :
           {std::pair{"p50", s.p50}, {"p95", s.p95}, {"p99", s.p99}, {"p99_9", s.p999}, {"max", s.max}}) {
        json_.member(key, value);
      }
      json_.member("limit_now", rate_text(quota.limit, quota));
      json_.member("log_covers_a_window", covers_a_window(replay_, rules[i]));
      if (s.keys > 0) {
        json_.member("limit_1_percent", rate_text(s.denies_1_percent, quota));
        json_.member("limit_0_1_percent", rate_text(s.denies_0_1_percent, quota));
      }
      json_.end('}');
    }
    json_.end(']');
  }

  const log_replay& replay_;
  const report_options& options_;
  std::string out_;
  json_text json_;
};

}  // namespace

std::string json_report(const log_replay& replay, const report_options& options) {
  return json_report_writer(replay, options).write();
}

void append_decision(std::string& out, const held_line& line, const judgement& j, const replayer& by) {
  json_text json(out);
  json.begin('{');
  json.member("line", line.number);
  json.member("time_us", line.arrival_us);
  json.member("decision", to_string(j.outcome));
  if (j.rule != judgement::no_rule) json.member("rule", by.rule(j.rule).name);
  if (j.retry_after_us != 0) json.member("retry_after_us", j.retry_after_us);
  bool any = false;
  for (const judged_charge& c : j.charges) {
    if (!c.over) continue;
    if (!any) json.name("over"), json.begin('[');
    any = true;
    json.value(by.rule(c.rule).name);
  }
  if (any) json.end(']');
  json.end('}');
  out += '\n';
}

}  // namespace weir::replay
