// SPDX-License-Identifier: Apache-2.0
#include "proxy/offline/policy_test.hpp"

#include "proxy/http/rate_limit_items.hpp"
#include "proxy/offline/shown_fields.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <numeric>

namespace weir::proxy::offline {

namespace {

constexpr std::array<std::string_view, 5> comparison_signs{"", "<", "<=", ">", ">="};

bool is_admitted(record_decision verdict) noexcept {
  return verdict == record_decision::allow || verdict == record_decision::shadow_deny ||
         verdict == record_decision::exempt;
}

traced_request trace_of(std::size_t number, const evaluated_request& r, std::int64_t after_us) {
  traced_request t;
  t.number = number + 1;
  t.after_us = after_us;
  t.request = r.raw_head().substr(0, r.raw_head().find(" HTTP/1.1\r\n"));
  t.client_ip = r.client_ip;
  t.route = r.attributes.route;
  t.verdict = r.verdict;
  t.reason = r.reason;
  t.status = r.status;
  if (const limiter::rule* rule = r.rule()) t.rule = rule->name;
  t.retry_after_us = r.verdict == record_decision::deny ? r.retry_after_us() : 0;
  for (std::size_t i = 0; i < std::min(r.charges.size(), r.result.states.size()); ++i) {
    const limiter::rule_state& state = r.result.states[i];
    t.rules.push_back({r.charges[i].matched->name, r.charges[i].cost, state.remaining, state.allowed});
  }
  return t;
}

const limiter::rule* shadow_of(const evaluated_request& r) noexcept {
  for (std::size_t i = 0; i < r.charges.size(); ++i) {
    if ((r.result.shadow_denied >> i & 1) != 0) return r.charges[i].matched;
  }
  return nullptr;
}

/// One run of a test. What every request came to, and the trace of one of them.
class test_run final : decision_reader {
 public:
  struct outcome {
    record_decision verdict = record_decision::rejected;
    const limiter::rule* rule = nullptr;
    const limiter::rule* shadow = nullptr;  // the first that would have denied
  };

  test_run(const std::shared_ptr<const settings>& policy, const policy_test& test, std::size_t to_trace)
      : world_(policy), test_(test), traced_(to_trace) {
    for (const sending& item : test.send) {
      lines_.push_back(lines_of(item.headers));
      total_ += static_cast<std::size_t>(item.times);
    }
    outcomes.resize(total_);
  }

  void go() {
    timeline time(world_, *this);
    std::int64_t at_us = test_.at_us;
    for (std::size_t i = 0; i < test_.send.size(); ++i) {
      const sending& item = test_.send[i];
      at_us += item.wait_us;
      for (std::int64_t k = 0; k < item.times; ++k) {
        const std::int64_t share = item.times > 1 ? item.over_us * k / (item.times - 1) : 0;
        time.send(described(i), item.respond, at_us + share);
      }
      at_us += item.over_us;
    }
    time.finish();
  }

  std::vector<outcome> outcomes;
  std::optional<traced_request> traced, last;
  int last_status = 0;

 private:
  [[nodiscard]] described_request described(std::size_t i) const {
    const sending& item = test_.send[i];
    return {item.method, item.target, item.host, lines_[i], item.client, &test_.given};
  }

  void on_decided(std::size_t number, const evaluated_request& r, std::int64_t now_us) override {
    outcomes[number] = {r.verdict, r.rule(), shadow_of(r)};
    if (number == traced_) traced = trace_of(number, r, now_us - test_.at_us);
    if (number + 1 != total_) return;
    const stated_response& answer = test_.send.back().respond;
    last = trace_of(number, r, now_us - test_.at_us);
    last_status = r.forwarded() ? answer.status : r.status;
    const auto headers = lines_of(answer.headers);
    last->fields =
        r.forwarded() ? shown_fields(r, {.status = answer.status, .headers = headers}) : shown_fields(r);
  }

  evaluator world_;
  const policy_test& test_;
  std::vector<std::vector<header_line>> lines_;
  std::size_t traced_;
  std::size_t total_ = 0;
};

constexpr std::size_t no_request = ~std::size_t{0};

/// Compares what came with what was expected; remembers the first request that was wrong.
class verifier {
 public:
  explicit verifier(const test_run& run) : run_(run) {}

  void count(const char* what, const std::optional<bound>& wanted, bool admitted) {
    if (!wanted) return;
    const auto is_one = [admitted](const test_run::outcome& o) { return is_admitted(o.verdict) == admitted; };
    const auto got = std::count_if(run_.outcomes.begin(), run_.outcomes.end(), is_one);
    if (wanted->holds(got)) return;
    failures.push_back({what, to_text(*wanted), std::to_string(got)});
    // too many: the first one beyond the bound; too few: the first that is not one of them
    const bool too_many = wanted->bounds_above() && got >= wanted->value;
    std::int64_t beyond = too_many ? wanted->value + (wanted->how == comparison::less ? 0 : 1) : 1;
    for (std::size_t i = 0; i < run_.outcomes.size(); ++i) {
      if (is_one(run_.outcomes[i]) == too_many && --beyond == 0) return note(i);
    }
  }

