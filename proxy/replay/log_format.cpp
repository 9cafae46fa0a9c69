// SPDX-License-Identifier: Apache-2.0
#include "proxy/replay/log_format.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace weir::replay {
namespace {

using enum log_field;

// The flat lines of weir.
constexpr std::array weir_fields{
    json_field{"ts", time},
    json_field{"client_ip", client},
    json_field{"method", method},
    json_field{"path", target},
    json_field{"query", query},
    json_field{"host", host},
    json_field{"route", route},
    json_field{"user_hash", user},
    json_field{"status", status},
    json_field{"decision", decision},
    json_field{"rule", rule},
    json_field{"reason", reason},
    json_field{"exempt", exempt},
    json_field{"duration_ms", milliseconds},
    json_field{"bytes_in", bytes_in},
    json_field{"bytes_out", bytes_out},
    json_field{"headers", header_object},
};

// The others have what weir adds to them under `weir`.
constexpr std::array extra_fields{
    json_field{"weir.decision", decision}, json_field{"weir.rule", rule},
    json_field{"weir.reason", reason},     json_field{"weir.exempt", exempt},
    json_field{"weir.route", route},       json_field{"weir.query", query},
    json_field{"weir.user_hash", user},    json_field{"weir.headers", header_object},
};

constexpr std::array ecs_fields{
    json_field{"@timestamp", time},
    json_field{"client.ip", client},
    json_field{"source.ip", peer},
    json_field{"http.request.method", method},
    json_field{"url.path", target},
    json_field{"url.query", query},
    json_field{"url.domain", host},
    json_field{"http.response.status_code", status},
    json_field{"http.request.bytes", bytes_in},
    json_field{"http.response.bytes", bytes_out},
    json_field{"http.request.body.bytes", bytes_in},
    json_field{"http.response.body.bytes", bytes_out},
    json_field{"event.duration", nanoseconds},
    json_field{"user_agent.original", header, "user-agent"},
    json_field{"http.request.referrer", header, "referer"},
    json_field{"http.request.headers", header_object},
};

constexpr std::array envoy_fields{
    json_field{"start_time", start_time},
    json_field{"x_forwarded_for", forwarded_for},
    json_field{"downstream_remote_address", peer},
    json_field{"method", method},
    json_field{"path", target},
    json_field{"authority", host},
    json_field{"response_code", status},
    json_field{"bytes_received", bytes_in},
    json_field{"bytes_sent", bytes_out},
    json_field{"duration", milliseconds},
    json_field{"response_flags", response_flags},
    json_field{"route_name", route},
    json_field{"user_agent", header, "user-agent"},
    json_field{"headers", header_object},
};

constexpr std::array caddy_fields{
    json_field{"ts", time},
    json_field{"request.client_ip", client},
    json_field{"request.remote_ip", peer},
    json_field{"request.method", method},
    json_field{"request.uri", target},
    json_field{"request.host", host},
    json_field{"request.headers", header_object},
    json_field{"status", status},
    json_field{"bytes_read", bytes_in},
    json_field{"size", bytes_out},
    json_field{"duration", seconds},
};

constexpr std::string_view combined_format =
    "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \"$http_referer\" "
    "\"$http_user_agent\"";
constexpr std::string_view clf_format =
    "$client_ip - $user_hash [$start_time] \"$request\" $status $body_bytes_sent \"$http_referer\" "
    "\"$http_user_agent\" \"$decision\" \"$rule\" $duration_ms \"$request_id\"";

// In the order in which they are tried: the more a line must hold, the earlier.
constexpr std::array<std::string_view, 6> format_names{"weir", "ecs", "envoy", "caddy", "clf", "combined"};

constexpr std::size_t detection_lines = 64;
constexpr std::size_t learned_lines = 4096;

std::shared_ptr<const json_fields> json_of(std::string_view name) {
  if (name == "weir") return std::make_shared<const json_fields>(weir_fields, std::span<const json_field>{});
  if (name == "ecs") return std::make_shared<const json_fields>(ecs_fields, extra_fields);
  if (name == "envoy") return std::make_shared<const json_fields>(envoy_fields, extra_fields);
  if (name == "caddy") return std::make_shared<const json_fields>(caddy_fields, extra_fields);
  return nullptr;
}

log_contents contents_of_json(std::string_view name) {
  log_contents c;
  c.host = c.status = c.duration = c.bytes_in = c.bytes_out = true;
  c.route = c.user = c.decision = c.listed = c.by_policy = name == "weir";
  if (name == "ecs") c.headers = {"user-agent", "referer"};
  if (name == "envoy") c.headers = {"user-agent"}, c.route = true;
  c.every_header = name == "caddy";
  return c;
}

log_contents contents_of_text(const text_format& text, std::string_view name) {
  log_contents c;
  c.host = text.has(log_field::host);
  c.status = text.has(log_field::status);
  c.query = text.has(log_field::query) || text.has(log_field::request) || text.has(log_field::target);
  c.duration = text.has(log_field::seconds) || text.has(log_field::milliseconds);
  c.bytes_in = text.has(log_field::bytes_in);
  c.bytes_out = text.has(log_field::bytes_out);
  c.route = text.has(log_field::route);
  c.user = text.has(log_field::user);
  c.decision = text.has(log_field::decision);
  c.headers = text.headers();
  c.by_policy = name == "clf";
  return c;
}

/// The line by which weir tells how many it had to drop.
bool is_notice(std::string_view line) noexcept {
  return line.find("access log lines dropped") != std::string_view::npos;
}

}  // namespace

