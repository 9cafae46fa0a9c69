// SPDX-License-Identifier: Apache-2.0
// The field lines that tests and explanations show; that the running proxy sends the same is shown by
// tests/integration/explain_test.py.
#include "proxy/offline/shown_fields.hpp"

#include "tests/support/offline_policy.hpp"

#include <doctest/doctest.h>

using namespace weir::proxy::offline;
using weir::tests::policy_of;

namespace {

constexpr std::int64_t start = 1'767'225'600'000'000;  // 2026-01-01

/// What a client reads of the last of `times` requests like `described`.
std::string shown(const std::string& policy, const described_request& described, int times = 1) {
  evaluator world(policy_of(policy));
  evaluated_request r;
  for (int i = 0; i < times; ++i) world.decide(r, described, start);
  return shown_fields(r);
}

bool has(const std::string& lines, const std::string& line) {
  return ("\r\n" + lines).find("\r\n" + line + "\r\n") != std::string::npos;
}

constexpr const char* one_a_minute = "rules: [{name: per-ip, key: [client_ip], limit: 1/minute}]\n";

}  // namespace

TEST_CASE("a relayed response tells of limits alone") {
  CHECK(shown(one_a_minute, {}) ==
        "RateLimit-Policy: \"per-ip\";q=1;w=60\r\nRateLimit: \"per-ip\";r=0;t=60\r\n");
}

TEST_CASE("a denial is shown with every field of the answer, in the clock's time") {
  const std::string lines = shown(one_a_minute, {}, 2);
  CHECK(has(lines, "Content-Type: application/json"));
  CHECK(has(lines, "Cache-Control: no-store"));
  CHECK(has(lines, "Date: Thu, 01 Jan 2026 00:00:00 GMT"));
  CHECK(has(lines, "Retry-After: 60"));
  CHECK(lines.find("HTTP/1.1") == std::string::npos);
}

TEST_CASE("a browser's origin is mirrored as the policy says") {
  const header_line origin{"Origin", "https://app.example"};
  const std::string lines =
      shown(std::string("deny: {cors: mirror, headers: [retry-after]}\n") + one_a_minute,
            {.headers = {&origin, 1}}, 2);
  CHECK(has(lines, "Access-Control-Allow-Origin: https://app.example"));
  CHECK(has(lines, "Access-Control-Expose-Headers: X-Request-ID, Retry-After"));
  CHECK(has(lines, "Vary: Origin"));
}

TEST_CASE("a missing key is answered with a challenge, a forbidden method with those that are allowed") {
  const std::string keyed =
      "rules: [{name: u, key: [user], missing: deny, limit: 1/minute}]\n"
      "identity: {user: [{header: X-Key}]}\n";
  CHECK(has(shown(keyed, {}), "WWW-Authenticate: Key"));
  CHECK(has(shown("http: {methods: [GET, HEAD]}\n", {.method = "POST"}), "Allow: GET, HEAD"));
}

TEST_CASE("an OPTIONS that ends here names the methods") {
  const header_line hops{"Max-Forwards", "0"};
  CHECK(has(shown("http: {methods: [GET, OPTIONS]}\n", {.method = "OPTIONS", .headers = {&hops, 1}}),
            "Allow: GET, OPTIONS"));
}

TEST_CASE("a missing slot says when to come back") {
  evaluator world(policy_of("concurrency: [{name: one, key: [client_ip], max: 1}]\n"));
  evaluated_request first, second;
  world.decide(first, {}, start);
  world.decide(second, {}, start);
  CHECK(second.status == 503);
  CHECK(has(shown_fields(second), "Retry-After: 30"));  // its lease
}

TEST_CASE("the first listener's emitters, deny.reset and the sent request id are seen") {
  const header_line id{"X-Request-ID", "mine"};
  const std::string lines = shown(
      std::string("listen: [{address: 127.0.0.1:8080, headers: [x-ratelimit]}]\ndeny: {reset: epoch}\n") +
          one_a_minute,
      {.headers = {&id, 1}}, 2);
  CHECK(has(lines, "X-RateLimit-Reset: 1767225660"));
  CHECK(has(lines, "X-Request-ID: mine"));
  CHECK_FALSE(has(lines, "Retry-After: 60"));
}

TEST_CASE("the upstream's fields are merged with ours as the proxy does it") {
  evaluator world(
      policy_of("deny: {headers: [x-ratelimit]}\n"
                "rules: [{name: per-ip, key: [client_ip], limit: 9/minute}]\n"));
  evaluated_request r;
  world.decide(r, {}, start);
  const std::vector<header_line> stricter{
      {"X-RateLimit-Limit", "5"}, {"X-RateLimit-Remaining", "2"}, {"X-RateLimit-Reset", "3"}};
  const std::string lines = shown_fields(r, {.headers = stricter});
  CHECK(has(lines, "X-RateLimit-Remaining: 2"));
  CHECK_FALSE(has(lines, "X-RateLimit-Remaining: 8"));
  CHECK(has(lines, "Via: 1.1 weir"));
  const header_line connection{"Connection", "close"};
  CHECK_FALSE(has(shown_fields(r, {.headers = {&connection, 1}}), "Connection: close"));
}

TEST_CASE("a head that was refused is answered, too") {
  CHECK(has(shown("", {.method = "G=T"}), "Connection: close"));
}
