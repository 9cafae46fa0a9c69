// SPDX-License-Identifier: Apache-2.0
#include "proxy/observe/metrics.hpp"

#include <doctest/doctest.h>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

using namespace weir;
using namespace weir::proxy;
using http::method_id;

namespace {

limiter::rule make_rule(const std::string& name, std::uint32_t index, std::int64_t limit,
                        std::int64_t period_us) {
  limiter::rule rule;
  rule.name = name;
  rule.index = index;
  rule.rid = limiter::make_rule_id(name);
  rule.quota = {limiter::algorithm::token_bucket, limit, period_us, limit};
  return rule;
}

settings make_settings(const std::vector<std::string>& rule_names) {
  settings s;
  s.listeners.push_back({"public", {"0.0.0.0", 8080, {}}});
  s.upstreams.emplace_back().name = "app";
  s.routes.emplace_back().name = "users";
  std::vector<limiter::rule> rules;
  for (const std::string& name : rule_names) {
    rules.push_back(make_rule(name, static_cast<std::uint32_t>(rules.size()), 100, 60'000'000));
  }
  s.policy = limiter::policy_set(std::move(rules));
  s.hash = "0123456789ab";
  return s;
}

struct scene {
  settings current = make_settings({"burst"});
  metrics_registry registry;
  metric_shard& shard = registry.add_shard();
  scrape_inputs in;

  [[nodiscard]] std::string text() {
    in.current = &current;
    return registry.render(in);
  }
  [[nodiscard]] bool has(const std::string& line) {
    return ("\n" + text()).find("\n" + line + "\n") != std::string::npos;
  }
  [[nodiscard]] bool mentions(const std::string& part) { return text().find(part) != std::string::npos; }
};

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t n = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

}  // namespace

TEST_CASE("a rule exports all its decision values at 0 from the start") {
  scene s;
  CHECK(s.has(R"(weir_decisions_total{rule="burst",decision="allow"} 0)"));
  CHECK(s.has(R"(weir_decisions_total{rule="burst",decision="deny"} 0)"));
  CHECK(s.has(R"(weir_decisions_total{rule="burst",decision="shadow_deny"} 0)"));
  CHECK(s.has(R"(weir_decisions_total{rule="burst",decision="exempt"} 0)"));
  CHECK(s.has(R"(weir_failure_mode_decisions_total{rule="burst",mode="local"} 0)"));
  CHECK(s.has(R"(weir_degraded_admitted_total{rule="burst"} 0)"));
  CHECK(s.has(R"(weir_near_limit_total{rule="burst"} 0)"));
  CHECK(s.has(R"(weir_denial_cache_hits_total{rule="burst"} 0)"));
  CHECK(s.has(R"(weir_leased_units{rule="burst"} 0)"));
  CHECK(s.has("weir_members 1"));
}

TEST_CASE("counters of a rule are the sum over all workers") {
  scene s;
  metric_shard& other = s.registry.add_shard();
  const std::uint32_t slot = s.registry.names.rule_slot("burst");
  s.shard.rule(slot).allow.add(2);
  other.rule(slot).allow.add();
  other.rule(slot).deny.add(5);
  s.shard.rule(slot).failure_mode[static_cast<std::size_t>(limiter::failure_mode::deny)].add();
  CHECK(s.has(R"(weir_decisions_total{rule="burst",decision="allow"} 3)"));
  CHECK(s.has(R"(weir_decisions_total{rule="burst",decision="deny"} 5)"));
  CHECK(s.has(R"(weir_failure_mode_decisions_total{rule="burst",mode="deny"} 1)"));
  CHECK(s.has(R"(weir_failure_mode_decisions_total{rule="burst",mode="allow"} 0)"));
}

TEST_CASE("a rule that settles exports its units by outcome, others do not") {
  scene s;
  CHECK_FALSE(s.mentions("weir_settled_units_total"));
  std::vector<limiter::rule> rules{make_rule("burst", 0, 100, 60'000'000)};
  rules[0].count.codes = {401};
  s.current.policy = limiter::policy_set(std::move(rules));
  CHECK(s.has(R"(weir_settled_units_total{rule="burst",outcome="refund"} 0)"));
  rule_counters& counters = s.shard.rule(s.registry.names.rule_slot("burst"));
  counters.settled[rule_counters::refund].add(5);
  counters.settled[rule_counters::uncollected].add(7);
  CHECK(s.has(R"(weir_settled_units_total{rule="burst",outcome="refund"} 5)"));
  CHECK(s.has(R"(weir_settled_units_total{rule="burst",outcome="exact"} 0)"));
  CHECK(s.has(R"(weir_settled_units_total{rule="burst",outcome="extra"} 0)"));
  CHECK(s.has(R"(weir_settled_units_total{rule="burst",outcome="uncollected"} 7)"));
}