std::optional<log_format> log_format::named(std::string_view name) {
  if (name == "nginx") name = "combined";
  if (name == "json") name = "weir";
  log_format format;
  format.name_ = name;
  format.json_ = json_of(name);
  if (format.json_) {
    format.contents_ = contents_of_json(name);
    return format;
  }
  if (name != "clf" && name != "combined") return std::nullopt;
  std::string problem;
  format.text_ = text_format::compile(name == "clf" ? clf_format : combined_format, problem);
  format.contents_ = contents_of_text(*format.text_, name);
  return format;
}

std::optional<log_format> log_format::of_string(std::string_view text, std::string& problem) {
  log_format format;
  format.name_ = "of your own";
  format.text_ = text_format::compile(text, problem);
  if (!format.text_) return std::nullopt;
  format.contents_ = contents_of_text(*format.text_, {});
  return format;
}

/// Reads a copy of the first lines: reading writes into its line.
template <class Take>
void log_format::for_each_request(std::string_view text, std::size_t lines_max, Take take) const {
  std::string sample(text);
  char* at = sample.data();
  char* const end = at + sample.size();
  for (std::size_t lines = 0; lines < lines_max && at < end; ++lines) {
    char* const line_end = std::find(at, end, '\n');
    logged_request request;
    line_problem problem;
    if (read({at, line_end}, request, problem) == line_kind::request) take(request);
    at = line_end == end ? end : line_end + 1;
  }
}

std::optional<log_format> log_format::detect(std::string_view text) {
  std::optional<log_format> best;
  std::size_t most = 0;
  for (const std::string_view name : format_names) {
    log_format format = *named(name);
    std::size_t understood = 0;
    format.for_each_request(text, detection_lines, [&](const logged_request&) { ++understood; });
    if (understood > most) {
      most = understood;
      best = std::move(format);
    }
  }
  return best;
}

void log_format::learn(std::string_view text) {
  if (json_) for_each_request(text, learned_lines, [this](const logged_request& r) { learn_from(r); });
}

void log_format::learn_from(const logged_request& r) {
  if (r.decision != logged_decision::unknown) {  // weir writes this format, too
    contents_.by_policy = contents_.user = contents_.route = contents_.decision = contents_.listed = true;
    contents_.every_header = false;
  }
  auto& known = contents_.headers;
  for (const logged_header& h : r.headers) {
    if (known.size() < max_logged_headers && std::find(known.begin(), known.end(), h.name) == known.end())
      known.emplace_back(h.name);
  }
}

std::span<const std::string_view> log_format::names() noexcept {
  return format_names;
}

line_kind log_format::read(std::span<char> line, logged_request& out, line_problem& problem) const {
  if (!line.empty() && line.back() == '\r') line = line.first(line.size() - 1);
  if (line.empty() || line.front() == '#') return line_kind::no_request;
  out = {};
  problem = json_ ? read_json_line(line, *json_, out) : text_->read(line, out);
  if (problem.what == nullptr && out.decision == logged_decision::rejected) return line_kind::no_request;
  if (problem.what == nullptr) problem.what = finish_request(out);
  if (problem.what == nullptr) return line_kind::request;
  return is_notice({line.data(), line.size()}) ? line_kind::no_request : line_kind::bad;
}

}  // namespace weir::replay
