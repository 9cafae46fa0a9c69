// SPDX-License-Identifier: Apache-2.0
// Every metric is listed once, in the render_* functions below: name, type, help, labels.
#include "proxy/observe/metrics.hpp"

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <map>
#include <numeric>
#include <tuple>
#include <utility>

namespace weir::proxy {
namespace {

constexpr std::string_view overflow_name = "_overflow";

/// A label value by slot; only what is exported.
struct slot_name {
  std::uint32_t slot;
  std::string name;
};

using label = std::pair<std::string_view, std::string_view>;
using labels = std::initializer_list<label>;

/// Microseconds as seconds without trailing zeros: 250 -> "0.00025", 1000000 -> "1".
void append_seconds(std::string& out, std::uint64_t us) {
  out += std::to_string(us / 1'000'000);
  std::string fraction = std::to_string(1'000'000 + us % 1'000'000);
  fraction.erase(fraction.find_last_not_of('0') + 1);
  if (fraction.size() <= 1) return;
  fraction[0] = '.';
  out += fraction;
}

std::string seconds_text(std::int64_t us) {
  std::string text;
  append_seconds(text, static_cast<std::uint64_t>(us));
  return text;
}

/// Writes the text format. A family's HELP and TYPE lines appear with its first sample, so none is ever
/// empty.
class exposition {
 public:
  void family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    type_ = type;
    help_ = help;
    started_ = false;
  }

  /// Series written so far.
  [[nodiscard]] std::size_t series() const noexcept { return series_; }

  void sample(labels with, std::uint64_t value) {
    line("", with);
    out_ += std::to_string(value);
    out_ += '\n';
  }

  void sample(labels with, std::int64_t value) {
    line("", with);
    out_ += std::to_string(value);
    out_ += '\n';
  }

  void sample(labels with, bool value) { sample(with, std::uint64_t{value}); }

  void sample(labels with, double value) {
    std::array<char, 400> text;  // the longest double in fixed notation
    const auto end =
        std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed, 6).ptr;
    line("", with);
    out_.append(text.data(), end);
    out_ += '\n';
  }

  template <std::size_t N>
  void histogram_sample(labels with, const totals<N>& sum, const std::array<std::int64_t, N>& bounds) {
    std::uint64_t below = 0;
    for (std::size_t i = 0; i <= N; ++i) {
      below += sum.buckets[i];
      const std::string bound = i < N ? seconds_text(bounds[i]) : "+Inf";
      line("_bucket", with, label{"le", bound});
      out_ += std::to_string(below);
      out_ += '\n';
    }
    line("_sum", with);
    append_seconds(out_, sum.sum_us);
    out_ += '\n';
    line("_count", with);
    out_ += std::to_string(below);
    out_ += '\n';
  }

  [[nodiscard]] std::string take() { return std::move(out_); }

 private:
  void line(std::string_view suffix, labels with, label last = {}) {
    if (!started_) header();
    ++series_;
    out_ += name_;
    out_ += suffix;
    char before = '{';
    for (const label& l : with) {
      if (!l.second.empty()) append_label(l, std::exchange(before, ','));
    }
    if (!last.first.empty()) append_label(last, std::exchange(before, ','));
    out_ += before == '{' ? " " : "} ";
  }

  void header() {
    started_ = true;
    out_.append("# HELP ").append(name_).append(" ").append(help_).append("\n");
    out_.append("# TYPE ").append(name_).append(" ").append(type_).append("\n");
  }

  void append_label(const label& l, char before) {
    out_ += before;
    out_.append(l.first).append("=\"");
    for (const char c : l.second) {
      if (c == '\\' || c == '"') out_ += '\\';
      if (c == '\n') {
        out_ += "\\n";
      } else {
        out_ += c;
      }
    }
    out_ += '"';
  }

  std::string out_;
  std::string_view name_, type_, help_;
  std::size_t series_ = 0;
  bool started_ = false;
};

std::string_view algorithm_name(limiter::algorithm a) noexcept {
  switch (a) {
    case limiter::algorithm::token_bucket:
      return "token_bucket";
    case limiter::algorithm::fixed_window:
      return "fixed_window";
    case limiter::algorithm::sliding_window_counter:
      return "sliding_window_counter";
    case limiter::algorithm::sliding_window_log:
      return "sliding_window_log";
    case limiter::algorithm::concurrency:
      break;
  }
  return "concurrency";
}

std::string_view mode_name(limiter::rule_mode mode) noexcept {
  static constexpr std::array<std::string_view, 3> names{"enforce", "shadow", "disabled"};
  return names[static_cast<std::size_t>(mode)];
}

