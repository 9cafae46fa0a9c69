// SPDX-License-Identifier: Apache-2.0
#include "proxy/observe/access_record.hpp"
#include "tests/unit/proxy_core/record_support.hpp"

#include <array>
#include <boost/json.hpp>
#include <doctest/doctest.h>
#include <limits>
#include <string>

using namespace weir::proxy;
namespace json = boost::json;

namespace {

constexpr std::array<std::string_view, 1> shadow{"trial"};
constexpr std::array<logged_field, 2> fields{{{"user-agent", "curl \"8\""}, {"x-secret", "[redacted]"}}};

access_record denied() {
  access_record r;
  r.time_us = 1'767'225'600'123'000;
  r.request_id = "id-1";
  r.trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";
  r.span_id = "00f067aa0ba902b7";
  r.client_ip = "2001:db8::1";
  r.peer_ip = "10.0.0.1";
  r.user_hash = "f00d";
  r.method = "GET";
  r.path = "/v1/users/1";
  r.query = "a=\"b\"";
  r.host = "api.example";
  r.proto = "HTTP/1.1";
  r.listener = "public";
  r.headers = fields;
  r.route = "users";
  r.upstream = "app";
  r.upstream_addr = "127.0.0.1:9000";
  r.status = 429;
  r.decision = record_decision::deny;
  r.rule = "per-user";
  r.key_hash = "0123456789abcdef";
  r.reason = "over_limit";
  r.exempt = "probes";
  r.shadow = shadow;
  r.limit = 100;
  r.remaining = 0;
  r.retry_after_us = 1500;
  r.duration_us = 2'345'678;
  r.upstream_us = 2'000'000;
  r.limiter_us = 7;
  r.queue_us = 4321;
  r.attempts = 2;
  r.bytes_in = 3;
  r.bytes_out = 154;
  r.pod = "app-7";
  r.pod_namespace = "shop";
  r.node = "n1";
  return r;
}

const log_format& named(std::string_view name) {
  for (const log_format& format : log_formats()) {
    if (format.name == name) return format;
  }
  FAIL("no such format");
  return default_log_format();
}

std::string line_of(std::string_view format, const access_record& r) {
  const std::string_view line = named(format).line(r);
  REQUIRE(line.find('\n') == line.size() - 1);
  return std::string(line);
}

json::object object_of(std::string_view format, const access_record& r) {
  return json::parse(line_of(format, r)).as_object();
}

/// `a.b.c` in nested objects, as JSON text; "" when absent.
std::string at(const json::object& object, std::string_view path) {
  const json::object* level = &object;
  for (;;) {
    const auto dot = path.find('.');
    const auto* found = level->if_contains(path.substr(0, dot));
    if (found == nullptr) return "";
    if (dot == std::string_view::npos) return json::serialize(*found);
    level = &found->as_object();
    path.remove_prefix(dot + 1);
  }
}

std::string quoted(std::string_view text) {
  return json::serialize(json::value(text));
}

}  // namespace

TEST_CASE("json is the default and has every member flat") {
  CHECK(&default_log_format() == &named("json"));
  const auto o = object_of("json", denied());
  CHECK(at(o, "trace_id") == quoted("4bf92f3577b34da6a3ce929d0e0e4736"));
  CHECK(at(o, "span_id") == quoted("00f067aa0ba902b7"));
  CHECK(at(o, "key_hash") == quoted("0123456789abcdef"));
  CHECK(at(o, "headers.user-agent") == quoted("curl \"8\""));
  CHECK(at(o, "headers.x-secret") == quoted("[redacted]"));
  CHECK(at(o, "shadow") == "[\"trial\"]");
  CHECK(at(o, "pod") == quoted("app-7"));
  CHECK(at(o, "namespace") == quoted("shop"));
  CHECK(at(o, "node") == quoted("n1"));
}

