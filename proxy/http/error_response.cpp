// SPDX-License-Identifier: Apache-2.0
#include "proxy/http/error_response.hpp"

#include "proxy/http/text_writer.hpp"
#include "proxy/observe/json_writer.hpp"

#include <algorithm>
#include <array>

namespace weir::http {
namespace {

// Indexed by local_error. Everything a client can ever read from weir itself stands in this table, so nothing
// about hosts, addresses, paths or causes can leak. 405, 501 and 505 come from the scanner, which has lost
// the message boundary in some of these cases: they close. The second 405 is that of a configured list.
constexpr std::array<error_text, 23> table{{
    {400, "bad_request", "the request is malformed", true},
    {401, "unauthenticated", "a valid identity is required", false},
    {403, "forbidden", "the request is not allowed", false},
    {404, "no_route", "no route matches the request", false},
    {405, "method_not_allowed", "the method is not allowed", true},
    {405, "method_not_allowed", "the method is not allowed", false},
    {501, "not_implemented", "the request uses a feature that is not implemented", true},
    {505, "version_not_supported", "the HTTP version is not supported", true},
    {408, "request_timeout", "the request did not arrive in time", true},
    {413, "body_too_large", "the request body is too large", true},
    {414, "uri_too_long", "the request target is too long", true},
    {417, "expectation_failed", "the expectation cannot be met", true},
    {431, "headers_too_large", "the request header section is too large", true},
    {429, "rate_limited", "rate limit exceeded", false},
    {429, "cost_exceeds_limit", "the request costs more than its limit can ever grant", false},
    {429, "concurrency_limited", "too many requests at the same time", false},
    {502, "bad_gateway", "the upstream gave no valid response", false},
    {504, "upstream_timeout", "the upstream did not respond in time", false},
    {503, "store_unavailable", "the rate limit cannot be checked at the moment", false},
    {503, "upstream_overloaded", "the upstream is overloaded", false},
    {503, "overloaded", "the proxy is overloaded", false},
    {503, "draining", "the proxy is shutting down", true},
    {500, "internal", "internal error", true},
}};
constexpr std::size_t usual_head = 512;  // or less, without what the caller adds
constexpr std::size_t usual_body = 384;

static_assert(table.size() == static_cast<std::size_t>(local_error::internal) + 1);

void put_json(text_writer& out, std::string_view text) {
  out.write(proxy::json_string_room(text.size()),
            [text](char* at) { return proxy::put_json_string(at, text); });
}

void put_line(text_writer& out, std::string_view name_and_colon, std::string_view value) {
  if (!value.empty()) out.line(name_and_colon, value);
}

void put_member(text_writer& out, std::string_view name_and_colon, std::int64_t value) {
  out.put(name_and_colon);
  out.put_number(value);
  out.put(",");
}

void put_denial(text_writer& out, const denial_details& d) {
  if (!d.rule.empty()) {
    out.put("\"rule\":");
    put_json(out, d.rule);
    out.put(",");
    put_member(out, "\"limit\":", d.limit);
    put_member(out, "\"remaining\":", d.remaining);
  }
  if (d.retry_after_s >= 0) put_member(out, "\"retry_after\":", d.retry_after_s);
}

/// The registered problem types of rate limiting; everything else is told by its status alone.
std::string_view problem_type(local_error e, int status) noexcept {
  switch (e) {
    case local_error::rate_limited:
    case local_error::cost_exceeds_limit:
    case local_error::concurrency_limited:
      return "https://iana.org/assignments/http-problem-types#quota-exceeded";
    case local_error::store_unavailable:
    case local_error::upstream_overloaded:
    case local_error::overloaded:
    case local_error::draining:
      return "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity";
    case local_error::forbidden:  // of `block` with `status: 429`
      if (status == 429) return "https://iana.org/assignments/http-problem-types#abnormal-usage-detected";
      return "about:blank";
    default:
      return "about:blank";
  }
}

/// RFC 9457 3.1: the title of a problem without a type of its own is that of its status.
std::string_view problem_title(std::string_view type, const error_text& text, const error_context& c) {
  if (type.ends_with("#quota-exceeded")) return "Quota exceeded";
  if (type.ends_with("#temporary-reduced-capacity")) return "Temporary reduced capacity";
  if (type.ends_with("#abnormal-usage-detected")) return "Abnormal usage detected";
  return reason_phrase(c.status != 0 ? c.status : text.status);
}

void put_problem(text_writer& out, local_error e, const error_text& text, const error_context& c) {
  const int status = c.status != 0 ? c.status : text.status;
  const std::string_view type = problem_type(e, status);
  out.put(R"({"type":")", type, R"(","title":)");
  put_json(out, problem_title(type, text, c));
  put_member(out, R"(,"status":)", status);
  for (const std::string_view& name : c.violated) {
    out.put(&name == c.violated.data() ? R"("violated-policies":[)" : ",");
    put_json(out, name);
  }
  out.put(c.violated.empty() ? R"("request_id":)" : R"(],"request_id":)");
  put_json(out, c.request_id);
  out.put("}");
}

void put_envelope(text_writer& out, const error_text& text, const error_context& c) {
  out.put(R"({"error":{"message":)");
  put_json(out, c.message.empty() ? text.message : c.message);
  out.put(R"(,"type":")", text.type, R"(","details":{)");
  if (c.denial != nullptr) put_denial(out, *c.denial);
  out.put("\"request_id\":");
  put_json(out, c.request_id);
  out.put("}}}");
}

/// Kept per thread, so that an answer allocates nothing.
const std::string& body_of(local_error e, const error_text& text, const error_context& c) {
  thread_local std::string body;
  body.clear();
  text_writer out(body, usual_body);
  if (c.body == answer_body::problem) {
    put_problem(out, e, text, c);
  } else {
    put_envelope(out, text, c);
  }
  return body;
}

/// The names of complete lines, `, ` before each.
void put_names(text_writer& out, std::string_view lines) {
  while (!lines.empty()) {
    out.put(", ", lines.substr(0, lines.find(':')));
    lines.remove_prefix(std::min(lines.find('\n'), lines.size() - 1) + 1);
  }
}

/// What makes a page's script see the answer (Fetch standard, CORS protocol). The answer depends on Origin
/// and Accept, so caches are told. `own_fields`: complete lines that stand beside `c.extra_fields`.
void put_audience(text_writer& out, const error_context& c, std::string_view own_fields) {
  if (c.negotiated || c.cors.on) {
    out.put("Vary: ", !c.cors.on ? "Accept\r\n" : c.negotiated ? "Accept, Origin\r\n" : "Origin\r\n");
  }
  if (!c.cors.on || c.cors.origin.empty()) return;
  out.line("Access-Control-Allow-Origin: ", c.cors.origin);
  out.put("Access-Control-Expose-Headers: X-Request-ID");
  put_names(out, c.extra_fields);
  put_names(out, own_fields);
  out.line();
}

/// Lack of capacity always names a time to come back; a caller that knows a better one has passed it.
std::string_view own_wait(const error_text& text, const error_context& c) noexcept {
  const bool wanted = text.status == 503 && c.extra_fields.find("Retry-After:") == std::string_view::npos;
  return wanted ? "Retry-After: 1\r\n" : "";
}

}  // namespace

const error_text& describe(local_error e) noexcept {
  return table[static_cast<std::size_t>(e)];
}

std::string_view reason_phrase(int status) noexcept {
  switch (status) {
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 417:
      return "Expectation Failed";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return status < 500 ? "Client Error" : "Server Error";  // only a configured deny.status gets here
  }
}

std::size_t append_error_response(std::string& text, local_error e, const error_context& c) {
  const error_text& what = describe(e);
  const int status = c.status != 0 ? c.status : what.status;
  const bool problem = c.body == answer_body::problem;
  const std::string& body = body_of(e, what, c);
  const std::string_view wait = own_wait(what, c);

  text_writer out(text, usual_head + c.extra_fields.size() + body.size());
  out.put("HTTP/1.1 ");
  out.put_number(status);
  out.line(" ", reason_phrase(status));
  out.put(problem ? "Content-Type: application/problem+json" : "Content-Type: application/json",
          "\r\nContent-Length: ");
  out.put_number(body.size());
  out.line("\r\nCache-Control: no-store");
  put_line(out, "Date: ", c.date);
  put_line(out, "Via: 1.1 ", c.via);
  put_line(out, "X-Request-ID: ", c.request_id);
  out.put(c.extra_fields, wait);
  put_audience(out, c, wait);
  if (c.close) out.line("Connection: close");
  out.line();
  if (c.head_request) return 0;
  out.put(body);
  return body.size();
}

void assign_allow(std::string& out, std::span<const std::string> methods) {
  if (methods.empty()) {
    out.assign("Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH\r\n");
    return;
  }
  out.assign("Allow: ");
  for (const std::string& method : methods) {
    if (&method != methods.data()) out += ", ";
    out += method;
  }
  out += "\r\n";
}

void append_options_response(std::string& text, const error_context& c) {
  text_writer out(text, usual_head + c.extra_fields.size());
  out.line("HTTP/1.1 200 OK\r\nContent-Length: 0");
  put_line(out, "Date: ", c.date);
  put_line(out, "X-Request-ID: ", c.request_id);
  out.put(c.extra_fields);
  put_audience(out, c, {});
  if (c.close) out.line("Connection: close");
  out.line();
}

local_error error_for_status(int status) noexcept {
  switch (status) {
    case 405:
      return local_error::method_not_allowed;
    case 408:
      return local_error::request_timeout;
    case 413:
      return local_error::body_too_large;
    case 414:
      return local_error::uri_too_long;
    case 417:
      return local_error::expectation_failed;
    case 431:
      return local_error::headers_too_large;
    case 500:
      return local_error::internal;
    case 501:
      return local_error::not_implemented;
    case 505:
      return local_error::version_not_supported;
    default:
      return local_error::bad_request;
  }
}

}  // namespace weir::http