/// As in a policy file: "100/minute", "10/1500ms".
std::string limit_text(const limiter::quota& quota) {
  constexpr std::int64_t second = 1'000'000;
  if (quota.algorithm == limiter::algorithm::concurrency) return std::to_string(quota.limit);  // slots
  std::string text = std::to_string(quota.limit) + "/";
  if (quota.calendar == limiter::calendar_unit::month) return text + "month";
  if (quota.period_us == second) return text + "second";
  if (quota.period_us == 60 * second) return text + "minute";
  if (quota.period_us == 3600 * second) return text + "hour";
  if (quota.period_us == 86400 * second) return text + "day";
  if (quota.period_us % second == 0) return text + std::to_string(quota.period_us / second) + "s";
  if (quota.period_us % 1000 == 0) return text + std::to_string(quota.period_us / 1000) + "ms";
  return text + std::to_string(quota.period_us) + "us";
}

std::uint32_t slot_of(std::vector<std::string>& names, std::string_view name) {
  const auto found = std::find(names.begin(), names.end(), name);
  const auto slot = static_cast<std::uint32_t>(found - names.begin());
  if (found != names.end()) return slot;
  if (names.size() >= metric_names::max_slots - 1) return metric_names::max_slots - 1;
  names.emplace_back(name);
  return slot;
}

/// Adds a name to what is exported; names beyond the table share one entry.
void export_name(std::vector<slot_name>& exported, std::uint32_t slot, std::string_view name) {
  const bool overflow = slot == metric_names::max_slots - 1;
  if (overflow && !exported.empty() && exported.back().slot == slot) return;
  exported.push_back({slot, std::string(overflow ? overflow_name : name)});
}

using shard_list = std::vector<const metric_shard*>;

template <class Read>
std::uint64_t sum_over(const shard_list& shards, Read read) {
  std::uint64_t sum = 0;
  for (const metric_shard* shard : shards) sum += read(*shard).value();
  return sum;
}

template <std::size_t N, class Read>
totals<N> totals_over(const shard_list& shards, Read read) {
  totals<N> sum;
  for (const metric_shard* shard : shards) sum.add(read(*shard));
  return sum;
}

/// One kind of slot (rules, upstreams or listeners): sums a counter, gauge or histogram of it over the
/// shards.
template <class Counters>
class slot_totals {
 public:
  using finder = const Counters* (*)(const metric_shard&, std::uint32_t);
  slot_totals(const shard_list& shards, finder find) : shards_(shards), find_(find) {}

  template <class Read>
  [[nodiscard]] auto sum(std::uint32_t slot, Read read) const {
    decltype(read(std::declval<const Counters&>()).value()) total = 0;
    each(slot, [&](const Counters& c) { total += read(c).value(); });
    return total;
  }
  template <std::size_t N, class Read>
  [[nodiscard]] totals<N> histogram_sum(std::uint32_t slot, Read read) const {
    totals<N> total;
    each(slot, [&](const Counters& c) { total.add(read(c)); });
    return total;
  }

 private:
  template <class Use>
  void each(std::uint32_t slot, Use use) const {
    for (const metric_shard* shard : shards_) {
      if (const Counters* counters = find_(*shard, slot)) use(*counters);
    }
  }

  const shard_list& shards_;
  finder find_;
};

using rule_totals = slot_totals<rule_counters>;
using upstream_totals = slot_totals<upstream_counters>;
using concurrency_totals = slot_totals<concurrency_counters>;
using list_totals = slot_totals<list_counters>;
using listener_totals = slot_totals<listener_counters>;
using names_list = std::vector<slot_name>;

// ---- Requests ----

constexpr std::size_t series_per_label_set = buckets_a_us.size() + 3;  // +Inf, sum and count
/// Kept free for what the other metrics may still add: statuses that were not seen yet.
constexpr std::size_t series_in_reserve = 64;

/// `routes` tells which of them exist.
std::map<request_labels, request_totals> sum_requests(const shard_list& shards, const names_list& routes) {
  std::map<request_labels, request_totals> sums;
  for (const metric_shard* shard : shards) {
    for (std::size_t at = 0; at < metric_shard::series_table::size(); ++at) {
      const request_series* series = shard->requests().find(at);
      if (series == nullptr) continue;
      const auto route = std::find_if(routes.begin(), routes.end(),
                                      [&](const slot_name& r) { return r.slot == series->route_slot; });
      if (route == routes.end()) continue;
      sums[{route->name, http::method_label(series->method), series->status}].add(series->duration);
    }
  }
  return sums;
}

/// Label sets that fit, besides `_overflow`.
std::size_t room_for_label_sets(std::size_t max_series, std::size_t written) noexcept {
  const std::size_t taken = written + series_in_reserve + series_per_label_set;
  return taken < max_series ? (max_series - taken) / series_per_label_set : 0;
}