  void refuser(const std::optional<std::string>& wanted) {
    if (!wanted) return;
    bool any = false;
    for (std::size_t i = 0; i < run_.outcomes.size(); ++i) {
      const test_run::outcome& o = run_.outcomes[i];
      if (o.verdict != record_decision::deny) continue;
      any = true;
      const std::string_view by = o.rule != nullptr ? std::string_view(o.rule->name) : std::string_view();
      if (by == *wanted) continue;
      failures.push_back({"denied_by", *wanted, std::string(by.empty() ? "no rule" : by)});
      return note(i);
    }
    if (!any) last("denied_by", *wanted, "no request was denied");
  }

  void shadow_refuser(const std::optional<std::string>& wanted) {
    if (!wanted) return;
    bool any = false;
    for (std::size_t i = 0; i < run_.outcomes.size(); ++i) {
      const limiter::rule* by = run_.outcomes[i].shadow;
      if (by == nullptr) continue;
      any = true;
      if (by->name == *wanted) continue;
      failures.push_back({"shadow_denied_by", *wanted, by->name});
      return note(i);
    }
    if (!any) last("shadow_denied_by", *wanted, "no request would have been denied");
  }

  void number(const std::string& what, const bound& wanted, std::int64_t got, std::string_view unit = {}) {
    if (!wanted.holds(got)) last(what, to_text(wanted, unit), fmt::format("{}{}", got, unit));
  }

  void retry_after(const std::optional<bound>& wanted) {
    if (!wanted) return;
    const std::int64_t us = run_.last->retry_after_us;
    if (us < 0) return last("retry_after", to_text(*wanted, "s"), "never");
    number("retry_after", *wanted, http::whole_seconds(us), "s");
  }

  void remaining(const std::string& rule, const bound& wanted) {
    for (const traced_request::counted& c : run_.last->rules) {
      if (c.rule == rule) return number("remaining." + rule, wanted, c.remaining);
    }
    last("remaining." + rule, to_text(wanted), "the rule does not count the last request");
  }

  void header(const std::string& name, const std::string& wanted) {
    const auto got = field(run_.last->fields, name);
    if (got && (wanted == "*" || *got == wanted)) return;
    last("headers." + name, wanted, got ? *got : "no such field");
  }

  std::vector<unmet> failures;
  std::size_t wrong = no_request;

 private:
  static std::optional<std::string> field(std::string_view lines, std::string_view lower_case_name) {
    while (!lines.empty()) {
      const std::size_t end = lines.find("\r\n");
      const std::string_view line = lines.substr(0, end);
      lines.remove_prefix(end + 2);
      const std::size_t colon = line.find(':');
      std::string name(line.substr(0, colon));
      std::transform(name.begin(), name.end(), name.begin(),
                     [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
      if (name == lower_case_name) return std::string(line.substr(colon + 2));
    }
    return std::nullopt;
  }

  void note(std::size_t request) { wrong = std::min(wrong, request); }
  void last(const std::string& what, std::string wanted, std::string got) {
    failures.push_back({what, std::move(wanted), std::move(got)});
    note(run_.outcomes.size() - 1);
  }

  const test_run& run_;
};

}  // namespace

bool bound::holds(std::int64_t actual) const noexcept {
  switch (how) {
    case comparison::equal:
      return actual == value;
    case comparison::less:
      return actual < value;
    case comparison::at_most:
      return actual <= value;
    case comparison::more:
      return actual > value;
    case comparison::at_least:
      break;
  }
  return actual >= value;
}

std::string to_text(const bound& b, std::string_view suffix) {
  return fmt::format("{}{}{}", comparison_signs[static_cast<std::size_t>(b.how)], b.value, suffix);
}

test_result run_test(const std::shared_ptr<const settings>& policy, const policy_test& test) {
  test_run run(policy, test, no_request);
  run.go();
  verifier found(run);
  const expectation& expect = test.expect;
  found.count("allowed", expect.allowed, true);
  found.count("denied", expect.denied, false);
  found.refuser(expect.denied_by);
  found.shadow_refuser(expect.shadow_denied_by);
  if (expect.status) found.number("status", *expect.status, run.last_status);
  found.retry_after(expect.retry_after_s);
  for (const auto& [rule, wanted] : expect.remaining) found.remaining(rule, wanted);
  for (const auto& [name, wanted] : expect.headers) found.header(name, wanted);
  test_result result{std::move(found.failures), {}, run.outcomes.size()};
  if (found.wrong == no_request) return result;
  test_run again(policy, test, found.wrong);  // which one is worth a trace is known only now
  again.go();
  result.wrong = std::move(again.traced);
  return result;
}

}  // namespace weir::proxy::offline