TEST_CASE("a concurrency limit tells who holds, who waits and who was refused") {
  scene s;
  CHECK_FALSE(s.mentions("weir_concurrency_"));
  limiter::rule limit = make_rule("inflight", 0, 10, 30'000'000);
  limit.slots = limiter::slot_limit{};
  s.current.concurrency = limiter::policy_set({limit});
  CHECK(s.has(R"(weir_concurrency_in_flight{name="inflight"} 0)"));
  CHECK(s.has(R"(weir_concurrency_queued{name="inflight"} 0)"));
  concurrency_counters& counters = s.shard.concurrency(s.registry.names.concurrency_slot("inflight"));
  counters.in_flight.add(3);
  s.registry.add_shard().concurrency(s.registry.names.concurrency_slot("inflight")).in_flight.add(-1);
  counters.queued.add(2);
  counters.rejected[concurrency_counters::client_gone].add();
  CHECK(s.has(R"(weir_concurrency_in_flight{name="inflight"} 2)"));
  CHECK(s.has(R"(weir_concurrency_queued{name="inflight"} 2)"));
  CHECK(s.has(R"(weir_concurrency_rejected_total{name="inflight",reason="full"} 0)"));
  CHECK(s.has(R"(weir_concurrency_rejected_total{name="inflight",reason="timeout"} 0)"));
  CHECK(s.has(R"(weir_concurrency_rejected_total{name="inflight",reason="client_gone"} 1)"));
}

TEST_CASE("the series of a removed rule vanish and come back with their counts") {
  scene s;
  s.shard.rule(s.registry.names.rule_slot("burst")).allow.add(7);
  s.current = make_settings({"other"});
  CHECK_FALSE(s.mentions("burst"));
  CHECK(s.has(R"(weir_decisions_total{rule="other",decision="allow"} 0)"));
  s.current = make_settings({"other", "burst"});
  CHECK(s.has(R"(weir_decisions_total{rule="burst",decision="allow"} 7)"));
}

TEST_CASE("weir_rule_info tells what a rule allows") {
  scene s;
  auto watched = make_rule("watched", 3, 5, 90'000'000), off = make_rule("off", 4, 5, 90'000'000);
  watched.mode = limiter::rule_mode::shadow;
  watched.unlimited = true;
  off.mode = limiter::rule_mode::disabled;
  s.current.policy =
      limiter::policy_set({make_rule("minute", 0, 100, 60'000'000), make_rule("odd", 1, 10, 1'500'000),
                           make_rule("long", 2, 5, 90'000'000), watched, off});
  CHECK(
      s.has(R"(weir_rule_info{rule="minute",algorithm="token_bucket",limit="100/minute",mode="enforce"} 1)"));
  CHECK(s.has(R"(weir_rule_info{rule="odd",algorithm="token_bucket",limit="10/1500ms",mode="enforce"} 1)"));
  CHECK(s.has(R"(weir_rule_info{rule="long",algorithm="token_bucket",limit="5/90s",mode="enforce"} 1)"));
  CHECK(
      s.has(R"(weir_rule_info{rule="watched",algorithm="token_bucket",limit="unlimited",mode="shadow"} 1)"));
  CHECK(s.has(R"(weir_rule_info{rule="off",algorithm="token_bucket",limit="5/90s",mode="disabled"} 1)"));
}

TEST_CASE("a request lands in its bucket; buckets are cumulative and agree with count and sum") {
  scene s;
  const std::uint32_t users = s.registry.names.route_slot("users");
  s.shard.request(users, method_id::get, 200, 5000);  // on the bound: le is inclusive
  s.shard.request(users, method_id::get, 200, 5001);
  s.shard.request(users, method_id::get, 200, 20'000'000);
  const std::string set = R"(http_request_method="GET",http_route="users",http_response_status_code="200")";
  const std::string name = "http_server_request_duration_seconds";
  CHECK(s.has(name + "_bucket{" + set + R"(,le="0.005"} 1)"));
  CHECK(s.has(name + "_bucket{" + set + R"(,le="0.01"} 2)"));
  CHECK(s.has(name + "_bucket{" + set + R"(,le="10"} 2)"));
  CHECK(s.has(name + "_bucket{" + set + R"(,le="+Inf"} 3)"));
  CHECK(s.has(name + "_count{" + set + "} 3"));
  CHECK(s.has(name + "_sum{" + set + "} 20.010001"));
}