/// The last of all: they take the room that the others leave.
void render_requests(exposition& to, const shard_list& shards, const names_list& routes,
                     std::size_t max_series, series_budget& budget, folded_series& folded) {
  const auto sums = sum_requests(shards, routes);
  std::map<request_labels, std::uint64_t> wanted;
  for (const auto& [set, sum] : sums) wanted.emplace(set, sum.count());
  const auto& admitted = budget.admit(wanted, room_for_label_sets(max_series, to.series()));
  for (const auto& [set, sum] : sums) {
    if (!admitted.contains(set)) folded.insert_or_assign(set, sum);
  }
  request_totals overflow;
  for (const metric_shard* shard : shards) overflow.add(shard->overflow_series.duration);
  for (const auto& [set, sum] : folded) overflow.add(sum);
  to.family("http_server_request_duration_seconds", "histogram", "Duration of requests.");
  const auto sample = [&](std::string_view route, std::string_view method, std::string_view code,
                          const auto& sum) {
    to.histogram_sample(
        {{"http_request_method", method}, {"http_route", route}, {"http_response_status_code", code}}, sum,
        buckets_a_us);
  };
  for (const auto& [set, sum] : sums) {
    if (!admitted.contains(set)) continue;
    sample(std::get<0>(set), std::get<1>(set), std::to_string(std::get<2>(set)), sum);
  }
  if (overflow.count() > 0) sample(overflow_name, overflow_name, overflow_name, overflow);
  to.family("weir_metrics_overflow_total", "counter",
            "Requests counted under _overflow: too many label sets.");
  to.sample({}, overflow.count());
}

// ---- Rules ----

void render_rules(exposition& to, const rule_totals& sums, const names_list& rules) {
  to.family("weir_decisions_total", "counter", "Decisions of each rule.");
  for (const auto& [slot, name] : rules) {
    const auto decided = [&, rule_slot = slot](std::string_view decision, counter rule_counters::*which) {
      to.sample({{"rule", name}, {"decision", decision}},
                sums.sum(
                    rule_slot, [which](auto& c) -> auto& { return c.*which; }));
    };
    decided("allow", &rule_counters::allow);
    decided("deny", &rule_counters::deny);
    decided("shadow_deny", &rule_counters::shadow_deny);
    decided("exempt", &rule_counters::exempt);
  }
  to.family("weir_near_limit_total", "counter", "Allowed requests that left a rule with at least 80 % used.");
  for (const auto& [slot, name] : rules) {
    to.sample({{"rule", name}}, sums.sum(
                                    slot, [](auto& c) -> auto& { return c.near_limit; }));
  }
  to.family("weir_denial_cache_hits_total", "counter", "Denials that needed no call to the store.");
  for (const auto& [slot, name] : rules) {
    to.sample({{"rule", name}}, sums.sum(
                                    slot, [](auto& c) -> auto& { return c.denial_cache_hits; }));
  }
  to.family("weir_leased_units", "gauge", "Units taken from the store in advance and not used yet.");
  for (const auto& [slot, name] : rules) {
    to.sample({{"rule", name}}, sums.sum(
                                    slot, [](auto& c) -> auto& { return c.leased_units; }));
  }
  to.family("weir_failure_mode_decisions_total", "counter",
            "Decisions made by failure_mode because the store gave no answer.");
  for (const auto& [slot, name] : rules) {
    const auto by_mode = [&, rule_slot = slot](limiter::failure_mode mode) {
      return sums.sum(
          rule_slot, [mode](auto& c) -> auto& { return c.failure_mode[static_cast<std::size_t>(mode)]; });
    };
    to.sample({{"rule", name}, {"mode", "allow"}}, by_mode(limiter::failure_mode::allow));
    to.sample({{"rule", name}, {"mode", "deny"}}, by_mode(limiter::failure_mode::deny));
    to.sample({{"rule", name}, {"mode", "local"}}, by_mode(limiter::failure_mode::local));
  }
  to.family("weir_degraded_admitted_total", "counter", "Requests admitted while the store gave no answer.");
  for (const auto& [slot, name] : rules) {
    to.sample({{"rule", name}}, sums.sum(
                                    slot, [](auto& c) -> auto& { return c.degraded_admitted; }));
  }
}

constexpr std::array<std::string_view, rule_counters::settled_outcome_count> settled_names{
    "refund", "exact", "extra", "uncollected"};

/// Only of rules whose cost depends on the response.
void render_settled(exposition& to, const rule_totals& sums, const names_list& rules) {
  to.family("weir_settled_units_total", "counter",
            "Units by what the response made of the reserve; uncollected: used, but none were left to take.");
  for (const auto& [slot, name] : rules) {
    for (std::size_t i = 0; i < settled_names.size(); ++i) {
      to.sample({{"rule", name}, {"outcome", settled_names[i]}},
                sums.sum(
                    slot, [i](auto& c) -> auto& { return c.settled[i]; }));
    }
  }
}

void render_rule_info(exposition& to, const limiter::policy_set& policy) {
  to.family("weir_rule_info", "gauge", "What each rule allows; always 1.");
  for (const limiter::rule& rule : policy.rules()) {
    to.sample({{"rule", rule.name},
               {"algorithm", algorithm_name(rule.quota.algorithm)},
               {"limit", rule.unlimited ? "unlimited" : limit_text(rule.quota)},
               {"mode", mode_name(rule.mode)}},
              true);
  }
}

