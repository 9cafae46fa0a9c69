// SPDX-License-Identifier: Apache-2.0
#include "proxy/http/rate_limit_fields.hpp"

#include <array>
#include <cstdint>
#include <doctest/doctest.h>
#include <initializer_list>
#include <limits>
#include <list>
#include <string>
#include <vector>

using namespace weir;
using limiter::header_visibility;

namespace {

constexpr std::int64_t second = 1'000'000;

http::emitter_list named(std::initializer_list<std::string_view> names) {
  http::emitter_list list;
  for (const std::string_view name : names) {
    for (const http::rate_limit_emitter& emitter : http::rate_limit_emitters()) {
      if (emitter.name == name) list.push_back(&emitter);
    }
  }
  return list;
}

const http::emitter_list defaults = http::default_emitters();

/// A decision under construction.
struct scene {
  std::list<limiter::rule> rules;
  std::vector<limiter::charge> charges;
  limiter::decision decision;

  limiter::rule& add(const std::string& name, std::int64_t limit, std::int64_t period_us,
                     limiter::rule_state state) {
    limiter::rule& rule = rules.emplace_back();
    rule.name = name;
    rule.quota = {limiter::algorithm::token_bucket, limit, period_us, limit};
    charges.emplace_back().matched = &rule;
    decision.states.push_back(state);
    return rule;
  }

  /// A rule with a share of its limit left.
  limiter::rule& allowing(const std::string& name, std::int64_t limit, std::int64_t remaining) {
    return add(name, limit, 60 * second, {.remaining = remaining, .reset_after_us = 30 * second});
  }

  /// A rule that denies with this wait; the last one added is the limiting one unless set otherwise.
  limiter::rule& denying(const std::string& name, std::int64_t retry_after_us) {
    decision.verdict = limiter::verdict::deny;
    decision.limiting = static_cast<int>(charges.size());
    return add(name, 100, 60 * second,
               {.allowed = false, .retry_after_us = retry_after_us, .reset_after_us = 60 * second});
  }

  [[nodiscard]] std::string fields(const http::emitter_list& emitters = defaults,
                                   const http::item_options& options = {}) const {
    std::string out;
    http::append_rate_limit_fields(out, charges, decision, emitters, options);
    return out;
  }
};

}  // namespace

TEST_CASE("an allowed request carries policy and state of its rule") {
  scene s;
  s.allowing("burst", 100, 50);
  CHECK(s.fields() == "RateLimit-Policy: \"burst\";q=100;w=60\r\nRateLimit: \"burst\";r=50;t=30\r\n");
}

TEST_CASE("a denied request says when to come back, the same in Retry-After and t") {
  scene s;
  s.denying("burst", 4'000'001);
  CHECK(s.fields() ==
        "Retry-After: 5\r\nRateLimit-Policy: \"burst\";q=100;w=60\r\nRateLimit: \"burst\";r=0;t=5\r\n");
}

TEST_CASE("nothing is told of a rule of which nothing is known") {
  scene s;
  s.add("silent", 10, 60 * second, limiter::rule_state::unknown());
  s.denying("limiting", 4 * second);
  s.allowing("asked", 100, 50);
  CHECK(s.fields() ==
        "Retry-After: 4\r\nRateLimit-Policy: \"limiting\";q=100;w=60, \"asked\";q=100;w=60\r\n"
        "RateLimit: \"limiting\";r=0;t=4, \"asked\";r=50;t=30\r\n");
}

TEST_CASE("the closest rule is one of which something is known") {
  scene s;
  s.add("silent", 10, 60 * second, limiter::rule_state::unknown());
  CHECK(http::closest_charge(s.charges, s.decision) == -1);
  CHECK(s.fields().empty());
  s.allowing("asked", 100, 50);
  CHECK(http::closest_charge(s.charges, s.decision) == 1);
}

TEST_CASE("a shadow rule shows nothing, neither its numbers nor its wait") {
  scene s;
  s.allowing("enforced", 100, 50);
  s.add("watched", 10, 60 * second, {.allowed = false, .retry_after_us = 90 * second});
  s.charges.back().shadow = true;
  s.denying("limiting", 4 * second);
  CHECK(s.fields() ==
        "Retry-After: 4\r\nRateLimit-Policy: \"limiting\";q=100;w=60, \"enforced\";q=100;w=60\r\n"
        "RateLimit: \"limiting\";r=0;t=4, \"enforced\";r=50;t=30\r\n");
  s.decision.limiting = -1;
  s.decision.verdict = limiter::verdict::shadow_deny;
  s.charges.pop_back();
  CHECK(http::closest_charge(s.charges, s.decision) == 0);
  CHECK(http::retry_after_seconds(s.charges, s.decision) == -1);
  s.charges.erase(s.charges.begin());
  CHECK(http::closest_charge(s.charges, s.decision) == -1);
}

