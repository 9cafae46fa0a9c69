// SPDX-License-Identifier: Apache-2.0
#include "config/load.hpp"

#include <doctest/doctest.h>
#include <string>

using namespace weir::config;

namespace {

load_result load(const std::string& text) {
  return load_text("version: 1\nupstreams: {web: {url: \"http://127.0.0.1:3000\"}}\n" + text, "weir.yaml", "",
                   [](std::string_view) -> std::optional<std::string> { return std::nullopt; });
}

/// Paths of the problems of going from `before` to `after`.
std::string refused(const std::string& before, const std::string& after) {
  const auto old = load(before);
  const auto next = load(after);
  REQUIRE(old.settings);
  REQUIRE(next.settings);
  std::string paths;
  for (const auto& p : reload_problems(*old.settings, *next.settings, next)) {
    CHECK(p.code == "E0406");
    paths += paths.empty() ? p.path : " " + p.path;
  }
  return paths;
}

}  // namespace

TEST_CASE("rules, limits and upstream settings may change while weir runs") {
  CHECK(refused("rules: [{name: r, key: [client_ip], limit: 1/second}]\n",
                "rules: [{name: r, key: [client_ip], limit: 9/second}]\n") == "");
  CHECK(refused("", "limits: {header_count: 50}\n") == "");
  CHECK(refused("", "store: {failure_mode: deny}\n") == "");
  CHECK(refused("", "listen: 127.0.0.1:1\n") == "");
  CHECK(refused("listen: 127.0.0.1:1\n", "listen: [\"127.0.0.1:1\", \"127.0.0.1:2\"]\n") == "");
  CHECK(refused("listen: [{name: a, address: \"127.0.0.1:1\"}]\n",
                "listen: [{name: a, address: \"127.0.0.1:1\", proxy_protocol: {from: 10.0.0.1}}]\n") == "");
}

TEST_CASE("workers, the admin port and the store's place need a restart") {
  CHECK(refused("", "workers: 2\n") == "workers");
  CHECK(refused("", "admin: 127.0.0.1:1\n") == "admin");
  CHECK(refused("", "admin: {scrape_address: \"0.0.0.0:1\"}\n") == "admin");
  CHECK(refused("", "store: {url: \"redis://h\"}\n") == "store.url");
  CHECK(refused("store: {url: \"redis://h/1\"}\n", "store: {url: \"redis://h/2\"}\n") == "store.url");
  CHECK(refused("store: {url: \"redis://:a@h\"}\n", "store: {url: \"redis://:b@h\"}\n") == "");
  CHECK(refused("store: {url: \"redis://h\"}\n", "store: {url: \"rediss://h\"}\n") == "store.url");
  CHECK(refused("", "store: {breaker: {failures: 9}}\n") == "store");
  CHECK(refused("", "store: {key_prefix: \"a:\"}\n") == "store");
  CHECK(refused("", "store: {pool: {command_timeout: 9ms}}\n") == "store");
  CHECK(refused("", "access_log: {to: stderr}\n") == "access_log.to");
  CHECK(refused("", "limits: {connections: 9}\n") == "limits.connections");
}

TEST_CASE("the problem points at the section in the new file") {
  const auto old = load("");
  const auto next = load("workers: 2\n");
  const auto problems = reload_problems(*old.settings, *next.settings, next);
  REQUIRE(problems.size() == 1);
  CHECK(problems[0].line == 3);
  CHECK(problems[0].width == 7);
  CHECK(problems[0].file == "weir.yaml");
}