// ---- Concurrency ----

constexpr std::array<std::string_view, concurrency_counters::reject_reason_count> queue_reason_names{
    "full", "timeout", "client_gone"};

void render_concurrency(exposition& to, const concurrency_totals& sums, const names_list& limits) {
  to.family("weir_concurrency_in_flight", "gauge", "Requests of this process that hold a slot.");
  for (const auto& [slot, name] : limits) {
    to.sample({{"name", name}}, sums.sum(
                                    slot, [](auto& c) -> auto& { return c.in_flight; }));
  }
  to.family("weir_concurrency_queued", "gauge", "Requests of this process that wait for a slot.");
  for (const auto& [slot, name] : limits) {
    to.sample({{"name", name}}, sums.sum(
                                    slot, [](auto& c) -> auto& { return c.queued; }));
  }
  to.family("weir_concurrency_rejected_total", "counter", "Requests that got no slot.");
  for (const auto& [slot, name] : limits) {
    for (std::size_t i = 0; i < queue_reason_names.size(); ++i) {
      to.sample({{"name", name}, {"reason", queue_reason_names[i]}},
                sums.sum(
                    slot, [i](auto& c) -> auto& { return c.rejected[i]; }));
    }
  }
}

// ---- Lists ----

/// Items may share a reason.
names_list reasons_of(const std::vector<listed_requests>& list, metric_names& names) {
  names_list reasons;
  for (const listed_requests& item : list) {
    const std::uint32_t slot = names.list_slot(item.reason);
    const bool known = std::any_of(reasons.begin(), reasons.end(),
                                   [slot](const slot_name& other) { return other.slot == slot; });
    if (!known) export_name(reasons, slot, item.reason);
  }
  return reasons;
}

void render_lists(exposition& to, const list_totals& sums, const names_list& block,
                  const names_list& exempt) {
  to.family("weir_blocked_total", "counter", "Requests that `block` refused.");
  for (const auto& [slot, reason] : block) {
    to.sample({{"reason", reason}}, sums.sum(
                                        slot, [](auto& c) -> auto& { return c.blocked; }));
  }
  to.family("weir_exempt_total", "counter", "Requests that `exempt` kept from being counted.");
  for (const auto& [slot, reason] : exempt) {
    to.sample({{"reason", reason}}, sums.sum(
                                        slot, [](auto& c) -> auto& { return c.exempt; }));
  }
}

// ---- Store ----

constexpr std::array<std::string_view, metric_shard::store_operation_count> store_operation_names{
    "take", "settle", "lease", "admin"};

constexpr std::array<std::string_view, limiter::redis_counters::close_reason_count> close_reason_names{
    "lost", "timeout", "recycled", "replaced", "refused", "shutdown"};

/// What the connections to Redis do.
void render_store_pool(exposition& to, const std::vector<const limiter::redis_counters*>& stores) {
  const auto sum = [&stores](auto read) {
    auto total = read(*stores.front()).load(std::memory_order_relaxed);
    for (std::size_t i = 1; i < stores.size(); ++i) total += read(*stores[i]).load(std::memory_order_relaxed);
    return total;
  };
  using counters = limiter::redis_counters;
  const auto single = [&](std::string_view name, std::string_view type, std::string_view help, auto read) {
    to.family(name, type, help);
    to.sample({}, sum(read));
  };
  to.family("weir_store_pool_connections", "gauge", "Connections to the store.");
  to.sample({{"state", "idle"}}, sum([](const counters& c) -> auto& { return c.idle; }));
  to.sample({{"state", "busy"}}, sum([](const counters& c) -> auto& { return c.busy; }));
  single(
      "weir_store_pool_waiting", "gauge", "Decisions that have not left for the store yet.",
      [](const counters& c) -> auto& { return c.waiting; });
  single(
      "weir_store_pool_created_total", "counter", "Connections to the store that were dialled.",
      [](const counters& c) -> auto& { return c.created; });
  single(
      "weir_store_pool_connects_total", "counter", "Connections to the store that became usable.",
      [](const counters& c) -> auto& { return c.connects; });
  to.family("weir_store_pool_closed_total", "counter", "Connections to the store that ended, by cause.");
  for (std::size_t i = 0; i < close_reason_names.size(); ++i) {
    to.sample({{"reason", close_reason_names[i]}},
              sum([i](const counters& c) -> auto& { return c.closed[i]; }));
  }
  single(
      "weir_store_pool_leaked_total", "counter", "Calls held for a second or more beyond their deadline.",
      [](const counters& c) -> auto& { return c.leaked; });
  single(
      "weir_store_commands_total", "counter",
      "Commands sent to the store; decisions of one moment share one.",
      [](const counters& c) -> auto& { return c.commands; });
  single(
      "weir_store_batches_total", "counter", "Writes that the commands left in.",
      [](const counters& c) -> auto& { return c.batches; });
  single(
      "weir_store_merged_total", "counter", "Decisions that left in the command of an equal one.",
      [](const counters& c) -> auto& { return c.merged; });
  single(
      "weir_store_packed_total", "counter", "Decisions that left in one command with different ones.",
      [](const counters& c) -> auto& { return c.packed; });
  single(
      "weir_store_redirects_total", "counter", "Redirections of a cluster that were followed.",
      [](const counters& c) -> auto& { return c.redirects; });
  single(
      "weir_store_retries_total", "counter", "Commands sent again to a server that was not ready.",
      [](const counters& c) -> auto& { return c.retries; });
  single(
      "weir_store_refunds_total", "counter", "Charges given back because another server denied.",
      [](const counters& c) -> auto& { return c.refunds; });
  single(
      "weir_store_topology_changes_total", "counter", "New masters and new maps of slots.",
      [](const counters& c) -> auto& { return c.topology_changes; });
  single(
      "weir_store_breaker_opened_total", "counter", "Times a server was left alone for its failures.",
      [](const counters& c) -> auto& { return c.breaker_opened; });
}