TEST_CASE("the numbers of a tier stand in the fields, not those of the rule") {
  scene s;
  s.allowing("burst", 100, 50);
  const limiter::quota tier{limiter::algorithm::token_bucket, 600, second, 1200};
  s.charges.back().special = &tier;
  CHECK(s.fields() == "RateLimit-Policy: \"burst\";q=600;w=1\r\nRateLimit: \"burst\";r=50;t=30\r\n");
}

TEST_CASE("the closest rule comes first: the smallest share, not the smallest number") {
  scene s;
  s.allowing("small", 10, 5);
  s.allowing("large", 1000, 100);
  CHECK(s.fields() ==
        "RateLimit-Policy: \"large\";q=1000;w=60, \"small\";q=10;w=60\r\n"
        "RateLimit: \"large\";r=100;t=30, \"small\";r=5;t=30\r\n");
  CHECK(http::closest_charge(s.charges, s.decision) == 1);
}

TEST_CASE("the limiting rule comes before a rule with less left") {
  scene s;
  s.denying("day", 9 * second).quota.limit = 7;
  s.decision.states.back().remaining = 3;
  s.allowing("burst", 100, 0);
  CHECK(s.fields(named({"ratelimit"})).find("RateLimit: \"day\";r=3;t=9, \"burst\";r=0;t=30") !=
        std::string::npos);
  CHECK(http::closest_charge(s.charges, s.decision) == 0);
}

TEST_CASE("rules with equal shares keep the order of the policy file") {
  scene s;
  s.allowing("a", 10, 5);
  s.allowing("b", 100, 50);
  CHECK(s.fields().find("RateLimit: \"a\";r=5;t=30, \"b\"") != std::string::npos);
}

TEST_CASE("of more than eight rules the eight closest are shown") {
  scene s;
  for (int i = 0; i < 20; ++i) s.allowing("r" + std::to_string(i), 100, 99 - i);
  s.denying("last", 2 * second);
  s.decision.states.back().remaining = 100;
  const std::string expected =
      "RateLimit: \"last\";r=100;t=2, \"r19\";r=80;t=30, \"r18\";r=81;t=30, \"r17\";r=82;t=30, "
      "\"r16\";r=83;t=30, "
      "\"r15\";r=84;t=30, \"r14\";r=85;t=30, \"r13\";r=86;t=30\r\n";
  CHECK(s.fields().find(expected) != std::string::npos);
}

TEST_CASE("the longest names and numbers fit") {
  scene s;
  constexpr std::int64_t most = std::int64_t{1} << 31;
  for (int i = 0; i < 8; ++i) {
    s.add(std::string(64, 'n'), most, 999'999'999'999'999,
          {.remaining = most, .reset_after_us = std::numeric_limits<std::int64_t>::max()});
  }
  const std::string item = '"' + std::string(64, 'n') + "\";q=999999999999999;w=999999999999999";
  const std::string fields = s.fields();
  std::size_t items = 0;
  for (std::size_t at = fields.find(item); at != std::string::npos; at = fields.find(item, at + 1)) ++items;
  CHECK(items == 8);
}

TEST_CASE("a window that is no whole number of seconds is scaled with its quota") {
  scene s;
  s.add("odd", 10, 1'500'000, {.remaining = 3, .reset_after_us = 1});
  CHECK(s.fields() == "RateLimit-Policy: \"odd\";q=20;w=3\r\nRateLimit: \"odd\";r=3;t=1\r\n");
}

TEST_CASE("r never exceeds q, also when the burst is larger than the limit") {
  scene s;
  s.allowing("burst", 10, 25).quota.burst = 30;
  CHECK(s.fields().find(";r=10;") != std::string::npos);
}

TEST_CASE("Retry-After is the longest wait of the denying rules, rounded up and at least 1") {
  scene s;
  s.denying("short", 1);
  CHECK(s.fields(named({"retry-after"})) == "Retry-After: 1\r\n");
  s.denying("long", 59'000'001);
  s.decision.limiting = 0;
  CHECK(s.fields(named({"retry-after"})) == "Retry-After: 60\r\n");
  CHECK(http::retry_after_seconds(s.charges, s.decision) == 60);
}

TEST_CASE("a denial whose wait is zero still says 1") {
  scene s;
  s.denying("edge", 0);
  CHECK(s.fields(named({"retry-after"})) == "Retry-After: 1\r\n");
}

