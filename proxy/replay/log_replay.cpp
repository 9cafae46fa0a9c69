// SPDX-License-Identifier: Apache-2.0
#include "proxy/replay/log_replay.hpp"

#include <algorithm>
#include <utility>

namespace weir::replay {
namespace {

bool stops(const judgement& j) noexcept {
  return j.outcome == fate::denied || j.outcome == fate::blocked;
}

/// The rule that stopped a request, and its key.
struct stopped_by {
  std::string rule;
  std::string key;
};

stopped_by reason_of(const judgement& j, const replayer& by) {
  if (j.outcome == fate::blocked) return {"block", ""};
  if (j.rule == judgement::no_rule) return {"require_user", ""};
  for (std::size_t i = 0; i < j.charges.size(); ++i) {
    if (j.charges[i].rule == j.rule) return {by.rule(j.rule).name, by.key_name(i)};
  }
  return {by.rule(j.rule).name, ""};
}

std::int64_t units_of(const limiter::rule& rule, const judged_charge& c, const logged_request& line) {
  if (!rule.settles() || line.decision == logged_decision::deny || line.status == 0) return c.cost;
  using source = limiter::response_cost::source;
  limiter::outcome how;
  how.status = line.status;
  how.complete = true;
  how.actual = [&line](const limiter::rule& r) {
    const std::int64_t in = std::max<std::int64_t>(line.bytes_in, 0);
    const std::int64_t out = std::max<std::int64_t>(line.bytes_out, 0);
    const source from = r.response_cost->actual;
    return std::optional(from == source::request_bytes    ? in
                         : from == source::response_bytes ? out
                                                          : in + out);
  };
  return limiter::final_cost(rule, c.cost, how);
}

}  // namespace

log_replay::log_replay(log_format format, const proxy::settings& policy, const proxy::settings* against,
                       bool measure)
    : format_(std::move(format)), policy_(policy, format_.contents()) {
  if (against != nullptr) against_.emplace(*against, format_.contents());
  if (!measure) return;
  for (const limiter::rule& rule : policy_.requests.policy().settings->policy.rules())
    meters_.emplace_back(rule.quota.period_us);
}

void log_replay::add_line(std::string_view line) {
  ++lines_;
  if (window_.full()) judge_next();
  held_line& held = window_.spare();
  held.text.assign(line);
  held.number = lines_;
  line_problem problem;
  switch (format_.read(held.text, held.request, problem)) {
    case line_kind::request:
      resolution_us_ = std::max(resolution_us_, held.request.resolution_us);
      return window_.hold();
    case line_kind::no_request:
      ++no_requests_;
      return;
    case line_kind::bad:
      break;
  }
  ++bad_lines_;
  if (first_bad_.size() >= max_named_lines) return;
  const std::string field = problem.field.empty() ? "" : "`" + std::string(problem.field) + "` is ";
  first_bad_.push_back({lines_, field + problem.what});
}

void log_replay::finish() {
  while (!window_.empty()) judge_next();
}

void log_replay::judge_next() {
  const held_line& line = window_.next();
  const judgement& now = policy_.requests.judge(line);
  policy_.numbers.add(now, line.request.decision, line.arrival_us,
                      [this](std::size_t i) { return policy_.requests.key_name(i); });
  if (!meters_.empty()) measure(line, now);
  if (on_request) on_request(line, now);
  if (!against_) return;
  const judgement& before = against_->requests.judge(line);
  against_->numbers.add(before, line.request.decision, line.arrival_us,
                        [this](std::size_t i) { return against_->requests.key_name(i); });
  compare(line.number, now, before);
}

void log_replay::measure(const held_line& line, const judgement& j) {
  for (const judged_charge& c : j.charges) {
    const std::int64_t units = units_of(policy_.requests.rule(c.rule), c, line.request);
    meters_[c.rule].add(c.subject, units, line.arrival_us);
  }
}

void log_replay::compare(std::uint64_t line, const judgement& now, const judgement& before) {
  if (!stops(now) && !stops(before)) return;
  const stopped_by here = stops(now) ? reason_of(now, policy_.requests) : stopped_by{};
  const stopped_by there = stops(before) ? reason_of(before, against_->requests) : stopped_by{};
  if (stops(now) && stops(before)) {
    if (here.rule != there.rule) ++changes_.other_rule;
  } else if (stops(now)) {
    changes_.newly_denied.add(line, here.rule, here.key);
  } else {
    changes_.newly_allowed.add(line, there.rule, there.key);
  }
}

}  // namespace weir::replay
