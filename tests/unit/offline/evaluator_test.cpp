// SPDX-License-Identifier: Apache-2.0
// What the proxy would decide, without a socket and on a clock of the test.
#include "proxy/offline/evaluator.hpp"

#include "tests/support/offline_policy.hpp"

#include <array>
#include <doctest/doctest.h>

using namespace weir::proxy::offline;
using weir::proxy::record_decision;
using weir::tests::address_of;
using weir::tests::policy_of;
namespace http = weir::http;

namespace {

constexpr std::int64_t second = 1'000'000;
constexpr std::int64_t start = 1'767'225'600 * second;

constexpr const char* per_client = "rules: [{name: per-ip, key: [client_ip], limit: 2/minute}]\n";

}  // namespace

TEST_CASE("a limit holds, the wait is exact, and who waits it is admitted") {
  evaluator world(policy_of(per_client));
  evaluated_request r;
  const described_request from_a{.peer = address_of("192.0.2.1")};
  world.decide(r, from_a, start);
  CHECK(r.verdict == record_decision::allow);
  CHECK(r.remaining() == 1);
  world.decide(r, from_a, start);
  CHECK(r.remaining() == 0);
  world.decide(r, from_a, start + 1);
  CHECK(r.verdict == record_decision::deny);
  CHECK(r.status == 429);
  CHECK(r.rule()->name == "per-ip");
  CHECK(r.retry_after_us() == 30 * second - 1);
  world.decide(r, {.peer = address_of("192.0.2.2")}, start + 1);
  CHECK(r.forwarded());
  world.decide(r, from_a, start + 30 * second - 1);
  CHECK(r.verdict == record_decision::deny);
  world.decide(r, from_a, start + 30 * second);
  CHECK(r.verdict == record_decision::allow);
}

TEST_CASE("lists, a demanded user, a missing key and a missing route are answered as the proxy does") {
  evaluator world(
      policy_of("block: [{match: {client_ip: 192.0.2.0/24}, reason: abuse, status: 451}]\n"
                "exempt: [{match: {path: /healthz}, reason: probes}]\n"
                "identity: {user: [{header: X-Key}]}\n"
                "routes:\n"
                "  - {name: mine, match: {path: /mine}, upstream: web, require_user: true}\n"
                "  - {name: health, match: {path: /healthz}, upstream: web}\n"
                "  - {name: keyed, match: {path: /keyed}, upstream: web}\n"
                "rules:\n"
                "  - {name: keys, match: {route: keyed}, key: [\"header:X-Id\"], missing: deny, "
                "limit: 1/minute}\n"
                "  - {name: all, key: [\"constant:all\"], limit: 1/minute}\n"));
  evaluated_request r;
  world.decide(r, {.target = "/healthz", .peer = address_of("192.0.2.9")}, start);
  CHECK(r.verdict == record_decision::blocked);
  CHECK(r.status == 451);
  CHECK(r.reason == "abuse");
  world.decide(r, {.target = "/mine", .peer = address_of("203.0.113.1")}, start);
  CHECK(r.status == 401);
  CHECK(r.verdict == record_decision::deny);
  world.decide(r, {.target = "/healthz", .peer = address_of("203.0.113.1")}, start);
  CHECK(r.verdict == record_decision::exempt);
  CHECK(r.forwarded());
  world.decide(r, {.target = "/keyed", .peer = address_of("203.0.113.1")}, start);
  CHECK(r.status == 401);
  CHECK(r.rule()->name == "keys");
  world.decide(r, {.target = "/none", .peer = address_of("203.0.113.1")}, start);
  CHECK(r.status == 404);
  CHECK(r.verdict == record_decision::allow);  // and charged
  const header_line key{"X-Key", "u1"};
  world.decide(r, {.target = "/mine", .headers = {&key, 1}, .peer = address_of("203.0.113.1")}, start);
  CHECK(r.status == 429);
  CHECK(r.rule()->name == "all");
}