void render_store(exposition& to, const shard_list& shards, const scrape_inputs& in) {
  to.family("weir_store_up", "gauge", "1 while the store answers.");
  to.sample({}, in.store_up);
  to.family("weir_store_degraded", "gauge", "1 while rules decide by their failure_mode.");
  to.sample({}, !in.store_up);
  to.family("weir_members", "gauge", "Processes that share the limits.");
  to.sample({}, in.members);
  to.family("weir_store_request_duration_seconds", "histogram", "Duration of requests to the store.");
  for (std::size_t i = 0; i < store_operation_names.size(); ++i) {
    to.histogram_sample({{"op", store_operation_names[i]}},
                        totals_over<buckets_b_us.size()>(
                            shards, [i](auto& s) -> auto& { return s.store_requests[i]; }),
                        buckets_b_us);
  }
  to.family("weir_store_errors_total", "counter", "Store requests without an answer, by cause.");
  for (std::size_t i = 1; i < limiter::errc_count; ++i) {
    to.sample({{"kind", limiter::to_string(static_cast<limiter::errc>(i))}},
              sum_over(
                  shards, [i](auto& s) -> auto& { return s.store_errors[i]; }));
  }
  if (!in.stores.empty()) render_store_pool(to, in.stores);
  if (in.store_keys < 0) return;
  to.family("weir_store_keys", "gauge", "Keys in the memory store.");
  to.sample({}, in.store_keys);
  to.family("weir_store_evictions_total", "counter",
            "Keys the memory store gave up before they were full again.");
  to.sample({{"reason", "full"}}, in.store_evictions);
}

// ---- Upstreams ----

constexpr std::array<std::string_view, upstream_counters::retry_reason_count> retry_reason_names{
    "connect_error", "reset", "timeout", "status"};

void render_upstream_attempts(exposition& to, const upstream_totals& sums, const names_list& upstreams) {
  to.family("weir_upstream_requests_total", "counter",
            "Attempts at an upstream by status; code none = no response came.");
  for (const auto& [slot, name] : upstreams) {
    for (std::size_t code = 0; code < status_codes; ++code) {
      const std::uint64_t n = sums.sum(
          slot, [code](auto& c) -> auto& { return c.by_code[code]; });
      if (n == 0) continue;
      to.sample({{"upstream", name}, {"code", code == 0 ? "none" : std::to_string(code)}}, n);
    }
  }
  to.family("weir_upstream_request_duration_seconds", "histogram", "Duration of attempts at an upstream.");
  for (const auto& [slot, name] : upstreams) {
    to.histogram_sample({{"upstream", name}},
                        sums.histogram_sum<buckets_a_us.size()>(
                            slot, [](auto& c) -> auto& { return c.duration; }),
                        buckets_a_us);
  }
  to.family("weir_upstream_retries_total", "counter", "Retries by what the attempt before ended with.");
  for (const auto& [slot, name] : upstreams) {
    for (std::size_t i = 0; i < retry_reason_names.size(); ++i) {
      to.sample({{"upstream", name}, {"reason", retry_reason_names[i]}},
                sums.sum(
                    slot, [i](auto& c) -> auto& { return c.retries[i]; }));
    }
  }
  to.family("weir_upstream_retry_budget_exhausted_total", "counter",
            "Retries that the retry budget refused.");
  for (const auto& [slot, name] : upstreams) {
    to.sample({{"upstream", name}}, sums.sum(
                                        slot, [](auto& c) -> auto& { return c.budget_exhausted; }));
  }
}