TEST_CASE("requests of different label sets are kept apart, equal ones of two workers are summed") {
  scene s;
  metric_shard& other = s.registry.add_shard();
  const std::uint32_t users = s.registry.names.route_slot("users");
  const std::uint32_t none = s.registry.names.route_slot("_none");
  for (int i = 0; i < 3; ++i) {
    s.shard.request(users, method_id::get, 200, 1);
    s.shard.request(users, method_id::post, 200, 1);
    s.shard.request(none, method_id::other, 404, 1);
    other.request(users, method_id::get, 200, 1);
  }
  const auto count = [&](const std::string& method, const std::string& route, const std::string& code) {
    return "http_server_request_duration_seconds_count{http_request_method=\"" + method + "\",http_route=\"" +
           route + "\",http_response_status_code=\"" + code + "\"} ";
  };
  CHECK(s.has(count("GET", "users", "200") + "6"));
  CHECK(s.has(count("POST", "users", "200") + "3"));
  CHECK(s.has(count("_OTHER", "_none", "404") + "3"));
}

TEST_CASE("label sets beyond the bound are counted under _overflow") {
  scene s;
  s.current.metrics.max_series = 200'000;
  const std::uint32_t users = s.registry.names.route_slot("users");
  std::size_t sets = 0;
  for (int method = 0; method < 10; ++method) {
    for (int status = 0; status < 600; ++status, ++sets) {
      s.shard.request(users, static_cast<method_id>(method), status, 1);
    }
  }
  const std::size_t over = sets - metric_shard::max_label_sets;
  CHECK(s.shard.series_overflow.value() == over);
  CHECK(s.has("weir_metrics_overflow_total " + std::to_string(over)));
  CHECK(s.has(
      "http_server_request_duration_seconds_count{http_request_method=\"_overflow\",http_route=\"_overflow\","
      "http_response_status_code=\"_overflow\"} " +
      std::to_string(over)));
  s.shard.request(users, static_cast<method_id>(0), 0, 1);  // a known set is still counted as itself
  CHECK(s.shard.series_overflow.value() == over);
}

std::size_t series_in(const std::string& text) {
  return count_of("\n" + text, "\n") - count_of("\n" + text, "\n#") - 1;
}

TEST_CASE("no more series than max_series, the most used by name, and all requests counted") {
  scene s;
  s.current.metrics.max_series = 1000;
  const std::uint32_t users = s.registry.names.route_slot("users");
  for (int status = 100; status < 500; ++status) s.shard.request(users, method_id::get, status, 1);
  for (int i = 0; i < 5; ++i) s.shard.request(users, method_id::get, 499, 1);
  const std::string text = s.text();
  CHECK(series_in(text) <= 1000);
  CHECK(series_in(text) > 900);
  const std::size_t named = count_of(text, "http_server_request_duration_seconds_count{") - 1;
  CHECK(named > 10);
  CHECK(s.has("weir_metrics_overflow_total " + std::to_string(400 - named)));
  CHECK(s.mentions("http_response_status_code=\"_overflow\"} " + std::to_string(400 - named)));
  CHECK(s.mentions("http_response_status_code=\"499\"} 6"));
}

TEST_CASE("a label set that was told apart stays so, however busy the others get") {
  scene s;
  s.current.metrics.max_series = 1000;
  const std::uint32_t users = s.registry.names.route_slot("users");
  s.shard.request(users, method_id::get, 200, 1);
  CHECK(s.mentions("http_response_status_code=\"200\"} 1"));
  for (int status = 300; status < 600; ++status) {
    for (int i = 0; i < 3; ++i) s.shard.request(users, method_id::get, status, 1);
  }
  const std::string text = s.text();
  CHECK(text.find("http_response_status_code=\"200\"} 1") != std::string::npos);
  CHECK(series_in(text) <= 1000);
  CHECK(s.text() == text);
}

