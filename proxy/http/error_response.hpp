// SPDX-License-Identifier: Apache-2.0
// Answers that weir writes itself: one static table of status, type and message; in a JSON
// envelope or as a problem (RFC 9457).
#pragma once

#include "proxy/http/head.hpp"
#include "proxy/observe/plain_text.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace weir::http {

/// Every answer of weir's own. The table in error_response.cpp gives status, `type`, message and whether the
/// connection may be kept; nothing else reaches a client.
enum class local_error : std::uint8_t {
  bad_request,
  unauthenticated,
  forbidden,
  no_route,
  method_not_allowed,
  method_not_listed,
  not_implemented,
  version_not_supported,
  request_timeout,
  body_too_large,
  uri_too_long,
  expectation_failed,
  headers_too_large,
  rate_limited,
  cost_exceeds_limit,
  concurrency_limited,
  bad_gateway,
  upstream_timeout,
  store_unavailable,
  upstream_overloaded,
  overloaded,
  draining,
  internal,
};

struct error_text {
  int status;
  std::string_view type;
  std::string_view message;
  bool close;
};
[[nodiscard]] const error_text& describe(local_error e) noexcept;
[[nodiscard]] std::string_view reason_phrase(int status) noexcept;

/// Members of `details` for a denial; empty rule = hidden, the members are left out.
struct denial_details {
  proxy::plain_text rule{};
  std::int64_t limit = 0;
  std::int64_t remaining = 0;
  std::int64_t retry_after_s = -1;  ///< -1: left out
};

/// Who may read an answer in a browser that a page of another origin asked.
struct cors_answer {
  bool on = false;
  std::string_view origin{};  ///< of the request, validated as a field value; empty: it has none
};

enum class answer_body : std::uint8_t { envelope, problem };

struct error_context {
  proxy::plain_text request_id{};
  std::string_view date{};
  std::string_view extra_fields{};  ///< complete lines (Retry-After, RateLimit, Allow)
  bool head_request = false;        ///< same head, no body
  bool close = false;               ///< Connection: close
  int status = 0;                   ///< overrides the table's (deny.status); 0 = the table's
  const denial_details* denial = nullptr;
  answer_body body = answer_body::envelope;
  std::span<const std::string_view> violated{};  ///< names of the rules that denied; of a problem
  bool negotiated = false;                       ///< `body` was chosen by the request's Accept
  cors_answer cors{};
};

/// Appends a complete response: status line, Content-Type, Content-Length, Cache-Control: no-store, Date,
/// X-Request-ID, extra fields, body `{"error":{"message","type","details":{...,"request_id"}}}`, or
/// `{"type","title","status","violated-policies","request_id"}` of a problem. With CORS the page may read it,
/// and the fields that only weir sends. Answers how many of the bytes are the body.
std::size_t append_error_response(std::string& out, local_error e, const error_context& c);

/// Replaces `out` with the Allow line of a 405 or an OPTIONS: `methods`, or all that weir forwards by name
/// when none are listed.
void assign_allow(std::string& out, std::span<const std::string> methods);

/// Appends the answer to an OPTIONS that may go no further than weir: 200 without a body. Of `c`: request_id,
/// date, extra_fields (Allow among them), cors, close.
void append_options_response(std::string& out, const error_context& c);

/// The local_error that corresponds to a scanner refusal's status (400 -> bad_request, 414 -> uri_too_long,
/// ...).
[[nodiscard]] local_error error_for_status(int status) noexcept;

}  // namespace weir::http
