// SPDX-License-Identifier: Apache-2.0
#include "proxy/http/error_response.hpp"

#include <array>
#include <boost/json.hpp>
#include <cstdint>
#include <doctest/doctest.h>
#include <limits>
#include <set>
#include <string>

using namespace weir::http;

namespace {

constexpr int errors = static_cast<int>(local_error::internal) + 1;

struct parts {
  std::string head;  ///< with the empty line
  std::string body;
};

parts render(local_error e, const error_context& c) {
  std::string out;
  append_error_response(out, e, c);
  const std::size_t end = out.find("\r\n\r\n") + 4;
  return {out.substr(0, end), out.substr(end)};
}

bool has_line(const parts& p, const std::string& line) {
  return p.head.find("\r\n" + line + "\r\n") != std::string::npos;
}

boost::json::object error_of(const parts& p) {
  return boost::json::parse(p.body).at("error").as_object();
}

}  // namespace

TEST_CASE("a denial names its rule, numbers and wait in the envelope") {
  const denial_details denial{"burst", 100, 0, 5};
  const parts p = render(local_error::rate_limited, {.request_id = "id-1",
                                                     .date = "Sun, 06 Nov 1994 08:49:37 GMT",
                                                     .extra_fields = "Retry-After: 5\r\n",
                                                     .denial = &denial});
  CHECK(p.head ==
        "HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\nContent-Length: 154\r\n"
        "Cache-Control: no-store\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nX-Request-ID: id-1\r\n"
        "Retry-After: 5\r\n\r\n");
  CHECK(
      p.body ==
      R"({"error":{"message":"rate limit exceeded","type":"rate_limited","details":{"rule":"burst","limit":100,)"
      R"("remaining":0,"retry_after":5,"request_id":"id-1"}}})");
}

TEST_CASE("Content-Length is the size of the body for every error, and the body is JSON") {
  for (int i = 0; i < errors; ++i) {
    const auto e = static_cast<local_error>(i);
    const parts p = render(e, {.request_id = "r"});
    CHECK(has_line(p, "Content-Length: " + std::to_string(p.body.size())));
    CHECK(has_line(p, "Cache-Control: no-store"));
    CHECK(error_of(p).at("type").as_string() == describe(e).type);
    CHECK(error_of(p).at("details").at("request_id").as_string() == "r");
  }
}

TEST_CASE("every error has its own type, a status of its own kind and a reason phrase") {
  std::set<std::string_view> types;
  for (int i = 0; i < errors; ++i) {
    const error_text& text = describe(static_cast<local_error>(i));
    types.insert(text.type);
    CHECK(text.status >= 400);
    CHECK(text.status <= 505);
    CHECK_FALSE(text.message.empty());
    CHECK(reason_phrase(text.status) != reason_phrase(499));
    CHECK(reason_phrase(text.status) != reason_phrase(599));
  }
  CHECK(types.size() == errors - 1);  // a 405 of a configured list differs from the scanner's only in keeping
}

TEST_CASE("the answer to HEAD is the same head without the body") {
  const parts get = render(local_error::bad_gateway, {.request_id = "r"});
  const parts head = render(local_error::bad_gateway, {.request_id = "r", .head_request = true});
  CHECK(head.head == get.head);
  CHECK(head.body.empty());
  CHECK_FALSE(get.body.empty());
}

TEST_CASE("a hidden rule leaves no trace in the body") {
  const denial_details hidden{};
  const parts p = render(local_error::rate_limited, {.request_id = "r", .denial = &hidden});
  CHECK(p.body.find("retry_after") == std::string::npos);
  CHECK(error_of(p).at("details").as_object().size() == 1);
}

TEST_CASE("a rule that shows only its wait shows only its wait") {
  const denial_details only_wait{.rule = {}, .retry_after_s = 7};
  const auto details =
      error_of(render(local_error::rate_limited, {.denial = &only_wait})).at("details").as_object();
  CHECK(details.at("retry_after").as_int64() == 7);
  CHECK_FALSE(details.contains("rule"));
  CHECK_FALSE(details.contains("limit"));
  CHECK_FALSE(details.contains("remaining"));
}