TEST_CASE("the overflow never goes back, whatever a reload takes away or makes room for") {
  scene s;
  s.current.metrics.max_series = 1000;
  s.current.routes.emplace_back().name = "other";
  for (const char* route : {"users", "other"}) {
    const std::uint32_t slot = s.registry.names.route_slot(route);
    for (int status = 100; status < 500; ++status) s.shard.request(slot, method_id::get, status, 1);
  }
  const auto overflow = [&s] {
    const std::string text = s.text();
    return std::stoll(text.substr(text.find("\nweir_metrics_overflow_total ") + 29));
  };
  const auto before = overflow();
  REQUIRE(before > 700);
  s.current.routes.pop_back();
  CHECK(overflow() >= before);
  s.current.metrics.max_series = 100'000;
  CHECK(overflow() >= before);
}

TEST_CASE("the build tells where it runs, as far as it is known") {
  scene s;
  s.in.build = {"1.0", "", "g++"};
  CHECK(s.has("weir_build_info{version=\"1.0\",compiler=\"g++\"} 1"));
  s.in.build.revision = "0123456789ab";
  s.in.place = {"app-7", "shop", ""};
  CHECK(
      s.has("weir_build_info{version=\"1.0\",revision=\"0123456789ab\",compiler=\"g++\",pod=\"app-7\","
            "namespace=\"shop\"} 1"));
}

TEST_CASE("ignored parts of heads are counted by reason") {
  scene s;
  s.shard.ignored[metric_shard::underscore].add(3);
  CHECK(s.has("weir_http_ignored_total{reason=\"underscore\"} 3"));
  CHECK(s.has("weir_http_ignored_total{reason=\"nomination\"} 0"));
}

TEST_CASE("slots are stable, and names beyond the table share the last one") {
  metric_names names;
  const std::uint32_t first = names.rule_slot("a");
  CHECK(names.rule_slot("b") != first);
  CHECK(names.rule_slot("a") == first);
  CHECK(names.route_slot("b") == 0);  // each kind counts for itself
  std::set<std::uint32_t> slots;
  for (int i = 0; i < 2000; ++i) slots.insert(names.rule_slot("r" + std::to_string(i)));
  CHECK(*slots.rbegin() == metric_names::max_slots - 1);
  CHECK(slots.size() == metric_names::max_slots - 2);
  CHECK(names.rule_slot("r1999") == metric_names::max_slots - 1);
}

TEST_CASE("rules beyond the table appear once, as _overflow") {
  scene s;
  for (std::size_t i = 0; i < metric_names::max_slots; ++i) {
    static_cast<void>(s.registry.names.rule_slot("old" + std::to_string(i)));
  }
  s.current = make_settings({"late", "later"});
  s.shard.rule(s.registry.names.rule_slot("late")).deny.add();
  s.shard.rule(s.registry.names.rule_slot("later")).deny.add();
  CHECK(count_of(s.text(), R"(weir_decisions_total{rule="_overflow",decision="deny"} 2)") == 1);
}

TEST_CASE("the store tells its state, durations and errors by cause") {
  scene s;
  s.in.store_up = false;
  s.shard.store_errors[static_cast<std::size_t>(limiter::errc::timeout)].add(4);
  s.shard.store_requests[metric_shard::take].observe(60, buckets_b_us);
  s.shard.store_requests[metric_shard::lease].observe(200, buckets_b_us);
  CHECK(s.has("weir_store_up 0"));
  CHECK(s.has("weir_store_degraded 1"));
  CHECK(s.has(R"(weir_store_errors_total{kind="timeout"} 4)"));
  CHECK(s.has(R"(weir_store_errors_total{kind="refused"} 0)"));
  CHECK_FALSE(s.mentions(R"(kind="ok")"));
  CHECK(s.has(R"(weir_store_request_duration_seconds_bucket{op="take",le="0.00005"} 0)"));
  CHECK(s.has(R"(weir_store_request_duration_seconds_bucket{op="take",le="0.0001"} 1)"));
  CHECK(s.has(R"(weir_store_request_duration_seconds_count{op="take"} 1)"));
  CHECK(s.has(R"(weir_store_request_duration_seconds_count{op="settle"} 0)"));
  CHECK(s.has(R"(weir_store_request_duration_seconds_count{op="lease"} 1)"));
  CHECK(s.has(R"(weir_store_request_duration_seconds_count{op="admin"} 0)"));
  CHECK_FALSE(s.mentions("weir_store_keys"));
}

