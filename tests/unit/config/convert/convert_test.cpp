// SPDX-License-Identifier: Apache-2.0
#include "config/convert/convert.hpp"

#include "config/convert/nginx_syntax.hpp"
#include "config/convert/policy_draft.hpp"
#include "config/convert/traefik_rule.hpp"
#include "config/load.hpp"

#include <array>
#include <doctest/doctest.h>
#include <fstream>
#include <iterator>
#include <random>

using namespace weir::config;

namespace {

struct sample {
  origin from;
  const char* file;
};

constexpr std::array samples{sample{origin::nginx, "nginx.conf"}, sample{origin::traefik, "traefik.yaml"},
                             sample{origin::kong, "kong.yaml"}, sample{origin::envoy_rls, "envoy-rls.yaml"}};

std::string content_of(const sample& s) {
  std::ifstream file{std::string{WEIR_SOURCE_DIR} + "/tests/integration/convert/" + s.file};
  return {std::istreambuf_iterator<char>{file}, std::istreambuf_iterator<char>{}};
}

std::string converted(origin from, const std::string& text) {
  const auto result = convert(from, text, "f");
  for (const auto& p : result.problems) MESSAGE(render(p, result.source, false));
  REQUIRE(result.policy);
  return *result.policy;
}

/// One limit_req of a zone with `rate`.
std::string nginx_rule(const std::string& rate, const std::string& use) {
  return converted(origin::nginx, "limit_req_zone $remote_addr zone=z:1m rate=" + rate +
                                      "; server { location / { proxy_pass http://h; limit_req zone=z " + use +
                                      "; } }");
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

}  // namespace

TEST_CASE("directives of nginx are read with quotes, escapes, variables, comments and blocks") {
  const auto file = parse_nginx("a 'b c' \"d;\\\"\" ${e}f \\.php$; # g;\nblock x {\n  inner;\n}\n");
  REQUIRE(file.size() == 2);
  CHECK(file[0].arguments == std::vector<std::string>{"b c", "d;\"", "${e}f", "\\.php$"});
  CHECK(file[1].line == 2);
  REQUIRE(file[1].children.size() == 1);
  CHECK(file[1].children[0].line == 3);
  CHECK_THROWS_AS((void)parse_nginx("a {"), not_readable);
  CHECK_THROWS_AS((void)parse_nginx("a"), not_readable);
  CHECK_THROWS_AS((void)parse_nginx("}"), not_readable);
  CHECK_THROWS_AS((void)parse_nginx("a 'b"), not_readable);
}

TEST_CASE("a burst of nginx is what comes on top of the request that the rate allows") {
  CHECK(contains(nginx_rule("10r/s", "burst=20 nodelay"), "limit: 10/second\n    burst: 21\n"));
  CHECK(contains(nginx_rule("6000r/m", ""), "limit: 6000/minute\n    burst: 1\n"));
  CHECK(contains(nginx_rule("1r/s", "burst=5"), "never delays"));
}

TEST_CASE("an unreadable rate makes no rule and a note") {
  for (const auto* rate : {"x", "0r/s", "99999999999999999999r/s", "-1r/s"}) {
    CAPTURE(rate);
    const auto policy = nginx_rule(rate, "");
    CHECK_FALSE(contains(policy, "rules:"));
    CHECK(contains(policy, "its rate is not readable"));
  }
}

TEST_CASE("rules of Traefik that are no AND of ORs of one matcher are nothing") {
  const auto rule = parse_traefik_rule("Host(`a`, `b`) && (Path(`/x`) || Path(`/y`))");
  REQUIRE(rule);
  REQUIRE(rule->conditions.size() == 2);
  CHECK(rule->conditions[0].values == std::vector<std::string>{"a", "b"});
  CHECK(rule->conditions[1].values == std::vector<std::string>{"/x", "/y"});
  for (const auto* text : {"", "Host(`a`) || Path(`/x`)", "!Host(`a`)", "Host(`a`", "Host(a)", "Host(`a`) &&",
                           "Host(`a`) && Path(`/x`) || Path(`/y`)"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_traefik_rule(text));
  }
}

TEST_CASE("names become names of weir's, each only once") {
  policy_draft draft;
  CHECK(draft.free_name("rules", "Per_IP") == "per-ip");
  CHECK(draft.free_name("rules", "per ip") == "per-ip-2");
  CHECK(draft.free_name("routes", "per ip") == "per-ip");
  CHECK(draft.free_name("routes", "/") == "r");
  CHECK(draft.free_name("upstreams", "127.0.0.1") == "u-127-0-0-1");
  CHECK(draft.free_name("rules", std::string(200, 'a')).size() <= 64);
}

TEST_CASE("text of the origin cannot leave its comment") {
  const auto policy =
      converted(origin::nginx, "'x\nrules: 1' y; server { location / { proxy_pass http://h; } }");
  CHECK(contains(policy, "# f:1: `x rules: 1` is not converted"));
}

TEST_CASE("spoilt files become a policy that loads, or problems, and nothing else") {
  for (const auto& s : samples) {
    const auto text = content_of(s);
    REQUIRE(text.size() > 100);
    for (unsigned seed = 0; seed < 300; ++seed) {
      CAPTURE(s.file);
      CAPTURE(seed);
      std::mt19937 random{seed};
      auto spoilt = text;
      for (int i = 0; i < 3; ++i) {
        const auto at = random() % spoilt.size();
        if (random() % 2 == 0) {
          spoilt.erase(at, 1 + random() % 6);
        } else {
          spoilt.insert(at, std::string(1, "{}[]:;#\"'\n $-9"[random() % 14]));
        }
      }
      const auto result = convert(s.from, spoilt, "f");
      CHECK(result.policy.has_value() == result.problems.empty());
    }
  }
}
