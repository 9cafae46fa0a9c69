// SPDX-License-Identifier: Apache-2.0
// The tables against what is written about them, and against the examples.
#include "config/key_reference.hpp"

#include "config/load.hpp"
#include "limiter/selectors/selector.hpp"

#include <algorithm>
#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>

using namespace weir::config;

namespace {

std::filesystem::path sources() {
  return WEIR_SOURCE_DIR;
}

std::string content_of(const std::filesystem::path& path) {
  std::ifstream file{path};
  return {std::istreambuf_iterator<char>{file}, std::istreambuf_iterator<char>{}};
}

std::optional<std::string> no_variables(std::string_view) {
  return std::nullopt;
}

/// `rules[].cost` of a file, to see which keys the examples use.
void collect(const node& n, const std::string& path, std::set<std::string>& out) {
  for (const auto& item : n.items) collect(item, path + "[]", out);
  for (const auto& e : n.entries) {
    const bool selector = path == "rules[].overrides[]" && weir::limiter::parse_selector(e.key);
    const auto name = path == "upstreams"       ? std::string{"NAME"}
                      : path == "rules[].tiers" ? std::string{"TIER"}
                      : selector                ? std::string{"SELECTOR"}
                                                : e.key;
    const auto full = path.empty() ? name : path + "." + name;
    out.insert(full);
    collect(e.value, full, out);
  }
}

}  // namespace

TEST_CASE("the reference in the README is what the tables say") {
  const auto readme = content_of(sources() / "config/README.md");
  CHECK(readme.find(key_reference()) != std::string::npos);
}

TEST_CASE("no key is in the reference twice and each has a type") {
  std::set<std::string> seen;
  for (const auto& key : all_keys()) {
    CAPTURE(key.path);
    CHECK(seen.insert(key.path).second);
    CHECK_FALSE(key.type.empty());
  }
  CHECK(seen.size() > 80);
}

TEST_CASE("every example loads without errors") {
  int files = 0;
  for (const auto& file : std::filesystem::directory_iterator{sources() / "config/examples"}) {
    if (file.path().extension() != ".yaml") continue;
    ++files;
    const auto loaded = load_file(file.path().string(), no_variables);
    CAPTURE(file.path().string());
    for (const auto& p : loaded.problems) {
      if (p.severity == severity::error) MESSAGE(render(p, loaded.source_text, false));
    }
    CHECK(loaded.settings);
  }
  CHECK(files >= 3);
}

TEST_CASE("the full example shows every key") {
  auto text = content_of(sources() / "config/examples/full.yaml");
  for (const auto* optional :
       {"# username:", "# password_file:", "# hash_key_file:", "# topology:", "# nodes:", "# master:",
        "# tls:", "# secret_file:", "# hops:", "# - {client_cert:"}) {
    auto at = text.find(optional);
    REQUIRE(at != std::string::npos);
    // shown as comments: they need files that do not come with the example
    for (; at != std::string::npos; at = text.find(optional, at)) text.erase(at, 2);
  }
  std::vector<problem> problems;
  reporter report{"full.yaml", problems};
  std::set<std::string> used;
  collect(read_yaml(text, report).root, "", used);
  REQUIRE(problems.empty());
  for (const auto& key : all_keys()) {
    CAPTURE(key.path);
    CHECK(used.contains(key.path));
  }
}