TEST_CASE("the connections to Redis are summed over the workers") {
  scene s;
  limiter::redis_counters one, two;
  using limiter::add;
  add(one.idle, 1);
  add(two.idle, 2);
  add(two.busy, 1);
  add(two.closed[limiter::redis_counters::timed_out], 4);
  add(one.merged, 5);
  CHECK_FALSE(s.mentions("weir_store_pool_connections"));
  s.in.stores = {&one, &two};
  CHECK(s.has(R"(weir_store_pool_connections{state="idle"} 3)"));
  CHECK(s.has(R"(weir_store_pool_connections{state="busy"} 1)"));
  CHECK(s.has(R"(weir_store_pool_closed_total{reason="timeout"} 4)"));
  CHECK(s.has("weir_store_merged_total 5"));
}

TEST_CASE("the memory store tells its keys and evictions") {
  scene s;
  s.in.store_keys = 12;
  s.in.store_evictions = 3;
  CHECK(s.has("weir_store_keys 12"));
  CHECK(s.has(R"(weir_store_evictions_total{reason="full"} 3)"));
}

TEST_CASE("an upstream tells attempts by code, retries by reason and its pool") {
  scene s;
  upstream_counters& app = s.shard.upstream(s.registry.names.upstream_slot("app"));
  app.by_code[0].add();
  app.by_code[503].add(2);
  app.retries[upstream_counters::timeout].add(3);
  app.budget_exhausted.add(4);
  app.connections_idle.add(5);
  app.connections_busy.add(6);
  app.connections_busy.add(-1);
  app.duration.observe(1, buckets_a_us);
  app.pool_wait.observe(1, buckets_b_us);
  CHECK(s.has(R"(weir_upstream_requests_total{upstream="app",code="none"} 1)"));
  CHECK(s.has(R"(weir_upstream_requests_total{upstream="app",code="503"} 2)"));
  CHECK_FALSE(s.mentions(R"(code="502")"));
  CHECK(s.has(R"(weir_upstream_retries_total{upstream="app",reason="timeout"} 3)"));
  CHECK(s.has(R"(weir_upstream_retries_total{upstream="app",reason="connect_error"} 0)"));
  CHECK(s.has(R"(weir_upstream_retry_budget_exhausted_total{upstream="app"} 4)"));
  CHECK(s.has(R"(weir_upstream_pool_connections{upstream="app",state="idle"} 5)"));
  CHECK(s.has(R"(weir_upstream_pool_connections{upstream="app",state="busy"} 5)"));
  CHECK(s.has(R"(weir_upstream_request_duration_seconds_count{upstream="app"} 1)"));
  CHECK(s.has(R"(weir_upstream_pool_wait_seconds_count{upstream="app"} 1)"));
}

TEST_CASE("a gauge that one worker raised and another lowered is their sum") {
  scene s;
  const std::uint32_t slot = s.registry.names.upstream_slot("app");
  s.shard.upstream(slot).connections_idle.add(-2);
  s.registry.add_shard().upstream(slot).connections_idle.add(5);
  CHECK(s.has(R"(weir_upstream_pool_connections{upstream="app",state="idle"} 3)"));
}

TEST_CASE("listeners tell their connections and refusals, refused requests their status") {
  scene s;
  listener_counters& listener = s.shard.listener(s.registry.names.listener_slot("public"));
  listener.connections.add(3);
  listener.rejected[listener_counters::connection_limit].add(2);
  s.shard.rejected_by_code[431].add();
  CHECK(s.has(R"(weir_connections{listener="public"} 3)"));
  CHECK(s.has(R"(weir_connections_rejected_total{listener="public",reason="connection_limit"} 2)"));
  CHECK(s.has(R"(weir_connections_rejected_total{listener="public",reason="descriptor_limit"} 0)"));
  CHECK(s.has(R"(weir_connections_rejected_total{listener="public",reason="proxy_protocol"} 0)"));
  CHECK(s.has(R"(weir_http_rejected_total{code="431"} 1)"));
  CHECK_FALSE(s.mentions(R"(weir_http_rejected_total{code="400"})"));
}