TEST_CASE("ecs has its columns, nested, and the rest under weir") {
  const auto o = object_of("ecs", denied());
  CHECK(at(o, "@timestamp") == quoted("2026-01-01T00:00:00.123Z"));
  CHECK(at(o, "client.ip") == quoted("2001:db8::1"));
  CHECK(at(o, "http.request.method") == quoted("GET"));
  CHECK(at(o, "http.request.bytes") == "3");
  CHECK(at(o, "http.request.id") == quoted("id-1"));
  CHECK(at(o, "http.response.status_code") == "429");
  CHECK(at(o, "http.response.bytes") == "154");
  CHECK(at(o, "http.version") == quoted("1.1"));
  CHECK(at(o, "url.path") == quoted("/v1/users/1"));
  CHECK(at(o, "url.query") == quoted("a=\"b\""));
  CHECK(at(o, "url.domain") == quoted("api.example"));
  CHECK(at(o, "event.duration") == "2345678000");
  CHECK(at(o, "event.outcome") == quoted("failure"));
  CHECK(at(o, "event.reason") == quoted("over_limit"));
  CHECK(at(o, "rule.name") == quoted("per-user"));
  CHECK(at(o, "trace.id") == quoted("4bf92f3577b34da6a3ce929d0e0e4736"));
  CHECK(at(o, "span.id") == quoted("00f067aa0ba902b7"));
  CHECK(at(o, "weir.decision") == quoted("deny"));
  CHECK(at(o, "weir.key_hash") == quoted("0123456789abcdef"));
  CHECK(at(o, "weir.route") == quoted("users"));
  CHECK(at(o, "weir.peer_ip") == quoted("10.0.0.1"));
  CHECK(at(o, "weir.queue_ms") == "4.321E0");
  CHECK(at(o, "weir.rule").empty());  // has a column
}

TEST_CASE("envoy has its columns and the rest under weir") {
  const auto o = object_of("envoy", denied());
  CHECK(at(o, "start_time") == quoted("2025-12-31T23:59:57.777Z"));
  CHECK(at(o, "x_forwarded_for") == quoted("2001:db8::1"));
  CHECK(at(o, "method") == quoted("GET"));
  CHECK(at(o, "path") == quoted("/v1/users/1?a=\"b\""));
  CHECK(at(o, "protocol") == quoted("HTTP/1.1"));
  CHECK(at(o, "authority") == quoted("api.example"));
  CHECK(at(o, "response_code") == "429");
  CHECK(at(o, "bytes_received") == "3");
  CHECK(at(o, "bytes_sent") == "154");
  CHECK(at(o, "duration") == "2345");
  CHECK(at(o, "upstream_service_time") == "2000");
  CHECK(at(o, "response_flags") == quoted("RL"));
  CHECK(at(o, "route_name") == quoted("users"));
  CHECK(at(o, "upstream_cluster") == quoted("app"));
  CHECK(at(o, "upstream_host") == quoted("127.0.0.1:9000"));
  CHECK(at(o, "request_id") == quoted("id-1"));
  CHECK(at(o, "weir.rule") == quoted("per-user"));
  CHECK(at(o, "weir.trace_id") == quoted("4bf92f3577b34da6a3ce929d0e0e4736"));
  CHECK(at(o, "weir.upstream").empty());
}

TEST_CASE("envoy's flags tell what became of a request") {
  const auto flags = [](int status, std::string_view reason, record_decision decision) {
    access_record r;
    r.status = status;
    r.reason = reason;
    r.decision = decision;
    return at(object_of("envoy", r), "response_flags");
  };
  CHECK(flags(429, "over_limit", record_decision::deny) == quoted("RL"));
  CHECK(flags(499, "client_gone", record_decision::allow) == quoted("DC"));
  CHECK(flags(504, "upstream_first_byte_timeout", record_decision::allow) == quoted("UT"));
  CHECK(flags(502, "upstream_reset", record_decision::allow) == quoted("UF"));
  CHECK(flags(503, "upstream_pool_full", record_decision::allow) == quoted("UO"));
  CHECK(flags(404, "no_route", record_decision::allow) == quoted("NR"));
  CHECK(flags(503, "", record_decision::allow).empty());
}

