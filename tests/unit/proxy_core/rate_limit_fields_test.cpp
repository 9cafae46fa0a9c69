// SPDX-License-Identifier: Apache-2.0
#include "proxy/http/rate_limit_fields.hpp"

#include <cstdint>
#include <doctest/doctest.h>
#include <limits>
#include <list>
#include <string>
#include <vector>

using namespace weir;
using limiter::header_visibility;
using proxy::rate_limit_header;

namespace {

constexpr std::int64_t second = 1'000'000;
const std::vector<rate_limit_header> defaults{rate_limit_header::retry_after, rate_limit_header::ratelimit};

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

  [[nodiscard]] std::string fields(const std::vector<rate_limit_header>& emitters = defaults) const {
    std::string out;
    http::append_rate_limit_fields(out, charges, decision, emitters);
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
  CHECK(s.fields({rate_limit_header::ratelimit}).find("RateLimit: \"day\";r=3;t=9, \"burst\";r=0;t=30") !=
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
  CHECK(s.fields({rate_limit_header::retry_after}) == "Retry-After: 1\r\n");
  s.denying("long", 59'000'001);
  s.decision.limiting = 0;
  CHECK(s.fields({rate_limit_header::retry_after}) == "Retry-After: 60\r\n");
  CHECK(http::retry_after_seconds(s.charges, s.decision) == 60);
}

TEST_CASE("a denial whose wait is zero still says 1") {
  scene s;
  s.denying("edge", 0);
  CHECK(s.fields({rate_limit_header::retry_after}) == "Retry-After: 1\r\n");
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
  CHECK(s.fields({rate_limit_header::retry_after}).empty());
}

TEST_CASE("a hidden rule shows nothing, not even its wait") {
  scene s;
  s.denying("secret", 50 * second).headers = header_visibility::hidden;
  CHECK(
      s.fields({rate_limit_header::retry_after, rate_limit_header::ratelimit, rate_limit_header::x_ratelimit})
          .empty());
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
  CHECK(s.fields({rate_limit_header::x_ratelimit}) ==
        "X-RateLimit-Limit: 100\r\nX-RateLimit-Remaining: 5\r\nX-RateLimit-Reset: 30\r\n");
}

TEST_CASE("fields come in the order of the emitters") {
  scene s;
  s.denying("burst", second);
  CHECK(s.fields({rate_limit_header::x_ratelimit, rate_limit_header::retry_after}) ==
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