void render_upstream_pools(exposition& to, const upstream_totals& sums, const names_list& upstreams) {
  to.family("weir_upstream_pool_connections", "gauge", "Connections to an upstream.");
  for (const auto& [slot, name] : upstreams) {
    to.sample({{"upstream", name}, {"state", "idle"}},
              sums.sum(
                  slot, [](auto& c) -> auto& { return c.connections_idle; }));
    to.sample({{"upstream", name}, {"state", "busy"}},
              sums.sum(
                  slot, [](auto& c) -> auto& { return c.connections_busy; }));
  }
  const auto each = [&](std::string_view family, std::string_view type, std::string_view help, auto read) {
    to.family(family, type, help);
    for (const auto& [slot, name] : upstreams) to.sample({{"upstream", name}}, sums.sum(slot, read));
  };
  each(
      "weir_upstream_pool_waiting", "gauge", "Requests that wait for a connection to an upstream.",
      [](auto& c) -> auto& { return c.waiting; });
  each(
      "weir_upstream_pool_created_total", "counter", "Connections to an upstream that were dialled.",
      [](auto& c) -> auto& { return c.created; });
  each(
      "weir_upstream_pool_reused_total", "counter", "Requests that left on a connection used before.",
      [](auto& c) -> auto& { return c.reused; });
  each(
      "weir_upstream_pool_leaked_total", "counter", "Connections found held long after the deadline.",
      [](auto& c) -> auto& { return c.leaked; });
  to.family("weir_upstream_pool_closed_total", "counter", "Connections to an upstream that ended, by cause.");
  for (const auto& [slot, name] : upstreams) {
    for (std::size_t i = 0; i < upstream_close_names.size(); ++i) {
      to.sample({{"upstream", name}, {"reason", upstream_close_names[i]}},
                sums.sum(
                    slot, [i](auto& c) -> auto& { return c.closed[i]; }));
    }
  }
  to.family("weir_upstream_pool_wait_seconds", "histogram",
            "Time until a connection to an upstream was ready.");
  for (const auto& [slot, name] : upstreams) {
    to.histogram_sample({{"upstream", name}},
                        sums.histogram_sum<buckets_b_us.size()>(
                            slot, [](auto& c) -> auto& { return c.pool_wait; }),
                        buckets_b_us);
  }
}

void render_upstream_health(exposition& to, const upstream_totals& sums, const names_list& upstreams,
                            const settings& current) {
  to.family("weir_upstream_endpoint_up", "gauge", "1 while every worker uses the endpoint.");
  for (std::size_t u = 0; u < upstreams.size(); ++u) {
    const auto& endpoints = current.upstreams[u].endpoints;
    for (std::size_t e = 0; e < endpoints.size(); ++e) {
      const auto out = sums.sum(
          upstreams[u].slot, [e](auto& c) -> auto& { return c.endpoints_out[e]; });
      to.sample({{"upstream", upstreams[u].name}, {"endpoint", endpoints[e].address.text()}}, out == 0);
    }
  }
  to.family("weir_upstream_ejections_total", "counter",
            "Times a worker stopped to use an endpoint, by what it met there.");
  for (const auto& [slot, name] : upstreams) {
    for (std::size_t i = 0; i < eject_reason_names.size(); ++i) {
      to.sample({{"upstream", name}, {"reason", eject_reason_names[i]}},
                sums.sum(
                    slot, [i](auto& c) -> auto& { return c.ejections[i]; }));
    }
  }
}

// ---- Connections ----

constexpr std::array<std::string_view, listener_counters::reject_reason_count> reject_reason_names{
    "connection_limit", "address_limit", "descriptor_limit", "memory_limit", "proxy_protocol"};
constexpr std::array<std::string_view, listener_counters::handshake_result_count> handshake_names{
    "ok", "failed", "timeout"};

/// Only of listeners that have TLS.
void render_tls(exposition& to, const scrape_inputs& in, const listener_totals& sums,
                const names_list& listeners) {
  to.family("weir_tls_certificate_expiry_timestamp_seconds", "gauge",
            "When the first certificate of a listener ends.");
  for (std::size_t i = 0; i < listeners.size() && i < in.certificate_expiry_s.size(); ++i) {
    if (in.certificate_expiry_s[i] > 0)
      to.sample({{"listener", listeners[i].name}}, in.certificate_expiry_s[i]);
  }
  to.family("weir_tls_handshakes_total", "counter", "TLS handshakes of clients.");
  for (std::size_t i = 0; i < listeners.size() && i < in.certificate_expiry_s.size(); ++i) {
    if (in.certificate_expiry_s[i] == 0) continue;
    for (std::size_t r = 0; r < handshake_names.size(); ++r) {
      to.sample({{"listener", listeners[i].name}, {"result", handshake_names[r]}},
                sums.sum(
                    listeners[i].slot, [r](auto& c) -> auto& { return c.handshakes[r]; }));
    }
  }
}

constexpr std::array<std::string_view, metric_shard::ignored_part_count> ignored_names{"underscore",
                                                                                       "nomination"};