TEST_CASE("writing every default out changes nothing") {
  const auto base = load_text("version: 1\nupstreams: {web: {url: \"http://h\"}}\n", "f", "", no_variables);
  const auto written = load_text(
      "version: 1\n"
      "listen: 0.0.0.0:8080\nadmin: 127.0.0.1:9901\nworkers: auto\ndrain: {delay: 5s, timeout: 25s}\nvia: "
      "weir\n"
      "limits: {target_size: 8KiB, header_size: 32KiB, field_size: 16KiB, header_count: 100, body_size: "
      "64MiB, connections: auto,\n"
      "  connections_per_address: 16384, requests_per_connection: 10000, header_timeout: 10s, "
      "keepalive_timeout: 60s, body_idle_timeout: "
      "10s, tls_handshake_timeout: 5s,\n"
      "  body_min_rate: 500B/second, write_idle_timeout: 30s}\n"
      "store: {url: \"memory://\", pool: {connect_timeout: 100ms, command_timeout: 50ms, max_in_flight: "
      "4096}, failure_mode: local,\n"
      "  key_prefix: \"rl:\", key_form: hashed, replicas: auto, allow_grace: unlimited, cold_start: full,\n"
      "  memory: {max_keys: 1000000, when_full: evict}}\n"
      "paths: {case: sensitive, params: strip}\nhttp: {underscore: drop, client_half_close: cancel}\n"
      "forwarded: x\nidentity: {user: [], tier: [{constant: default}]}\nblock: []\nexempt: []\n"
      "client_ip: {trusted_proxies: [], header: X-Forwarded-For, group: {ipv4: 32, ipv6: 64}}\n"
      "upstreams:\n"
      "  web: {endpoints: [{url: \"http://h\", weight: 1}], balance: random_two, host: preserve, resolve: "
      "{interval: 10s, timeout: 2s},\n"
      "    timeout: {connect: 250ms, first_byte: 5s, body_idle: 10s, total: 15s},\n"
      "    retry: {attempts: 2, when: [connect_error, reset_before_headers, 502, 503], methods: [GET, HEAD, "
      "OPTIONS, PUT, DELETE],\n"
      "      backoff: {base: 25ms, max: 250ms, jitter: full}, budget: 20%, budget_min: 3, honor_retry_after: "
      "true, body_buffer: 64KiB},\n"
      "    pool: {size: 64, overflow: 960, max_pending: 1024, acquire_timeout: 100ms, idle_timeout: 4s, "
      "recycle: 5m}}\n"
      "deny: {status: 429, headers: [retry-after, ratelimit], headers_on: all}\n"
      "access_log: {to: stdout, format: json, buffer: 1MiB}\nlog: {level: info, format: text}\n",
      "f", "", no_variables);
  REQUIRE(base.settings);
  REQUIRE(written.settings);
  const auto& a = *base.settings;
  const auto& b = *written.settings;
  CHECK(a.listeners == b.listeners);
  CHECK(a.admin == b.admin);
  CHECK(a.workers == b.workers);
  CHECK(a.drain.delay == b.drain.delay);
  CHECK(a.drain.timeout == b.drain.timeout);
  CHECK(a.via == b.via);
  CHECK(a.store == b.store);
  CHECK(a.client_ip.header == b.client_ip.header);
  CHECK(a.client_ip.group_ipv4 == b.client_ip.group_ipv4);
  CHECK(a.client_ip.group_ipv6 == b.client_ip.group_ipv6);
  CHECK(a.paths.ignore_case == b.paths.ignore_case);
  CHECK(a.paths.refuse_parameters == b.paths.refuse_parameters);
  CHECK(a.http.underscore == b.http.underscore);
  CHECK(a.http.tolerate_half_close == b.http.tolerate_half_close);
  CHECK(a.forwarded == b.forwarded);
  REQUIRE(b.tiers.size() == 1);
  CHECK(a.tiers.at(0).constant == b.tiers[0].constant);
  CHECK(a.upstreams == b.upstreams);
  CHECK(a.deny.status == b.deny.status);
  CHECK(a.deny.headers == b.deny.headers);
  CHECK(a.deny.headers_on_all == b.deny.headers_on_all);
  CHECK(a.access_log == b.access_log);
  CHECK(a.log.level == b.log.level);
  CHECK(a.log.json == b.log.json);
  CHECK(a.limits.target_size == b.limits.target_size);
  CHECK(a.limits.header_size == b.limits.header_size);
  CHECK(a.limits.field_size == b.limits.field_size);
  CHECK(a.limits.header_count == b.limits.header_count);
  CHECK(a.limits.body_size == b.limits.body_size);
  CHECK(a.limits.connections == b.limits.connections);
  CHECK(a.limits.connections_per_address == b.limits.connections_per_address);
  CHECK(a.limits.requests_per_connection == b.limits.requests_per_connection);
  CHECK(a.limits.header_timeout == b.limits.header_timeout);
  CHECK(a.limits.keepalive_timeout == b.limits.keepalive_timeout);
  CHECK(a.limits.tls_handshake_timeout == b.limits.tls_handshake_timeout);
  CHECK(a.limits.body_idle_timeout == b.limits.body_idle_timeout);
  CHECK(a.limits.body_min_rate == b.limits.body_min_rate);
  CHECK(a.limits.write_idle_timeout == b.limits.write_idle_timeout);
}
