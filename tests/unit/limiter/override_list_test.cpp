// SPDX-License-Identifier: Apache-2.0
// Which quota a key has: overrides before tiers before the rule.
#include "limiter/override_list.hpp"

#include "limiter/policy.hpp"
#include "sharing_fakes.hpp"

#include <doctest/doctest.h>
#include <string>

using namespace weir::limiter;
using namespace weir::limiter::testing;

namespace {

struct no_headers final : header_source {
  std::optional<std::string_view> header(std::string_view) const override { return std::nullopt; }
};
const no_headers none;

quota per_second(std::int64_t limit) {
  return {.limit = limit, .period_us = second, .burst = limit};
}

selector by(std::string_view text) {
  return parse_selector(text).value();
}

request_attributes request_of(std::string_view user, std::string_view tier = "free",
                              std::int64_t now_us = 0) {
  request_attributes request;
  request.route = "all";
  request.client_ip = "192.0.2.1";
  request.headers = &none;
  request.user = user;
  request.tier = tier;
  request.now_us = now_us;
  return request;
}

/// The limit of the only rule for this request; -1 = unlimited.
std::int64_t limit_for(const policy_set& policy, const request_attributes& request) {
  std::string scratch;
  match_result result;
  policy.match(request, scratch, result);
  if (!result.unlimited.empty()) {
    CHECK(result.unlimited.front() == &policy.rules().front());
    CHECK(result.charges.empty());
    return -1;
  }
  REQUIRE(result.charges.size() == 1);
  return result.charges.front().quota().limit;
}

policy_set policy_of(rule r) {
  r.key = {by("user")};
  return policy_set({std::move(r)});
}

}  // namespace

TEST_CASE("an override stands before the tier, the tier before the rule") {
  rule r = make_rule(0, per_second(1));
  r.tiers = {{"pro", per_second(2)}, {"internal", std::nullopt}};
  override_list list;
  list.add(by("user"), "acme", {per_second(3), 0, "contract"});
  list.add(by("user"), "root", {std::nullopt, 0, "us"});
  list.finish();
  r.overrides = std::make_shared<const override_list>(std::move(list));
  const policy_set policy = policy_of(std::move(r));
  CHECK(limit_for(policy, request_of("someone")) == 1);
  CHECK(limit_for(policy, request_of("someone", "pro")) == 2);
  CHECK(limit_for(policy, request_of("someone", "internal")) == -1);
  CHECK(limit_for(policy, request_of("acme", "internal")) == 3);
  CHECK(limit_for(policy, request_of("root")) == -1);
  CHECK_FALSE(policy.expires());
}

TEST_CASE("a rule without a limit of its own counts only those who have one") {
  rule r = make_rule(0, {});
  r.unlimited = true;
  r.tiers = {{"free", per_second(5)}};
  const policy_set policy = policy_of(std::move(r));
  CHECK(limit_for(policy, request_of("a", "free")) == 5);
  CHECK(limit_for(policy, request_of("a", "pro")) == -1);
}

TEST_CASE("of the overrides that fit the first that has not ended applies, also while time passes") {
  rule r = make_rule(0, per_second(1));
  override_list list;
  list.add(by("user"), "acme", {per_second(10), 100 * second, "sale"});
  list.add(by("client_ip"), "192.0.2.1", {per_second(20), 200 * second, "office"});
  list.add(by("user"), "acme", {per_second(30), 300 * second, "contract"});
  list.add(by("user"), "acme", {per_second(40), 400 * second, "never reached before the third"});
  list.finish();
  CHECK(list.selectors() == std::vector<selector>{by("user"), by("client_ip")});
  r.overrides = std::make_shared<const override_list>(std::move(list));
  const policy_set policy = policy_of(std::move(r));
  CHECK(policy.expires());
  const auto at = [&](std::string_view user, std::int64_t now_us) {
    return limit_for(policy, request_of(user, "free", now_us));
  };
  CHECK(at("acme", 100 * second - 1) == 10);
  CHECK(at("acme", 100 * second) == 20);  // its end is not part of it
  CHECK(at("acme", 200 * second) == 30);
  CHECK(at("acme", 300 * second) == 40);
  CHECK(at("acme", 400 * second) == 1);
  CHECK(at("someone", 0) == 20);
  CHECK(at("someone", 200 * second) == 1);
}

TEST_CASE("a value is compared whole, and a selector without a value fits no override") {
  rule r = make_rule(0, per_second(1));
  override_list list;
  list.add(by("claim:org"), "acme", {per_second(9), 0, "x"});
  list.add(by("user"), "acme", {per_second(8), 0, "x"});
  list.finish();
  r.overrides = std::make_shared<const override_list>(std::move(list));
  const policy_set policy = policy_of(std::move(r));
  CHECK(limit_for(policy, request_of("acme")) == 8);
  CHECK(limit_for(policy, request_of("acme2")) == 1);
  CHECK(limit_for(policy, request_of("acm")) == 1);
}

TEST_CASE("tiers and overrides use the bucket of their rule: what was used carries over") {
  virtual_time time;
  process p(time);
  const rule r = make_rule(0, per_second(10));
  const quota pro = per_second(100);
  const charge own{.matched = &r, .subject = subject(1)};
  charge raised = own;
  raised.special = &pro;
  for (int i = 0; i < 10; ++i) CHECK(p.take({own}).allowed());
  CHECK_FALSE(p.take({own}).allowed());
  const answer more = p.take({raised});
  CHECK_FALSE(more.allowed());  // the time to full carries over: a raised limit is no refill
  CHECK(more.reply.states[0].retry_after_us == 10'000);
  time.now_us += second / 10;
  CHECK(p.take({raised}).reply.states[0].remaining == 9);
}

TEST_CASE("what is known about a key under one quota answers for no other") {
  virtual_time time;
  process p(time);
  const rule r = make_rule(0, per_second(1));
  const quota pro{.limit = 1, .period_us = second, .burst = 3};
  charge raised{.matched = &r, .subject = subject(1)};
  raised.special = &pro;
  CHECK(p.take(r).allowed());
  CHECK_FALSE(p.take(r).allowed());  // from memory
  CHECK(p.shared.calls == 1);
  CHECK(p.take({raised}).allowed());  // asked
  CHECK(p.shared.calls == 2);
  CHECK_FALSE(p.take(r).allowed());
}

TEST_CASE("a balanced rule leases by the quota of the tier") {
  virtual_time time;
  process p(time);
  const rule r = make_rule(0, per_second(100), sharing_mode::balanced);
  const quota pro{.limit = 100, .period_us = second, .burst = 400};
  int admitted = 0;
  for (int i = 0; i < 450; ++i) {
    charge c{.matched = &r, .subject = subject(1)};
    c.special = &pro;
    admitted += p.take({c}).allowed() ? 1 : 0;
  }
  CHECK(admitted == 400);
  CHECK(p.shared.grants > 0);
}
