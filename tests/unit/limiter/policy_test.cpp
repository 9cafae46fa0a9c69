// SPDX-License-Identifier: Apache-2.0
#include "limiter/policy.hpp"

#include <atomic>
#include <cstdlib>
#include <doctest/doctest.h>
#include <new>

using namespace weir::limiter;

namespace {

rule make_rule(std::string name, std::vector<std::string_view> key) {
  rule r;
  r.name = std::move(name);
  for (const auto text : key) r.key.push_back(parse_selector(text).value());
  return r;
}

policy_set make_policy(std::vector<rule> rules) {
  for (std::uint32_t i = 0; i < rules.size(); ++i) {
    rules[i].index = i;
    rules[i].rid = make_rule_id(rules[i].name);
  }
  return policy_set(std::move(rules));
}

struct no_headers final : header_source {
  std::optional<std::string_view> header(std::string_view) const override { return std::nullopt; }
};
const no_headers none;

request_attributes make_request() {
  request_attributes request;
  request.method = "GET";
  request.path = "/v1/search";
  request.host = "example.org";
  request.route = "search";
  request.upstream = "api";
  request.client_ip = "192.0.2.1";
  request.headers = &none;
  return request;
}

/// Names of the charged rules, "-401" or "-400" behind the rule that refused.
std::string matched(const policy_set& policy, const request_attributes& request) {
  std::string scratch;
  match_result result;
  policy.match(request, scratch, result);
  std::string names;
  for (const charge& c : result.charges) names += (names.empty() ? "" : " ") + c.matched->name;
  if (result.unauthenticated != nullptr) names += result.unauthenticated->name + "-401";
  if (result.malformed != nullptr) names += result.malformed->name + "-400";
  return names;
}

}  // namespace

TEST_CASE("a policy without rules charges nothing") {
  CHECK(matched(policy_set{}, make_request()) == "");
  CHECK(matched(make_policy({}), make_request()) == "");
}

TEST_CASE("every rule that matches is charged, in file order") {
  const auto policy =
      make_policy({make_rule("b", {"client_ip"}), make_rule("a", {"route"}), make_rule("c", {"host"})});
  CHECK(matched(policy, make_request()) == "b a c");
}

TEST_CASE("the members of a match are ANDed and their items ORed") {
  rule r = make_rule("r", {"client_ip"});
  r.match.methods = {"POST", "GET"};
  r.match.hosts = {"other.org", "example.org"};
  r.match.routes = {"export", "search"};
  r.match.paths = {"/v2/**", "/v1/{what}"};
  const auto policy = make_policy({r});
  CHECK(matched(policy, make_request()) == "r");

  auto request = make_request();
  request.method = "PUT";
  CHECK(matched(policy, request) == "");
  request = make_request();
  request.host = "";
  CHECK(matched(policy, request) == "");
  request = make_request();
  request.route = "_none";
  CHECK(matched(policy, request) == "");
  request = make_request();
  request.path = "/v1";
  CHECK(matched(policy, request) == "");
}

TEST_CASE("rules with and without paths keep their own matches when they alternate") {
  std::vector<rule> rules;
  for (int i = 0; i < 6; ++i) {
    rules.push_back(make_rule("r" + std::to_string(i), {"client_ip"}));
    if (i % 2 == 1) rules.back().match.paths = {i == 3 ? "/other" : "/v1/*"};
  }
  rules[1].match.methods = {"PUT"};  // its path matches, it does not
  const auto policy = make_policy(rules);
  CHECK(matched(policy, make_request()) == "r0 r2 r4 r5");
}

TEST_CASE("a missing key skips, refuses or falls back as the rule says") {
  rule skip = make_rule("skip", {"user"});
  rule deny = make_rule("deny", {"user"});
  deny.missing = on_missing::deny;
  rule fallback = make_rule("fallback", {"user"});
  fallback.missing = on_missing::fallback;
  fallback.fallback = make_rule("", {"client_ip"}).key;
  const rule plain = make_rule("plain", {"client_ip"});

  CHECK(matched(make_policy({plain, skip}), make_request()) == "plain");
  CHECK(matched(make_policy({plain, deny}), make_request()) == "deny-401");
  CHECK(matched(make_policy({plain, fallback}), make_request()) == "plain fallback");

  auto request = make_request();
  request.user = "alice";
  CHECK(matched(make_policy({skip, deny, fallback}), request) == "skip deny fallback");
}