TEST_CASE("a wait that never ends is left out of the body") {
  const denial_details never{"upload", 10, 3, -1};
  const auto details =
      error_of(render(local_error::cost_exceeds_limit, {.denial = &never})).at("details").as_object();
  CHECK_FALSE(details.contains("retry_after"));
  CHECK(details.at("remaining").as_int64() == 3);
}

TEST_CASE("lack of capacity always says when to come back, once") {
  CHECK(has_line(render(local_error::overloaded, {}), "Retry-After: 1"));
  const parts p = render(local_error::store_unavailable, {.extra_fields = "Retry-After: 9\r\n"});
  CHECK(has_line(p, "Retry-After: 9"));
  CHECK_FALSE(has_line(p, "Retry-After: 1"));
  CHECK(render(local_error::rate_limited, {}).head.find("Retry-After") == std::string::npos);
  CHECK(render(local_error::bad_gateway, {}).head.find("Retry-After") == std::string::npos);
}

TEST_CASE("Connection: close is sent when the connection ends") {
  CHECK(has_line(render(local_error::bad_request, {.close = true}), "Connection: close"));
  CHECK(render(local_error::bad_request, {}).head.find("Connection") == std::string::npos);
}

TEST_CASE("a configured status replaces that of the table, and nothing else") {
  const parts p = render(local_error::rate_limited, {.status = 420});
  CHECK(p.head.starts_with("HTTP/1.1 420 Client Error\r\n"));
  CHECK(error_of(p).at("message").as_string() == "rate limit exceeded");
  CHECK(error_of(p).at("type").as_string() == "rate_limited");
}

TEST_CASE("the longest texts and numbers fit, whatever else the answer says") {
  const std::string hostile(3000, '\x01');
  const std::string long_name(weir::proxy::plain_text::longest, 'n');
  const weir::proxy::plain_text longest(long_name);
  std::string fields;
  for (int i = 0; i < 200; ++i) fields += "a:\r\n";
  const std::string origin(8000, 'o');
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::min();
  const denial_details denial{longest, most, most, std::numeric_limits<std::int64_t>::max()};
  const std::array<std::string_view, 8> violated{hostile, hostile, hostile, hostile,
                                                 hostile, hostile, hostile, hostile};
  for (int i = 0; i < errors; ++i) {
    for (const answer_body body : {answer_body::envelope, answer_body::problem}) {
      const parts p = render(static_cast<local_error>(i), {.request_id = longest,
                                                           .date = hostile,
                                                           .extra_fields = fields,
                                                           .close = true,
                                                           .status = 999,
                                                           .denial = &denial,
                                                           .body = body,
                                                           .violated = violated,
                                                           .negotiated = true,
                                                           .cors = {.on = true, .origin = origin}});
      CHECK(has_line(p, "Content-Length: " + std::to_string(p.body.size())));
      CHECK(boost::json::parse(p.body).is_object());
    }
  }
}

TEST_CASE("an OPTIONS that ends here is told what is allowed") {
  std::string allow, out;
  assign_allow(allow, {});
  append_options_response(out, {.request_id = "r", .date = "now", .extra_fields = allow, .close = true});
  CHECK(out ==
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nDate: now\r\nX-Request-ID: r\r\n"
        "Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH\r\nConnection: close\r\n\r\n");
}

TEST_CASE("the answer never names the server software") {
  CHECK(render(local_error::internal, {.request_id = "r"}).head.find("Server:") == std::string::npos);
}

TEST_CASE("each refusal status of the scanner finds the error with that status") {
  for (const int status : {400, 405, 408, 413, 414, 417, 431, 500, 501, 505}) {
    CHECK(describe(error_for_status(status)).status == status);
  }
  CHECK(error_for_status(418) == local_error::bad_request);
}

