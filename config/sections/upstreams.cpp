// SPDX-License-Identifier: Apache-2.0
#include "config/addresses.hpp"
#include "config/sections/sections.hpp"
#include "config/sections/tls.hpp"

#include <algorithm>
#include <array>

namespace weir::config {
namespace {

using namespace std::chrono_literals;
using proxy::health_check_settings;
using proxy::outlier_settings;
using proxy::pool_settings;
using proxy::retry_settings;
using proxy::upstream_settings;

std::optional<proxy::endpoint_settings> read_endpoint_url(const node& n, context& ctx) {
  return read_unit(n, ctx, "E0210", parse_endpoint_url);
}

// ---- endpoints ----

const table<proxy::endpoint_settings>& endpoint_table() {
  using s = proxy::endpoint_settings;
  static const table<s> all{"an endpoint",
                            {
                                row("url", required,
                                    value_type<s>{"url", "`http[s]://HOST[:PORT]` or `unix:PATH`",
                                                  [](s& out, const node& n, context& ctx) {
                                                    auto endpoint = read_endpoint_url(n, ctx);
                                                    if (!endpoint) return;
                                                    out.address = std::move(endpoint->address);
                                                    out.authority = std::move(endpoint->authority);
                                                    out.tls = endpoint->tls;
                                                  }}),
                                row("weight", "1", integer(&s::weight, 1, 100), "its share of the requests"),
                            }};
  return all;
}

void read_single_url(upstream_draft& out, const node& n, context& ctx) {
  out.has_url = true;
  if (auto endpoint = read_endpoint_url(n, ctx)) out.value.endpoints.push_back(std::move(*endpoint));
}

void read_endpoints(upstream_draft& out, const node& n, context& ctx) {
  out.has_endpoints = true;
  read_list(n, ctx, 1, 100, single::refused, [&](const node& item) {
    proxy::endpoint_settings endpoint;
    if (read_map(item, endpoint_table(), endpoint, ctx, "an endpoint"))
      out.value.endpoints.push_back(std::move(endpoint));
  });
}

// ---- retry ----

constexpr std::array<std::string_view, 3> outcome_words{"connect_error", "reset_before_headers", "timeout"};

void read_outcome(retry_settings& out, const node& item, context& ctx) {
  const auto text = read_text(item, ctx);
  if (!text) return;
  if (const auto status = parse_integer(*text); status.value) {
    if (*status.value < 500 || *status.value > 599) {
      ctx.report.error("E0204", item.at, fmt::format("{} is never retried", shown(item)),
                       {"a status from 500 to 599", ""});
    } else if (std::find(out.on_status.begin(), out.on_status.end(), *status.value) == out.on_status.end()) {
      out.on_status.push_back(static_cast<int>(*status.value));
    }
    return;
  }
  const std::array flags{&retry_settings::on_connect_error, &retry_settings::on_reset_before_headers,
                         &retry_settings::on_timeout};
  if (const auto index = read_word(item, ctx, outcome_words)) out.*flags[*index] = true;
}

void read_when(retry_settings& out, const node& n, context& ctx) {
  out.on_connect_error = out.on_reset_before_headers = out.on_timeout = false;
  out.on_status.clear();
  read_list(n, ctx, 0, 32, single::accepted, [&](const node& item) { read_outcome(out, item, ctx); });
}

void read_retry_methods(retry_settings& out, const node& n, context& ctx) {
  out.methods.clear();
  read_list(n, ctx, 0, 16, single::accepted, [&](const node& item) {
    const auto method = read_method(item, ctx);
    if (!method) return;
    if (*method == "POST" || *method == "PATCH") {
      ctx.report.error(
          "E0309", item.at, fmt::format("{} must not be sent twice", *method),
          {"remove it", "a request of any method is tried again as long as no byte of it was written"});
      return;
    }
    out.methods.push_back(*method);
  });
}

const table<retry_settings>& backoff_table() {
  using s = retry_settings;
  static const table<s> all{
      "`retry.backoff`",
      {
          row("base", "25ms", duration(&s::backoff_base, 1ms, 1min),
              "before the first retry; doubles each time"),
          row("max", "250ms", duration(&s::backoff_max, 1ms, 1h), "never longer"),
          row("jitter", "full", word(&s::jitter_full, choices_of<bool>{{"full", true}, {"none", false}}),
              "full = a random part of the backoff"),
      }};
  return all;
}

const table<retry_settings>& retry_table() {
  using s = retry_settings;
  static const table<s> all{
      "`retry`",
      {
          row("attempts", "2", integer(&s::attempts, 0, 10), "beyond the first"),
          row("when", "[connect_error, reset_before_headers, 502, 503]",
              value_type<s>{"list", "`connect_error` `reset_before_headers` `timeout` 500–599", read_when}),
          row("methods", "[GET, HEAD, OPTIONS, PUT, DELETE]",
              value_type<s>{"method or list", "not POST, not PATCH", read_retry_methods},
              "others only while no byte was written"),
          group<s, s>(
              "backoff", [](s& out) -> s& { return out; }, backoff_table),
          row("budget", "20%", percent(&s::budget_percent), "retries per requests of the last 10s"),
          row("budget_min", "3", integer(&s::budget_min, 0, 1000),
              "retries at a time that are always allowed"),
          row("honor_retry_after", "true", boolean(&s::honor_retry_after),
              "no retry to an endpoint before its Retry-After"),
          row("body_buffer", "64KiB", size(&s::body_buffer, 0, 16 * 1024 * 1024),
              "requests with larger bodies are not retried"),
      }};
  return all;
}

// ---- pool, timeout, resolve ----

const table<pool_settings>& pool_table() {
  using s = pool_settings;
  static const table<s> all{
      "`pool`",
      {
          row("size", "64", integer(&s::size, 1, 10000), "connections kept, per worker and endpoint"),
          row("overflow", "960", integer(&s::overflow, 0, 100'000), "further ones, closed after use"),
          row("max_pending", "1024", integer(&s::max_pending, 0, 1'000'000),
              "requests waiting for one; beyond: 503 `upstream_overloaded`"),
          row("acquire_timeout", "100ms", duration(&s::acquire_timeout, 1ms, 1h), "longest wait for one"),
          row("idle_timeout", "4s", duration(&s::idle_timeout, 100ms, 1h),
              "shorter than the upstream's keep-alive"),
          row("recycle", "5m", duration(&s::recycle, 1s, 24h), "greatest age ± 10 %, or 10,000 requests"),
      }};
  return all;
}

const table<upstream_settings>& timeout_table() {
  using s = upstream_settings;
  static const table<s> all{
      "`timeout`",
      {
          row("connect", "250ms", duration(&s::timeout_connect, 1ms, 1h), "per try"),
          row("first_byte", "5s", duration(&s::timeout_first_byte, 1ms, 1h), "per try"),
          row("body_idle", "10s", duration(&s::timeout_body_idle, 1ms, 1h),
              "between two reads of the response body"),
          row("total", "15s", duration(&s::timeout_total, 1ms, 1h), "over all tries, else 504"),
      }};
  return all;
}

const table<upstream_settings>& resolve_table() {
  using s = upstream_settings;
  static const table<s> all{
      "`resolve`",
      {
          row("interval", "10s", duration(&s::resolve_interval, 100ms, 1h), "between two look-ups of a name"),
          row("timeout", "2s", duration(&s::resolve_timeout, 10ms, 1min), "then the last addresses stay"),
      }};
  return all;
}

// ---- tls ----

const table<proxy::upstream_tls_settings>& tls_table() {
  using s = proxy::upstream_tls_settings;
  static const table<s> all = [] {
    table<s> t{"`tls`", client_tls_rows<s>()};
    t.rows.push_back(row("verify", "true", boolean(&s::verify), "`false` = whoever answers is believed"));
    return t;
  }();
  return all;
}

/// Also notes where it is written: it means nothing without https://.
key_row<upstream_draft> tls_row() {
  auto row = group<upstream_draft, proxy::upstream_tls_settings>(
      "tls", [](upstream_draft & out) -> auto& { return out.value.tls; }, tls_table);
  row.value.read = [read = std::move(row.value.read)](upstream_draft& out, const node& n, context& ctx) {
    out.tls_at = n.at;
    read(out, n, ctx);
  };
  return row;
}

// ---- outlier, health_check ----

const table<outlier_settings>& outlier_table() {
  using s = outlier_settings;
  static const table<s> all{
      "`outlier`",
      {
          row("consecutive_failures", "5", integer(&s::consecutive_failures, 1, 1000),
              "connect errors, resets, timeouts, 502, 503 or 504 in a row"),
          row("failure_ratio", "50%", percent(&s::failure_ratio), "of the last 10s; 0% = off"),
          row("min_requests", "20", integer(&s::min_requests, 1, 1'000'000),
              "in these 10s, before the ratio counts"),
          row("ejection", "5s", duration(&s::ejection, 100ms, 1h),
              "doubles each time; then one request tries the endpoint"),
          row("max_ejection", "5m", duration(&s::max_ejection, 100ms, 24h), "never longer"),
          row("max_ejected", "50%", percent(&s::max_ejected),
              "of the endpoints, rounded down, and never the last one; 0% = off"),
          row("deweight_429", "true", boolean(&s::deweight_429),
              "an endpoint that answers 429 or 503 gets a tenth of its traffic until its Retry-After"),
      }};
  return all;
}

void read_check_path(health_check_settings& out, const node& n, context& ctx) {
  const auto text = read_text(n, ctx);
  if (!text) return;
  const bool plain =
      std::all_of(text->begin(), text->end(), [](char c) { return c > 0x20 && c < 0x7f && c != '#'; });
  if (text->starts_with('/') && text->size() <= 1024 && plain) {
    out.path = *text;
  } else {
    ctx.report.error("E0213", n.at, fmt::format("{} is no path to ask for", shown(n)),
                     {"like `/healthz`, up to 1024 printable characters", ""});
  }
}

void read_expected(health_check_settings& out, const node& n, context& ctx) {
  out.expect = {};
  read_list(n, ctx, 1, 64, single::accepted, [&](const node& item) { read_status(out.expect, item, ctx); });
}

const table<health_check_settings>& health_check_table() {
  using s = health_check_settings;
  static const table<s> all{
      "`health_check`",
      {
          row("path", required, value_type<s>{"path", "up to 1024 bytes", read_check_path},
              "asked for with GET, on connections of its own"),
          row("interval", "5s", duration(&s::interval, 100ms, 1h), "± 20 %"),
          row("timeout", "1s", duration(&s::timeout, 10ms, 1min), "from the connect to the response head"),
          row("unhealthy_after", "2", integer(&s::unhealthy_after, 1, 100), "bad checks in a row"),
          row("healthy_after", "2", integer(&s::healthy_after, 1, 100), "good checks in a row"),
          row("expect", "[2xx, 3xx]",
              value_type<s>{"code, class like `4xx`, or list", "100–599", read_expected},
              "what a good check answers"),
      }};
  return all;
}

// ---- one upstream ----

value_type<upstream_draft> in_value(value_type<upstream_settings> inner) {
  return {inner.type, inner.range,
          [read = std::move(inner.read)](upstream_draft& out, const node& n, context& ctx) {
            read(out.value, n, ctx);
          }};
}

table<upstream_draft> make_upstream_table() {
  using d = upstream_draft;
  using s = upstream_settings;
  using proxy::balance_method;
  const auto value = [](d& out) -> s& { return out.value; };
  auto endpoints =
      row("endpoints", "", value_type<d>{"list of maps", "1–100", read_endpoints}, "instead of `url`");
  endpoints.below = [](const std::string& path, std::vector<key_doc>& out) {
    describe(endpoint_table(), path + "[]", out);
  };
  return {
      "an upstream",
      {
          row("url", "", value_type<d>{"url", "`http[s]://HOST[:PORT]` or `unix:PATH`", read_single_url},
              "exactly one of `url` and `endpoints`"),
          std::move(endpoints),
          row("balance", "random_two",
              in_value(word(&s::balance,
                            choices_of<balance_method>{{"random_two", balance_method::random_two},
                                                       {"round_robin", balance_method::round_robin},
                                                       {"least_requests", balance_method::least_requests},
                                                       {"client_hash", balance_method::client_hash}})),
              "client_hash: a client address group stays at its endpoint"),
          row("host", "preserve",
              in_value(word(&s::preserve_host, choices_of<bool>{{"preserve", true}, {"endpoint", false}})),
              "the Host sent upstream: the client's or the endpoint's"),
          tls_row(),
          group<d, s>("resolve", value, resolve_table),
          group<d, s>("timeout", value, timeout_table),
          group<d, retry_settings>(
              "retry", [](d & out) -> auto& { return out.value.retry; }, retry_table),
          group<d, pool_settings>(
              "pool", [](d & out) -> auto& { return out.value.pool; }, pool_table),
          group<d, outlier_settings>(
              "outlier", [](d & out) -> auto& { return out.value.outlier; }, outlier_table),
          group<d, health_check_settings>(
              "health_check", [](d & out) -> auto& { return out.value.health_check; }, health_check_table),
      }};
}

const table<upstream_draft>& upstream_table() {
  static const auto all = make_upstream_table();
  return all;
}

void read_upstreams(file_draft& out, const node& n, context& ctx) {
  constexpr std::size_t most = 256;
  out.upstreams_at = n.at;
  if (n.kind != node_kind::map || n.entries.size() > most) {
    ctx.report.error("E0301", n.at, fmt::format("`upstreams` must be a map of at most {} names", most),
                     {"", "such as `upstreams: {web: {url: \"http://127.0.0.1:3000\"}}`"});
    return;
  }
  for (const auto& e : n.entries) {
    const reporter::scope scope{ctx.report, e.key};
    if (!is_name(e.key)) {
      ctx.report.error("E0211", e.at, fmt::format("{} is no name", in_ticks(e.key)),
                       {"a name is a lower-case letter, then up to 63 of a-z 0-9 -", ""});
    }
    upstream_draft d;
    d.value.name = e.key;
    d.name_at = e.at;
    d.at = e.value.at;
    read_map(e.value, upstream_table(), d, ctx, fmt::format("upstream {}", in_ticks(e.key)));
    out.upstreams.push_back(std::move(d));
  }
}

}  // namespace

std::vector<key_row<file_draft>> upstream_rows() {
  auto upstreams = row("upstreams", required, value_type<file_draft>{"map of names", "1–256", read_upstreams},
                       "where requests go");
  upstreams.below = [](const std::string& path, std::vector<key_doc>& out) {
    describe(upstream_table(), path + ".NAME", out);
  };
  return {std::move(upstreams)};
}

}  // namespace weir::config