TEST_CASE("caddy nests the request, counts seconds, and lists field values") {
  const auto o = object_of("caddy", denied());
  CHECK(line_of("caddy", denied()).find("\"ts\":1767225600.123000,") != std::string::npos);
  CHECK(line_of("caddy", denied()).find("\"duration\":2.345678,") != std::string::npos);
  CHECK(at(o, "request.remote_ip") == quoted("10.0.0.1"));
  CHECK(at(o, "request.client_ip") == quoted("2001:db8::1"));
  CHECK(at(o, "request.proto") == quoted("HTTP/1.1"));
  CHECK(at(o, "request.method") == quoted("GET"));
  CHECK(at(o, "request.host") == quoted("api.example"));
  CHECK(at(o, "request.uri") == quoted("/v1/users/1?a=\"b\""));
  CHECK(at(o, "request.headers.user-agent") == "[\"curl \\\"8\\\"\"]");
  CHECK(at(o, "bytes_read") == "3");
  CHECK(at(o, "size") == "154");
  CHECK(at(o, "status") == "429");
  CHECK(at(o, "weir.decision") == quoted("deny"));
  CHECK(at(o, "weir.request_id") == quoted("id-1"));
  CHECK(at(o, "weir.upstream") == quoted("app"));
}

TEST_CASE("clf is the Combined Log Format with four more columns") {
  access_record r = denied();
  r.query = "a=\"b\"\\\x01";
  CHECK(
      line_of("clf", r) ==
      "2001:db8::1 - f00d [31/Dec/2025:23:59:57 +0000] \"GET /v1/users/1?a=\\x22b\\x22\\x5c\\x01 HTTP/1.1\" "
      "429 154 \"-\" \"curl \\x228\\x22\" \"deny\" \"per-user\" 2345.678 \"id-1\"\n");
  access_record nothing;
  nothing.status = 400;
  nothing.decision = record_decision::rejected;
  CHECK(line_of("clf", nothing) ==
        "- - - [01/Jan/1970:00:00:00 +0000] \"- - -\" 400 0 \"-\" \"-\" \"rejected\" \"-\" 0.000 \"-\"\n");
}

TEST_CASE("clf asks for the two fields it has columns for") {
  CHECK(named("clf").headers.size() == 2);
  CHECK(named("json").headers.empty());
}

TEST_CASE("no preset loses the decision, and absent values are left out") {
  for (const log_format& format : log_formats()) {
    CAPTURE(format.name);
    access_record r;
    r.status = 400;
    r.decision = record_decision::rejected;
    const std::string line = line_of(format.name, r);
    CHECK(line.find("rejected") != std::string::npos);
    CHECK(line.find("null") == std::string::npos);
    CHECK(line.find(":\"\"") == (format.name == "caddy" ? line.find(":\"\"") : std::string::npos));
    if (format.name != "clf") CHECK(json::parse(line).is_object());
  }
}

TEST_CASE("the longest record fits in every format, on one line, and says that it was cut") {
  const std::string longest(3000, '\x01');
  std::array<logged_field, 64> many;
  many.fill({std::string_view(longest).substr(0, 64), longest});
  std::array<std::string_view, 256> rules;
  rules.fill(std::string_view(longest).substr(0, 64));
  access_record r = denied();
  const std::string longest_plain(plain_text::longest, 'p');
  test::set_texts(r, longest, longest_plain);
  r.headers = many;
  r.shadow = rules;
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
  r.limit = r.remaining = r.retry_after_us = r.upstream_us = r.limiter_us = r.queue_us = most;
  r.duration_us = most / 1000;
  r.bytes_in = std::numeric_limits<std::uint64_t>::max();
  r.bytes_out = most;
  r.attempts = r.status = std::numeric_limits<int>::min();
  for (const log_format& format : log_formats()) {
    CAPTURE(format.name);
    const std::string line = line_of(format.name, r);
    if (format.name == "clf") continue;
    const auto o = json::parse(line).as_object();
    CHECK(at(o, format.name == "json" ? "truncated" : "weir.truncated") == "true");
  }
}