TEST_CASE("a fallback that has no value either refuses instead of letting everybody pass") {
  rule r = make_rule("r", {"user"});
  r.missing = on_missing::fallback;
  r.fallback = make_rule("", {"query:key"}).key;
  CHECK(matched(make_policy({r}), make_request()) == "r-401");
}

TEST_CASE("a key that is given twice is malformed whatever the rule says about missing keys") {
  for (const auto missing : {on_missing::skip, on_missing::deny, on_missing::fallback}) {
    rule r = make_rule("r", {"client_ip", "query:key"});
    r.missing = missing;
    r.fallback = make_rule("", {"client_ip"}).key;
    auto request = make_request();
    request.query = "key=a&key=b";
    CHECK(matched(make_policy({make_rule("plain", {"client_ip"}), r}), request) == "r-400");
  }
}

TEST_CASE("a fallback whose value is given twice is malformed") {
  rule r = make_rule("r", {"user"});
  r.missing = on_missing::fallback;
  r.fallback = make_rule("", {"query:key"}).key;
  auto request = make_request();
  request.query = "key=a&key=b";
  CHECK(matched(make_policy({r}), request) == "r-400");
}

TEST_CASE("the fallback is the bucket of its own key, not of the missing one") {
  rule r = make_rule("r", {"user"});
  r.missing = on_missing::fallback;
  r.fallback = make_rule("", {"client_ip"}).key;
  const auto policy = make_policy({make_rule("host", {"host"}), r, make_rule("ip", {"client_ip"})});
  std::string scratch;
  match_result result;
  policy.match(make_request(), scratch, result);
  REQUIRE(result.charges.size() == 3);
  CHECK(result.charges[1].subject == result.charges[2].subject);
  CHECK(result.charges[1].subject == hash_subject("9:client_ip9:192.0.2.1"));
}

TEST_CASE("rules of one key share one subject and rules of different keys do not") {
  std::vector<rule> rules;
  const std::vector<std::string_view> keys{"client_ip", "host", "client_ip", "route", "host"};
  for (const auto key : keys) rules.push_back(make_rule("r" + std::to_string(rules.size()), {key}));
  for (int i = 0; i < 12; ++i)
    rules.push_back(make_rule("c" + std::to_string(i), {"constant:" + std::to_string(i)}));
  const auto policy = make_policy(rules);
  std::string scratch;
  match_result result;
  policy.match(make_request(), scratch, result);
  REQUIRE(result.charges.size() == rules.size());
  for (std::size_t i = 0; i < rules.size(); ++i) {
    subject_key expected;
    REQUIRE(describe(rules[i].key, make_request(), scratch, expected));
    CHECK(result.charges[i].subject == expected);
  }
}

TEST_CASE("the cost is that of the route, else the default") {
  rule r = make_rule("r", {"client_ip"});
  r.cost_default = 2;
  r.cost_by_route = {{"search", 5}, {"export", 25}};
  rule other = make_rule("other", {"client_ip"});
  other.match.routes = {"search", "export", "rest"};
  const auto policy = make_policy({r, other});
  const auto cost_on = [&](std::string_view route) {
    auto request = make_request();
    request.route = route;
    std::string scratch;
    match_result result;
    policy.match(request, scratch, result);
    return result.charges.at(0).cost;
  };
  CHECK(cost_on("search") == 5);
  CHECK(cost_on("export") == 25);
  CHECK(cost_on("rest") == 2);
  CHECK(cost_on("_none") == 2);
}

TEST_CASE("a result is cleared before it is filled again") {
  rule deny = make_rule("deny", {"user"});
  deny.missing = on_missing::deny;
  rule twice = make_rule("twice", {"query:key"});
  const auto policy = make_policy({deny, twice});
  std::string scratch;
  match_result result;
  policy.match(make_request(), scratch, result);
  REQUIRE(result.unauthenticated != nullptr);

  auto request = make_request();
  request.user = "alice";
  request.query = "key=a&key=b";
  policy.match(request, scratch, result);
  CHECK(result.unauthenticated == nullptr);
  REQUIRE(result.malformed != nullptr);

  request.query = "key=a";
  policy.match(request, scratch, result);
  CHECK(result.malformed == nullptr);
  CHECK(result.charges.size() == 2);
  CHECK(matched(policy_set{}, request) == "");
}