TEST_CASE("syntax errors and what may hide a message boundary close the connection, quota does not") {
  CHECK(describe(local_error::bad_request).close);
  CHECK(describe(local_error::body_too_large).close);
  CHECK(describe(local_error::internal).close);
  CHECK_FALSE(describe(local_error::rate_limited).close);
  CHECK_FALSE(describe(local_error::no_route).close);
  CHECK_FALSE(describe(local_error::upstream_timeout).close);
}

TEST_CASE("a denial as a problem names its type, status and the rules that denied") {
  const std::array<std::string_view, 2> violated{"burst", "daily"};
  const parts p =
      render(local_error::rate_limited,
             {.request_id = "id-1", .status = 420, .body = answer_body::problem, .violated = violated});
  CHECK(has_line(p, "Content-Type: application/problem+json"));
  CHECK(
      p.body ==
      R"({"type":"https://iana.org/assignments/http-problem-types#quota-exceeded","title":"Quota exceeded",)"
      R"("status":420,"violated-policies":["burst","daily"],"request_id":"id-1"})");
}

TEST_CASE("every error can be a problem whose status is that of the response") {
  for (int i = 0; i < errors; ++i) {
    const auto e = static_cast<local_error>(i);
    const parts p = render(e, {.request_id = "r", .body = answer_body::problem});
    const auto problem = boost::json::parse(p.body).as_object();
    CAPTURE(p.body);
    CHECK(problem.at("status").as_int64() == describe(e).status);
    CHECK(p.head.starts_with("HTTP/1.1 " + std::to_string(describe(e).status)));
    CHECK(problem.at("request_id") == "r");
    CHECK_FALSE(problem.contains("violated-policies"));
    const std::string type(problem.at("type").as_string());
    CHECK(type.ends_with("#temporary-reduced-capacity") == (describe(e).status == 503));
    CHECK(type.ends_with("#quota-exceeded") == (describe(e).status == 429));
  }
}

TEST_CASE("an abuser who is told 429 is told why") {
  const parts p =
      render(local_error::forbidden, {.request_id = "r", .status = 429, .body = answer_body::problem});
  CHECK(p.body.find("#abnormal-usage-detected") != std::string::npos);
  const parts usual = render(local_error::forbidden, {.request_id = "r", .body = answer_body::problem});
  CHECK(usual.body.find("\"type\":\"about:blank\",\"title\":\"Forbidden\"") != std::string::npos);
}

TEST_CASE("a page of another origin may read an answer and the fields that were sent") {
  const parts p =
      render(local_error::rate_limited, {.request_id = "r",
                                         .extra_fields = "Retry-After: 5\r\nRateLimit: \"a\";r=0;t=5\r\n",
                                         .cors = {true, "https://app.example"}});
  CHECK(has_line(p, "Access-Control-Allow-Origin: https://app.example"));
  CHECK(has_line(p, "Access-Control-Expose-Headers: X-Request-ID, Retry-After, RateLimit"));
  CHECK(has_line(p, "Vary: Origin"));
  const parts capacity = render(local_error::overloaded, {.request_id = "r", .cors = {true, "null"}});
  CHECK(has_line(capacity, "Access-Control-Expose-Headers: X-Request-ID, Retry-After"));
}

TEST_CASE("caches are told what an answer depends on") {
  CHECK(has_line(render(local_error::no_route, {.cors = {true, ""}}), "Vary: Origin"));
  CHECK(has_line(render(local_error::no_route, {.negotiated = true}), "Vary: Accept"));
  CHECK(has_line(render(local_error::no_route, {.negotiated = true, .cors = {true, ""}}),
                 "Vary: Accept, Origin"));
  const parts plain = render(local_error::no_route, {});
  CHECK(plain.head.find("Vary") == std::string::npos);
  CHECK(plain.head.find("Access-Control") == std::string::npos);
  CHECK(render(local_error::no_route, {.cors = {true, ""}}).head.find("Access-Control") == std::string::npos);
}