void render_connections(exposition& to, const shard_list& shards, const listener_totals& sums,
                        const names_list& listeners) {
  to.family("weir_connections", "gauge", "Open client connections.");
  for (const auto& [slot, name] : listeners) {
    to.sample({{"listener", name}}, sums.sum(
                                        slot, [](auto& c) -> auto& { return c.connections; }));
  }
  to.family("weir_connections_rejected_total", "counter", "Client connections closed at once.");
  for (const auto& [slot, name] : listeners) {
    for (std::size_t i = 0; i < reject_reason_names.size(); ++i) {
      to.sample({{"listener", name}, {"reason", reject_reason_names[i]}},
                sums.sum(
                    slot, [i](auto& c) -> auto& { return c.rejected[i]; }));
    }
  }
  to.family("weir_http_ignored_total", "counter",
            "Parts of request heads that were ignored: names with _, nominations of protected fields.");
  for (std::size_t i = 0; i < ignored_names.size(); ++i) {
    to.sample({{"reason", ignored_names[i]}}, sum_over(
                                                  shards, [i](auto& s) -> auto& { return s.ignored[i]; }));
  }
  to.family("weir_http_rejected_total", "counter", "Requests refused before a decision, by status.");
  for (std::size_t code = 0; code < status_codes; ++code) {
    const std::uint64_t n = sum_over(
        shards, [code](auto& s) -> auto& { return s.rejected_by_code[code]; });
    if (n > 0) to.sample({{"code", std::to_string(code)}}, n);
  }
}

// ---- The process ----

void render_config(exposition& to, const scrape_inputs& in) {
  to.family("weir_config_reloads_total", "counter", "Reloads by result.");
  to.sample({{"result", "ok"}}, in.reloads_ok);
  to.sample({{"result", "rejected"}}, in.reloads_rejected);
  to.sample({{"result", "unchanged"}}, in.reloads_unchanged);
  to.family("weir_config_last_reload_successful", "gauge", "1 when the last load or reload was accepted.");
  to.sample({}, in.last_reload_ok);
  to.family("weir_config_last_reload_success_timestamp_seconds", "gauge",
            "When a policy file was last accepted.");
  to.sample({}, in.last_reload_success_s);
  to.family("weir_config_info", "gauge", "Hash of the policy file in use; always 1.");
  to.sample({{"hash", in.current->hash}}, true);
}

void render_self(exposition& to, const scrape_inputs& in) {
  to.family("weir_log_dropped_total", "counter", "Access log lines that were lost.");
  to.sample({}, in.log_dropped);
  to.family("weir_admin_requests_total", "counter", "Answers of the admin port.");
  to.sample({{"code", "200"}}, in.admin_requests_200);
  to.sample({{"code", "404"}}, in.admin_requests_404);
  to.sample({{"code", "503"}}, in.admin_requests_503);
  to.sample({{"code", "other"}}, in.admin_requests_other);
  to.family("weir_draining", "gauge", "1 between the stop signal and the exit.");
  to.sample({}, in.draining);
  to.family("weir_build_info", "gauge", "What is running; always 1.");
  to.sample({{"version", in.build.version},
             {"revision", in.build.revision},
             {"compiler", in.build.compiler},
             {"pod", in.place.pod},
             {"namespace", in.place.pod_namespace},
             {"node", in.place.node}},
            true);
}

void render_process(exposition& to, const process_stats& stats) {
  if (stats.start_time_s == 0) return;
  to.family("process_cpu_seconds_total", "counter", "CPU time of this process.");
  to.sample({}, stats.cpu_s);
  to.family("process_resident_memory_bytes", "gauge", "Resident memory.");
  to.sample({}, stats.resident_bytes);
  to.family("process_virtual_memory_bytes", "gauge", "Virtual memory.");
  to.sample({}, stats.virtual_bytes);
  to.family("process_open_fds", "gauge", "Open file descriptors.");
  to.sample({}, stats.open_fds);
  to.family("process_max_fds", "gauge", "Limit of open file descriptors.");
  to.sample({}, stats.max_fds);
  to.family("process_start_time_seconds", "gauge", "Start of this process since the Unix epoch.");
  to.sample({}, stats.start_time_s);
}

}  // namespace

// ---- Names ----

std::uint32_t metric_names::rule_slot(std::string_view name) {
  const std::scoped_lock lock(mutex_);
  return slot_of(rules_, name);
}

std::uint32_t metric_names::route_slot(std::string_view name) {
  const std::scoped_lock lock(mutex_);
  return slot_of(routes_, name);
}

std::uint32_t metric_names::upstream_slot(std::string_view name) {
  const std::scoped_lock lock(mutex_);
  return slot_of(upstreams_, name);
}

std::uint32_t metric_names::listener_slot(std::string_view name) {
  const std::scoped_lock lock(mutex_);
  return slot_of(listeners_, name);
}

std::uint32_t metric_names::concurrency_slot(std::string_view name) {
  const std::scoped_lock lock(mutex_);
  return slot_of(concurrency_, name);
}