TEST_CASE("a charge points into the policy it was matched by, also after a copy") {
  auto original = std::make_unique<policy_set>(make_policy({make_rule("r", {"client_ip"})}));
  const policy_set copy = *original;
  original.reset();
  std::string scratch;
  match_result result;
  copy.match(make_request(), scratch, result);
  REQUIRE(result.charges.size() == 1);
  CHECK(result.charges[0].matched == &copy.rules()[0]);
}

TEST_CASE("up to four charges stay inside the result and the scratch text is reused") {
  const auto policy = make_policy({make_rule("a", {"client_ip"}), make_rule("b", {"host", "route"}),
                                   make_rule("c", {"upstream"}), make_rule("d", {"method"})});
  std::string scratch;
  match_result result;
  policy.match(make_request(), scratch, result);
  const char* const text = scratch.data();
  policy.match(make_request(), scratch, result);
  REQUIRE(result.charges.size() == 4);
  CHECK(result.charges.capacity() == 4);
  const auto* begin = reinterpret_cast<const char*>(&result);
  const auto* place = reinterpret_cast<const char*>(result.charges.data());
  CHECK((place >= begin && place < begin + sizeof result));
  CHECK(scratch.data() == text);
}

namespace {

struct one_header final : header_source {
  one_header(std::string_view n, std::string_view v) : name(n), value(v) {}
  std::optional<std::string_view> header(std::string_view wanted) const override {
    return wanted == name && !value.empty() ? std::optional(value) : std::nullopt;
  }
  std::string_view name, value;
};

std::int64_t cost_of(const rule& r, const request_attributes& request) {
  const auto policy = make_policy({r});
  std::string scratch;
  match_result result;
  policy.match(request, scratch, result);
  REQUIRE(result.charges.size() == 1);
  return result.charges[0].cost;
}

}  // namespace

TEST_CASE("a cost the client names is clamped, and everything but digits costs the most") {
  rule r = make_rule("r", {"client_ip"});
  r.cost_from = cost_source{.header = "x-cost", .query = "", .min = 2, .max = 50};
  auto request = make_request();
  const auto cost = [&](std::string_view value) {
    const one_header headers("x-cost", value);
    request.headers = &headers;
    return cost_of(r, request);
  };
  CHECK(cost("7") == 7);
  CHECK(cost("007") == 7);
  CHECK(cost("0") == 2);
  CHECK(cost("51") == 50);
  CHECK(cost("99999999999999999999999999999999") == 50);
  for (const char* garbage : {"-1", "+3", "3.5", "1e3", "0x2", "nan", "3 4", "3,4", "\xd9\xa3", "1\xff"}) {
    CAPTURE(garbage);
    CHECK(cost(garbage) == 50);
  }
  CHECK(cost(std::string(65, '0')) == 50);
  CHECK(cost("") == 2);  // none: the rule's own cost, clamped
}

TEST_CASE("a cost in the query is decoded once, and given twice it costs the most") {
  rule r = make_rule("r", {"client_ip"});
  r.cost_default = 4;
  r.cost_from = cost_source{.header = "", .query = "n", .min = 1, .max = 9};
  auto request = make_request();
  const auto cost = [&](std::string_view query) {
    request.query = query;
    return cost_of(r, request);
  };
  CHECK(cost("n=3") == 3);
  CHECK(cost("%6e=%33") == 3);
  CHECK(cost("n=3&n=1") == 9);
  CHECK(cost("m=3") == 4);
  CHECK(cost("n=%2d3") == 9);
}

TEST_CASE("a response_cost is reserved") {
  rule r = make_rule("r", {"client_ip"});
  r.response_cost = response_cost{.reserve = 8};
  CHECK(cost_of(r, make_request()) == 8);
}

TEST_CASE("charges name their subjects only when asked to") {
  rule r = make_rule("r", {"client_ip"});
  r.rid = make_rule_id(r.name);
  for (const bool readable : {false, true}) {
    std::string scratch;
    match_result result;
    policy_set({r}, readable).match(make_request(), scratch, result);
    REQUIRE(result.charges.size() == 1);
    const charge& c = result.charges.front();
    CHECK(c.subject_name() == (readable ? "client_ip=192.0.2.1" : c.subject.view()));
    CHECK(c.subject == hash_subject("9:client_ip9:192.0.2.1"));
  }
}