TEST_CASE("when no wait helps there is no Retry-After and no t") {
  scene s;
  s.denying("short", 2 * second);
  s.denying("never", -1);
  CHECK(s.fields() ==
        "RateLimit-Policy: \"never\";q=100;w=60, \"short\";q=100;w=60\r\nRateLimit: \"never\";r=0, "
        "\"short\";r=0;t=2\r\n");
  CHECK(http::retry_after_seconds(s.charges, s.decision) == -1);
}

TEST_CASE("an allowed request has no Retry-After") {
  scene s;
  s.allowing("burst", 100, 50);
  CHECK(s.fields(named({"retry-after"})).empty());
}

TEST_CASE("a hidden rule shows nothing, not even its wait") {
  scene s;
  s.denying("secret", 50 * second).headers = header_visibility::hidden;
  CHECK(s.fields(named({"retry-after", "ratelimit", "x-ratelimit"})).empty());
  s.allowing("open", 100, 50);
  CHECK(s.fields() == "RateLimit-Policy: \"open\";q=100;w=60\r\nRateLimit: \"open\";r=50;t=30\r\n");
  CHECK(http::closest_charge(s.charges, s.decision) == 0);
}

TEST_CASE("a rule with headers retry_after shows its wait and nothing else") {
  scene s;
  s.denying("quiet", 50 * second).headers = header_visibility::retry_after;
  CHECK(s.fields() == "Retry-After: 50\r\n");
}

TEST_CASE("the x-ratelimit triple shows the closest rule with the same numbers") {
  scene s;
  s.allowing("wide", 1000, 900);
  s.allowing("near", 100, 5);
  CHECK(s.fields(named({"x-ratelimit"})) ==
        "X-RateLimit-Limit: 100\r\nX-RateLimit-Remaining: 5\r\nX-RateLimit-Reset: 30\r\n");
}

TEST_CASE("fields come in the order of the emitters") {
  scene s;
  s.denying("burst", second);
  CHECK(s.fields(named({"x-ratelimit", "retry-after"})) ==
        "X-RateLimit-Limit: 100\r\nX-RateLimit-Remaining: 0\r\nX-RateLimit-Reset: 1\r\nRetry-After: 1\r\n");
}

TEST_CASE("without an answer of the store there are no fields") {
  scene s;
  s.allowing("burst", 100, 50);
  s.decision.states.clear();
  CHECK(s.fields().empty());
  CHECK(http::closest_charge(s.charges, s.decision) == -1);
  s.decision.verdict = limiter::verdict::deny;
  CHECK(s.fields().empty());
}

TEST_CASE("fields are appended to what is there") {
  scene s;
  s.denying("burst", second);
  std::string out = "Allow: GET\r\n";
  http::append_rate_limit_fields(out, s.charges, s.decision, defaults);
  CHECK(out.starts_with("Allow: GET\r\nRetry-After: 1\r\n"));
}