std::uint32_t metric_names::list_slot(std::string_view reason) {
  const std::scoped_lock lock(mutex_);
  return slot_of(lists_, reason);
}

// ---- Shard ----

request_series& metric_shard::find_series(std::uint32_t key, std::uint32_t route_slot, http::method_id method,
                                          int status) {
  constexpr std::uint32_t golden_ratio = 0x9e3779b1u;
  static_assert(series_table::size() == 8192, "the hash takes the upper 13 bits");
  std::size_t at = (key * golden_ratio) >> 19;
  while (const request_series* found = series_.find(at)) {
    if (series_key(found->route_slot, found->method, found->status) == key) return series_[at];
    at = (at + 1) % series_table::size();
  }
  if (series_size_ == max_label_sets) return overflow_series;
  ++series_size_;
  auto series = std::make_unique<request_series>();
  series->route_slot = route_slot;
  series->method = method;
  series->status = status;
  return series_.put(at, std::move(series));
}

// ---- Which label sets ----

const std::set<request_labels>& series_budget::admit(const std::map<request_labels, std::uint64_t>& wanted,
                                                     std::size_t room) {
  std::erase_if(admitted_, [&](const request_labels& set) { return !wanted.contains(set); });
  std::vector<const std::pair<const request_labels, std::uint64_t>*> fresh;
  for (const auto& candidate : wanted) {
    if (!admitted_.contains(candidate.first)) fresh.push_back(&candidate);
  }
  std::stable_sort(fresh.begin(), fresh.end(), [](auto* a, auto* b) { return a->second > b->second; });
  for (const auto* candidate : fresh) {
    if (admitted_.size() >= room) break;
    admitted_.insert(candidate->first);
  }
  return admitted_;
}

// ---- Registry ----

metric_shard& metrics_registry::add_shard() {
  const std::scoped_lock lock(mutex_);
  return *shards_.emplace_back(std::make_unique<metric_shard>());
}

std::string metrics_registry::render(const scrape_inputs& in) {
  const std::scoped_lock one_at_a_time(render_mutex_);
  const shard_list shards = snapshot();
  exposition to;
  names_list routes{{names.route_slot("_none"), "_none"}};
  for (const route_settings& route : in.current->routes) {
    export_name(routes, names.route_slot(route.name), route.name);
  }
  to.family("weir_overhead_seconds", "histogram", "Time of a request that was not spent upstream.");
  to.histogram_sample({},
                      totals_over<buckets_b_us.size()>(
                          shards, [](auto& s) -> auto& { return s.overhead; }),
                      buckets_b_us);

  names_list rules;
  for (const limiter::rule& rule : in.current->policy.rules())
    export_name(rules, names.rule_slot(rule.name), rule.name);
  render_rules(to, {shards, [](auto& s, auto slot) { return s.find_rule(slot); }}, rules);
  names_list settling;
  for (const limiter::rule& rule : in.current->policy.rules()) {
    if (rule.settles()) export_name(settling, names.rule_slot(rule.name), rule.name);
  }
  render_settled(to, {shards, [](auto& s, auto slot) { return s.find_rule(slot); }}, settling);
  render_rule_info(to, in.current->policy);
  names_list limits;
  for (const limiter::rule& limit : in.current->concurrency.rules())
    export_name(limits, names.concurrency_slot(limit.name), limit.name);
  render_concurrency(to, {shards, [](auto& s, auto slot) { return s.find_concurrency(slot); }}, limits);
  render_lists(to, {shards, [](auto& s, auto slot) { return s.find_list(slot); }},
               reasons_of(in.current->block, names), reasons_of(in.current->exempt, names));
  render_store(to, shards, in);

  names_list upstreams;
  for (const upstream_settings& upstream : in.current->upstreams) {
    export_name(upstreams, names.upstream_slot(upstream.name), upstream.name);
  }
  const upstream_totals of_upstreams{shards, [](auto& s, auto slot) { return s.find_upstream(slot); }};
  render_upstream_attempts(to, of_upstreams, upstreams);
  render_upstream_pools(to, of_upstreams, upstreams);
  render_upstream_health(to, of_upstreams, upstreams, *in.current);

  names_list listeners;
  for (const listener_settings& listener : in.current->listeners) {
    export_name(listeners, names.listener_slot(listener.name), listener.name);
  }
  const listener_totals of_listeners{shards, [](auto& s, auto slot) { return s.find_listener(slot); }};
  render_connections(to, shards, of_listeners, listeners);
  render_tls(to, in, of_listeners, listeners);
  render_config(to, in);
  render_self(to, in);
  render_process(to, in.process);
  render_requests(to, shards, routes, in.current->metrics.max_series, budget_, folded_);
  return to.take();
}

std::vector<const metric_shard*> metrics_registry::snapshot() {
  const std::scoped_lock lock(mutex_);
  shard_list shards;
  for (const auto& shard : shards_) shards.push_back(shard.get());
  return shards;
}

}  // namespace weir::proxy
