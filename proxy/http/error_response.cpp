// SPDX-License-Identifier: Apache-2.0
#include "proxy/http/error_response.hpp"

#include "proxy/observe/json_writer.hpp"
#include "proxy/put.hpp"
#include "proxy/thread_room.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>

namespace weir::http {
namespace {

using proxy::json_string;
using proxy::put;

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
static_assert(table.size() == static_cast<std::size_t>(local_error::internal) + 1);

constexpr bool is_plain(std::string_view text) {
  return std::all_of(text.begin(), text.end(), proxy::is_plain);
}
static_assert(std::all_of(table.begin(), table.end(),
                          [](const error_text& t) { return is_plain(t.type) && is_plain(t.message); }),
              "they are written between quotes as they are");

char* put_line(char* at, std::string_view name_and_colon, std::string_view value) noexcept {
  return value.empty() ? at : put(at, name_and_colon, value, "\r\n");
}

char* put_denial(char* at, const denial_details& d) noexcept {
  if (!d.rule.empty()) {
    at = put(at, "\"rule\":\"", d.rule.view(), "\",\"limit\":", d.limit, ",\"remaining\":", d.remaining, ',');
  }
  return d.retry_after_s < 0 ? at : put(at, "\"retry_after\":", d.retry_after_s, ',');
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

char* put_problem(char* at, local_error e, const error_text& text, const error_context& c) noexcept {
  const int status = c.status != 0 ? c.status : text.status;
  const std::string_view type = problem_type(e, status);
  at = put(at, R"({"type":")", type, R"(","title":")", problem_title(type, text, c), R"(","status":)", status,
           ',');
  for (const std::string_view& name : c.violated) {
    at = put(at, &name == c.violated.data() ? R"("violated-policies":[)" : ",", json_string{name});
  }
  at = put(at, c.violated.empty() ? "" : "],");
  return put(at, R"("request_id":")", c.request_id.view(), "\"}");
}

char* put_envelope(char* at, const error_text& text, const error_context& c) noexcept {
  at = put(at, R"({"error":{"message":")", text.message, R"(","type":")", text.type, R"(","details":{)");
  if (c.denial != nullptr) at = put_denial(at, *c.denial);
  return put(at, R"("request_id":")", c.request_id.view(), "\"}}}");
}

/// The names of complete lines, `, ` before each.
char* put_names(char* at, std::string_view lines) noexcept {
  while (!lines.empty()) {
    at = put(at, ", ", lines.substr(0, lines.find(':')));
    lines.remove_prefix(std::min(lines.find('\n'), lines.size() - 1) + 1);
  }
  return at;
}

/// What makes a page's script see the answer (Fetch standard, CORS protocol). The answer depends on Origin
/// and Accept, so caches are told. `own_fields`: complete lines that stand beside `c.extra_fields`.
char* put_audience(char* at, const error_context& c, std::string_view own_fields) noexcept {
  if (c.negotiated || c.cors.on) {
    at = put(at, "Vary: ", !c.cors.on ? "Accept\r\n" : c.negotiated ? "Accept, Origin\r\n" : "Origin\r\n");
  }
  if (!c.cors.on || c.cors.origin.empty()) return at;
  at = put(at, "Access-Control-Allow-Origin: ", c.cors.origin,
           "\r\nAccess-Control-Expose-Headers: X-Request-ID");
  return put(put_names(put_names(at, c.extra_fields), own_fields), "\r\n");
}

/// Lack of capacity always names a time to come back; a caller that knows a better one has passed it.
std::string_view own_wait(const error_text& text, const error_context& c) noexcept {
  const bool wanted = text.status == 503 && c.extra_fields.find("Retry-After:") == std::string_view::npos;
  return wanted ? "Retry-After: 1\r\n" : "";
}

/// Bytes that the head needs at most: its own words, and what the context adds to them. A line that is named
/// once more by put_names() is longer than its name with `, `.
std::size_t head_room(const error_context& c) noexcept {
  constexpr std::size_t own_words = 512;
  return own_words + c.date.size() + proxy::plain_text::longest + 2 * c.extra_fields.size() +
         c.cors.origin.size();
}

/// Likewise the body.
std::size_t body_room(const error_text& text, const error_context& c) noexcept {
  constexpr std::size_t own_words = 512;
  std::size_t room = own_words + text.message.size() + text.type.size() + 2 * proxy::plain_text::longest;
  for (const std::string_view name : c.violated) room += proxy::json_string_room(name.size()) + 1;  // a comma
  return room;
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
  const std::string_view wait = own_wait(what, c);

  // The body comes first, since the head tells its size; then it moves up behind the head.
  const std::size_t before_body = head_room(c);
  const std::span<char> room = proxy::thread_room(before_body + body_room(what, c));
  char* const body = room.data() + before_body;
  const char* const body_end = problem ? put_problem(body, e, what, c) : put_envelope(body, what, c);
  const auto body_size = static_cast<std::size_t>(body_end - body);
  assert(body_end <= room.data() + room.size());

  char* at = put(room.data(), "HTTP/1.1 ", status, ' ', reason_phrase(status));
  at = problem ? put(at, "\r\nContent-Type: application/problem+json\r\nContent-Length: ")
               : put(at, "\r\nContent-Type: application/json\r\nContent-Length: ");
  at = put(at, body_size, "\r\nCache-Control: no-store\r\n");
  at = put_line(at, "Date: ", c.date);
  at = put_line(at, "X-Request-ID: ", c.request_id.view());
  at = put(at, c.extra_fields, wait);
  at = put_audience(at, c, wait);
  if (c.close) at = put(at, "Connection: close\r\n");
  at = put(at, "\r\n");
  assert(at <= body);
  const std::size_t sent = c.head_request ? 0 : body_size;
  std::memmove(at, body, sent);
  text.append(room.data(), static_cast<std::size_t>(at - room.data()) + sent);
  return sent;
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
  const std::span<char> room = proxy::thread_room(head_room(c));
  char* at = put(room.data(), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n");
  at = put_line(at, "Date: ", c.date);
  at = put_line(at, "X-Request-ID: ", c.request_id.view());
  at = put_audience(put(at, c.extra_fields), c, {});
  if (c.close) at = put(at, "Connection: close\r\n");
  at = put(at, "\r\n");
  assert(at <= room.data() + room.size());
  text.append(room.data(), static_cast<std::size_t>(at - room.data()));
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