TEST_CASE("seconds are rounded up") {
  CHECK(http::whole_seconds(0) == 0);
  CHECK(http::whole_seconds(-5) == 0);
  CHECK(http::whole_seconds(1) == 1);
  CHECK(http::whole_seconds(999'999) == 1);
  CHECK(http::whole_seconds(1'000'000) == 1);
  CHECK(http::whole_seconds(1'000'001) == 2);
  CHECK(http::whole_seconds(std::numeric_limits<std::int64_t>::max()) == 9'223'372'036'855);
}

TEST_CASE("draft 07 is a dictionary beside the windows of all rules") {
  scene s;
  s.allowing("wide", 1000, 900);
  s.allowing("near", 100, 5);
  CHECK(s.fields(named({"ratelimit-07"})) ==
        "RateLimit-Policy: 100;w=60, 1000;w=60\r\nRateLimit: limit=100, remaining=5, reset=30\r\n");
}

TEST_CASE("draft 07 demands a reset: where no wait helps it is the window") {
  scene s;
  s.denying("never", -1);
  CHECK(s.fields(named({"ratelimit-07"})) ==
        "RateLimit-Policy: 100;w=60\r\nRateLimit: limit=100, remaining=0, reset=60\r\n");
}

TEST_CASE("the drafts up to 06 have a field for each number") {
  scene s;
  s.denying("day", 9 * second);
  CHECK(s.fields(named({"ratelimit-06"})) ==
        "RateLimit-Limit: 100\r\nRateLimit-Policy: 100;w=60\r\nRateLimit-Remaining: 0\r\n"
        "RateLimit-Reset: 9\r\n");
}

TEST_CASE("Envoy's form names every window behind the closest limit") {
  scene s;
  s.allowing("wide", 1000, 900);
  s.allowing("near", 100, 5);
  CHECK(s.fields(named({"x-ratelimit-envoy"})) ==
        "X-RateLimit-Limit: 100, 100;w=60;name=\"near\", 1000;w=60;name=\"wide\"\r\n"
        "X-RateLimit-Remaining: 5\r\nX-RateLimit-Reset: 30\r\n");
}

TEST_CASE("a reset may be told as a time, rounded up, so that nobody comes too early") {
  scene s;
  s.denying("burst", 4'000'001);
  const std::string fields =
      s.fields(named({"x-ratelimit", "ratelimit"}), {.epoch = true, .wall_now_us = 1'700'000'000'500'000});
  CHECK(fields.find("X-RateLimit-Reset: 1700000005\r\n") != std::string::npos);
  CHECK(fields.find("\"burst\";r=0;t=5") != std::string::npos);  // drafts know no times
}

TEST_CASE("a partition is told by a keyed hash, the same in policy and state") {
  scene s;
  s.allowing("burst", 100, 50);
  s.charges[0].subject = limiter::hash_subject("9:client_ip9:192.0.2.1");
  weir::identity::hash_key key{};
  weir::identity::keyed_hasher partitions(key);
  const std::string first = s.fields(defaults, {.partitions = &partitions});
  const auto at = first.find(";pk=:");
  REQUIRE(at != std::string::npos);
  const std::string pk = first.substr(at, 18);
  CHECK(pk.ends_with("=:"));
  CHECK(first ==
        "RateLimit-Policy: \"burst\";q=100;w=60" + pk + "\r\nRateLimit: \"burst\";r=50;t=30" + pk + "\r\n");
  key[31] = 1;
  weir::identity::keyed_hasher others(key);
  CHECK(s.fields(defaults, {.partitions = &others}) != first);
  CHECK(first.find("192.0.2.1") == std::string::npos);
}

TEST_CASE("quotas of bytes are told in bytes") {
  scene s;
  limiter::rule& rule = s.allowing("egress", 500, 100);
  rule.response_cost.emplace();
  rule.response_cost->unit = 1024;
  CHECK(s.fields() ==
        "RateLimit-Policy: \"egress\";q=512000;qu=\"content-bytes\";w=60\r\n"
        "RateLimit: \"egress\";r=102400;t=30\r\n");
}

TEST_CASE("requests at the same time have no window, stand last, and no single value speaks of them") {
  scene s;
  limiter::rule& slots = s.allowing("inflight", 10, 0);
  slots.slots.emplace();
  CHECK(s.fields() ==
        "RateLimit-Policy: \"inflight\";q=10;qu=\"concurrent-requests\"\r\nRateLimit: \"inflight\";r=0\r\n");
  CHECK(s.fields(named({"x-ratelimit", "ratelimit-07"})).empty());
  CHECK(s.fields(named({"ratelimit-06", "x-ratelimit-envoy"})).empty());
  s.allowing("burst", 100, 50);
  CHECK(s.fields().find("RateLimit: \"burst\";r=50;t=30, \"inflight\";r=0\r\n") != std::string::npos);
}

TEST_CASE("spread waits are longer, never shorter, and by one share") {
  for (const std::uint32_t random : {0U, 1U, 0x8000'0000U, 0xffff'ffffU}) {
    scene s;
    s.denying("a", 4 * second);
    s.denying("b", 8 * second);
    s.allowing("c", 10, 5);
    s.decision.retry_after_us = 8 * second;
    http::spread_waits(s.decision, 50, random);
    CHECK(s.decision.states[0].retry_after_us >= 4 * second);
    CHECK(s.decision.states[0].retry_after_us <= 6 * second);
    CHECK(s.decision.states[1].retry_after_us == s.decision.retry_after_us);
    CHECK(s.decision.states[2].reset_after_us == 30 * second);
    const auto expected = 8 * second + (4 * second >> 16) * (random >> 16);
    CHECK(s.decision.retry_after_us == doctest::Approx(static_cast<double>(expected)).epsilon(0.001));
  }
}

TEST_CASE("a wait that never ends is not spread, and the longest does not overflow") {
  scene s;
  s.denying("never", -1);
  s.decision.retry_after_us = std::int64_t{1} << 52;
  http::spread_waits(s.decision, 50, 0xffff'ffffU);
  CHECK(s.decision.states[0].retry_after_us == -1);
  CHECK(s.decision.retry_after_us > std::int64_t{1} << 52);
}

TEST_CASE("the rules that deny are named in file order, hidden ones are not") {
  scene s;
  s.denying("first", second);
  s.allowing("open", 10, 5);
  s.denying("secret", second).headers = header_visibility::hidden;
  s.denying("last", second);
  const http::policy_names names = http::violated_policies(s.charges, s.decision);
  REQUIRE(names.size() == 2);
  CHECK(names[0] == "first");
  CHECK(names[1] == "last");
}