TEST_CASE("configuration, log, admin and build are told") {
  scene s;
  s.in.reloads_rejected = 2;
  s.in.last_reload_ok = false;
  s.in.last_reload_success_s = 1'767'225'600;
  s.in.log_dropped = 9;
  s.in.draining = true;
  s.in.admin_requests_404 = 1;
  s.in.build = {"0.1.0", "", "GNU 12.2.0"};
  s.shard.overhead.observe(1'000'000, buckets_b_us);
  CHECK(s.has(R"(weir_config_reloads_total{result="rejected"} 2)"));
  CHECK(s.has(R"(weir_config_reloads_total{result="ok"} 0)"));
  CHECK(s.has("weir_config_last_reload_successful 0"));
  CHECK(s.has("weir_config_last_reload_success_timestamp_seconds 1767225600"));
  CHECK(s.has(R"(weir_config_info{hash="0123456789ab"} 1)"));
  CHECK(s.has("weir_log_dropped_total 9"));
  CHECK(s.has("weir_draining 1"));
  CHECK(s.has(R"(weir_admin_requests_total{code="404"} 1)"));
  CHECK(s.has(R"(weir_build_info{version="0.1.0",compiler="GNU 12.2.0"} 1)"));
  CHECK(s.has("weir_overhead_seconds_sum 1"));
}

TEST_CASE("a listener with TLS tells its handshakes and when its certificate ends, others do not") {
  scene s;
  s.current.listeners.push_back({"edge", {"0.0.0.0", 8443, {}}});
  s.in.certificate_expiry_s = {0, 1'767'225'600};
  listener_counters& edge = s.shard.listener(s.registry.names.listener_slot("edge"));
  edge.handshakes[listener_counters::handshake_ok].add(5);
  edge.handshakes[listener_counters::handshake_timeout].add();
  CHECK(s.has(R"(weir_tls_certificate_expiry_timestamp_seconds{listener="edge"} 1767225600)"));
  CHECK(s.has(R"(weir_tls_handshakes_total{listener="edge",result="ok"} 5)"));
  CHECK(s.has(R"(weir_tls_handshakes_total{listener="edge",result="failed"} 0)"));
  CHECK(s.has(R"(weir_tls_handshakes_total{listener="edge",result="timeout"} 1)"));
  CHECK_FALSE(s.mentions(R"(expiry_timestamp_seconds{listener="public")"));
  CHECK_FALSE(s.mentions(R"(weir_tls_handshakes_total{listener="public")"));
}

TEST_CASE("process figures appear when they were read") {
  scene s;
  CHECK_FALSE(s.mentions("process_"));
  s.in.process = {1'767'225'600.25, 1.5, 4096, 8192, 7, 1024};
  CHECK(s.has("process_start_time_seconds 1767225600.250000"));
  CHECK(s.has("process_cpu_seconds_total 1.500000"));
  CHECK(s.has("process_resident_memory_bytes 4096"));
  CHECK(s.has("process_open_fds 7"));
}

TEST_CASE("label values are escaped") {
  scene s;
  s.current.listeners[0].name = "a\"b\\c\nd";
  CHECK(s.has(R"(weir_connections{listener="a\"b\\c\nd"} 0)"));
}

TEST_CASE("every family has one HELP and one TYPE line before its samples, and no series appears twice") {
  scene s;
  s.shard.request(s.registry.names.route_slot("_none"), method_id::get, 404, 1);
  std::istringstream lines(s.text());
  std::set<std::string> families;
  std::set<std::string> series;
  std::string family;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# HELP ")) {
      family = line.substr(7, line.find(' ', 7) - 7);
      CHECK_MESSAGE(families.insert(family).second, family);
    } else if (line.starts_with("# TYPE ")) {
      CHECK(line.substr(7, family.size() + 1) == family + " ");
    } else {
      CHECK_MESSAGE(line.starts_with(family), line);
      CHECK_MESSAGE(series.insert(line.substr(0, line.rfind(' '))).second, line);
    }
  }
  CHECK(families.size() > 25);
}

TEST_CASE("a scrape may run while a worker counts") {
  scene s;
  std::thread worker([&] {
    for (std::uint32_t i = 0; i < 20'000; ++i) {
      s.shard.rule(i % 100).allow.add();
      s.shard.request(i % 50, method_id::get, 200 + static_cast<int>(i % 20), 100);
    }
  });
  std::size_t bytes = 0;
  for (int i = 0; i < 20; ++i) bytes += s.text().size();
  worker.join();
  CHECK(bytes > 0);
  CHECK(s.shard.rule(0).allow.value() == 200);
}
