// SPDX-License-Identifier: Apache-2.0
#include "proxy/offline/shown_fields.hpp"

#include "proxy/decide/own_response.hpp"
#include "proxy/http/rate_limit_merge.hpp"
#include "proxy/http/rewrite.hpp"

namespace weir::proxy::offline {

namespace {

constexpr std::int64_t us_per_s = 1'000'000;
constexpr std::string_view unknown_id = "00000000000000000000000000000000";

/// Without the status line and what follows the head.
std::string lines_of(const std::string& response) {
  const std::size_t first = response.find("\r\n") + 2;
  return response.substr(first, response.find("\r\n\r\n") + 2 - first);
}

std::string limit_fields_of(const evaluated_request& r) {
  const settings& s = *r.policy->settings;
  const auto& own = s.listeners.front().headers;
  std::string fields;
  append_limit_fields(fields, r, own ? *own : s.deny.headers, r.decided_us());
  return fields;
}

std::string_view id_of(const evaluated_request& r) {
  if (r.attributes.method.empty()) return unknown_id;  // the head was refused
  const std::string_view sent = http::sent_request_id(r.head, r.raw_head());
  return sent.empty() ? unknown_id : sent;
}

std::string date_of(const evaluated_request& r) {
  std::string date;
  http::append_http_date(date, r.decided_us() / us_per_s);
  return date;
}

bool closes(const evaluated_request& r) {
  const http::refusal& refused = r.head.refusal();
  return !r.head.keep_alive || (refused.status != 0 && refused.close) ||
         (r.error && http::describe(*r.error).close);
}

}  // namespace

std::string shown_fields(const evaluated_request& r) {
  std::string limit_fields = limit_fields_of(r);
  if (r.forwarded()) return limit_fields;
  const std::string date = date_of(r);
  const response_frame frame{r.raw_head(), limit_fields, id_of(r), date, closes(r)};
  std::string response;
  if (r.error) {
    append_own_response(response, r, *r.error, frame);
  } else {
    append_own_options(response, r, frame);
  }
  return lines_of(response);
}

std::string shown_fields(const evaluated_request& r, const described_response& described) {
  std::string raw;
  append_head(raw, described);
  http::response_head head;
  head.begin(r.head.method_id == http::method_id::head);
  if (head.scan(raw) != http::scan_status::complete) return {};
  std::string limit_fields = limit_fields_of(r);
  const std::string date = date_of(r);
  http::response_context context;
  context.close = !r.head.keep_alive;
  context.request_id = id_of(r);
  context.via = r.policy->settings->via;
  context.date = date;
  if (http::tells_limits(head)) context.replaced = http::merge_rate_limit_fields(limit_fields, head, raw);
  context.extra_fields = limit_fields;
  std::string response;
  http::append_response_head(response, head, raw, context);
  return lines_of(response);
}

}  // namespace weir::proxy::offline