TEST_CASE("a discarded field is dropped in any case and every line of it, unless a trusted peer sends it") {
  evaluator world(
      policy_of("http: {discard: [X-Key]}\nclient_ip: {trusted_proxies: [192.0.2.0/24]}\n"
                "identity: {user: [{header: X-Key}]}\n"
                "rules: [{name: users, key: [user], missing: deny, limit: 1/minute}]\n"));
  evaluated_request r;
  const std::array<header_line, 3> twice{{{"x-KEY", "u1"}, {"X-Kez", "u2"}, {"X-Key", "u3"}}};
  world.decide(r, {.headers = twice, .peer = address_of("203.0.113.1")}, start);
  CHECK(r.status == 401);  // not 400: nothing of it is there
  CHECK(r.head.fields[1].dropped);
  CHECK_FALSE(r.head.fields[2].dropped);
  CHECK(r.head.fields[3].dropped);
  world.decide(r, {.headers = {twice.data(), 1}, .peer = address_of("192.0.2.1")}, start);
  CHECK(r.verdict == record_decision::allow);
  world.decide(r, {.headers = twice, .peer = address_of("192.0.2.1")}, start);
  CHECK(r.status == 400);
}

TEST_CASE("what is given stands for what a token would say") {
  evaluator world(
      policy_of("identity: {user: [{header: X-Key}, {claim: sub}], tier: [{claim: plan}, "
                "{constant: free}], jwt: {unverified: true}}\n"
                "rules: [{name: org, key: [\"claim:org\", user, tier], missing: skip, limit: "
                "1/minute}]\n"));
  evaluated_request r;
  const given_identity ann{.claims = {{"sub", "ann"}, {"org", "o1"}}};
  const given_identity pro{.tier = "pro", .claims = {{"sub", "ann"}, {"org", "o1"}}};
  world.decide(r, {.given = &ann}, start);
  CHECK(r.attributes.user == "ann");
  CHECK(r.attributes.tier == "free");
  CHECK(r.remaining() == 0);
  world.decide(r, {.given = &ann}, start);
  CHECK(r.status == 429);
  world.decide(r, {.given = &pro}, start);
  CHECK(r.forwarded());
  world.decide(r, {}, start);
  CHECK(r.rule() == nullptr);
  CHECK(r.attributes.user == std::nullopt);
}

TEST_CASE("the response settles what was reserved") {
  evaluator world(policy_of(
      "rules:\n"
      "  - {name: failed, key: [client_ip], limit: 2/hour, count: {status: [401]}}\n"
      "  - {name: tokens, key: [user], missing: skip, limit: 100/hour, response_cost: {reserve: 10, actual: "
      "{json_pointer: /n}}}\n"
      "identity: {user: [{header: X-Key}]}\n"));
  evaluated_request r;
  const header_line json{"Content-Type", "application/json"};
  const given_identity ann{.user = "ann"};
  for (int i = 0; i < 5; ++i) {
    world.decide(r, {.given = &ann}, start);
    REQUIRE(r.forwarded());
    world.settle(r, {.status = 200, .headers = {&json, 1}, .body = R"({"n": 13})"}, start);
  }
  world.decide(r, {.given = &ann}, start);
  CHECK(r.result.states[0].remaining == 1);
  CHECK(r.result.states[1].remaining == 100 - 5 * 13 - 10);
  world.settle(r, {.status = 401}, start);
  world.decide(r, {}, start);
  CHECK(r.remaining() == 0);
}

TEST_CASE("slots are held until the response") {
  evaluator world(policy_of("concurrency: [{name: one, key: [client_ip], max: 1, status: 429}]\n"));
  evaluated_request first, second_one;
  world.decide(first, {}, start);
  CHECK(first.forwarded());
  world.decide(second_one, {}, start);
  CHECK(second_one.status == 429);
  CHECK(second_one.rule()->name == "one");
  CHECK(second_one.reason == "concurrency_full");
  world.settle(first, {}, start);
  world.decide(second_one, {}, start);
  CHECK(second_one.forwarded());
}

TEST_CASE("a head that no client could send is refused, not read otherwise") {
  evaluator world(policy_of(per_client));
  evaluated_request r;
  const header_line two{"X-A", "1\r\nX-B: 2"};
  world.decide(r, {.headers = {&two, 1}}, start);
  CHECK(r.status == 400);
  world.decide(r, {.target = "/ HTTP/1.1\r\nHost: x\r\n\r\n"}, start);
  CHECK(r.status == 400);
  world.decide(r, {.target = "/a/%2e%2e/%zz"}, start);
  CHECK(r.status == 400);
  CHECK(r.verdict == record_decision::rejected);
  world.decide(r, {.method = "TRACE"}, start);
  CHECK(r.status == 405);
}
