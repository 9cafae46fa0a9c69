// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/trace.hpp"

#include "limiter/algorithms/algorithm.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace weir::tests {
namespace {

namespace json = boost::json;

std::string text(const json::value& v) {
  return std::string(v.as_string());
}

std::int64_t number_or(const json::object& o, std::string_view name, std::int64_t fallback) {
  const json::value* v = o.if_contains(name);
  return v ? v->to_number<std::int64_t>() : fallback;
}

trace_rule to_rule(const json::object& o) {
  trace_rule rule;
  rule.algorithm = text(o.at("algorithm"));
  rule.shadow = o.contains("shadow") && o.at("shadow").as_bool();
  rule.penalty_us = number_or(o, "penalty_us", 0);
  const std::string name = rule.algorithm == "gcra" ? "token_bucket" : rule.algorithm;
  if (const auto algorithm = limiter::parse_algorithm(name)) {
    const std::int64_t limit = o.at("limit").to_number<std::int64_t>();
    const auto* const period = *algorithm == limiter::algorithm::concurrency ? "lease_us" : "period_us";
    rule.quota = limiter::quota{*algorithm, limit, o.at(period).to_number<std::int64_t>(),
                                number_or(o, "burst", limit)};
  }
  return rule;
}

std::vector<trace_rule> to_rules(const json::object& o) {
  std::vector<trace_rule> rules;
  if (const json::value* one = o.if_contains("rule")) {
    rules.push_back(to_rule(one->as_object()));
  } else {
    for (const json::value& rule : o.at("rules").as_array()) rules.push_back(to_rule(rule.as_object()));
  }
  return rules;
}

expected_state to_state(const json::object& o) {
  expected_state state;
  state.allowed = o.at("allowed").as_bool();
  state.remaining = o.at("remaining").to_number<std::int64_t>();
  state.retry_after_us = o.at("retry_after_us").to_number<std::int64_t>();
  state.reset_after_us = o.at("reset_after_us").to_number<std::int64_t>();
  if (const json::value* granted = o.if_contains("granted"))
    state.granted = granted->to_number<std::int64_t>();
  return state;
}

expectation to_expectation(const json::object& o) {
  expectation want;
  const json::value* rules = o.if_contains("rules");
  if (!rules) {
    want.rules.push_back(to_state(o));
    return want;
  }
  for (const json::value& rule : rules->as_array()) want.rules.push_back(to_state(rule.as_object()));
  want.allowed = o.at("allowed").as_bool();
  want.retry_after_us = o.at("retry_after_us").to_number<std::int64_t>();
  for (const json::value& i : o.at("denied_by").as_array()) {
    want.denied_by.push_back(i.to_number<std::int64_t>());
  }
  return want;
}

std::vector<std::int64_t> to_costs(const json::value& n) {
  if (!n.is_array()) return {n.to_number<std::int64_t>()};
  std::vector<std::int64_t> costs;
  for (const json::value& cost : n.as_array()) costs.push_back(cost.to_number<std::int64_t>());
  return costs;
}

trace_event to_event(const json::object& o, bool replayable) {
  trace_event event;
  event.t = o.at("t").to_number<std::int64_t>();
  event.op = text(o.at("op"));
  if (event.op == "reload") {
    event.reload = to_rules(o);
    return event;
  }
  if (!replayable) return event;
  if (const json::value* key = o.if_contains("key")) event.key = text(*key);
  if (const json::value* id = o.if_contains("id")) event.holder = text(*id);
  const json::value* n = o.if_contains("n");
  event.costs = n ? to_costs(*n) : std::vector<std::int64_t>{1};
  event.since = number_or(o, "since", 0);
  event.aged = o.contains("aged") && o.at("aged").as_bool();
  event.want = to_expectation(o.at("want").as_object());
  return event;
}

trace to_trace(const json::object& o) {
  trace t;
  t.name = text(o.at("name"));
  for (const json::value& tag : o.at("tags").as_array()) t.tags.push_back(text(tag));
  t.several_rules = o.contains("rules");
  t.rules = to_rules(o);
  const bool replayable =
      std::all_of(t.rules.begin(), t.rules.end(), [](const trace_rule& r) { return r.quota.has_value(); });
  for (const json::value& event : o.at("events").as_array()) {
    t.events.push_back(to_event(event.as_object(), replayable));
  }
  return t;
}

void read_file(const std::filesystem::path& path, std::vector<trace>& traces) {
  std::ifstream in(path, std::ios::binary);
  const std::string content{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (!in) throw std::runtime_error("cannot be read");
  const json::value document = json::parse(content);
  const json::object& root = document.as_object();
  if (root.at("format").to_number<std::int64_t>() != 1) throw std::runtime_error("format is not 1");
  for (const json::value& v : root.at("traces").as_array()) {
    trace t = to_trace(v.as_object());
    t.file = path.filename().string();
    t.suite = text(root.at("suite"));
    traces.push_back(std::move(t));
  }
}

}  // namespace

std::vector<trace> read_traces(const std::filesystem::path& directory) {
  std::vector<std::filesystem::path> files;
  for (const auto& item : std::filesystem::directory_iterator(directory)) {
    if (item.path().extension() == ".json") files.push_back(item.path());
  }
  std::sort(files.begin(), files.end());
  std::vector<trace> traces;
  for (const std::filesystem::path& file : files) {
    try {
      read_file(file, traces);
    } catch (const std::exception& e) {
      throw std::runtime_error(file.string() + ": " + e.what());
    }
  }
  return traces;
}

}  // namespace weir::tests
