// SPDX-License-Identifier: Apache-2.0
// What a policy file may say, what each key does, and every mistake that has a code.
#include "config/load.hpp"

#include "config/codes.hpp"
#include "limiter/time_zone.hpp"
#include "tests/support/test_certificate.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <doctest/doctest.h>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <unistd.h>

using namespace weir::config;
using namespace std::chrono_literals;
namespace proxy = weir::proxy;
namespace limiter = weir::limiter;

namespace {

std::optional<std::string> no_variables(std::string_view) {
  return std::nullopt;
}
std::optional<std::string> in_a_pod(std::string_view name) {
  return name == "POD_NAME" ? std::optional<std::string>{"weir-0"} : std::nullopt;
}

/// A pair and the authority that signed it, as files.
struct pem_files {
  pem_files() {
    std::string pattern = (std::filesystem::temp_directory_path() / "weir-pem-XXXXXX").string();
    folder = ::mkdtemp(pattern.data());
    certificate = write("cert.pem", leaf.certificate());
    key = write("key.pem", leaf.key());
    authority = write("ca.pem", issuer.certificate());
  }
  ~pem_files() { std::filesystem::remove_all(folder); }
  [[nodiscard]] std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(folder / name) << text;
    return (folder / name).string();
  }
  std::filesystem::path folder;
  weir::tests::test_certificate issuer;
  weir::tests::test_certificate leaf{"DNS:a.example", &issuer};
  std::string certificate, key, authority;
};

constexpr const char* head = "version: 1\nupstreams: {web: {url: \"http://127.0.0.1:3000\"}}\n";
constexpr const char* rule = "rules: [{name: r, key: [client_ip], limit: 10/minute";

load_result load(const std::string& text, const environment& env = no_variables) {
  return load_text(text, "weir.yaml", "", env);
}

/// The settings of the smallest file with `text` behind it; the test ends when there are errors.
proxy::settings settings_of(const std::string& text) {
  const auto loaded = load(head + text);
  for (const auto& p : loaded.problems) {
    if (p.severity == severity::error) MESSAGE(render(p, loaded.source_text, false));
  }
  REQUIRE(loaded.settings);
  return *loaded.settings;
}

proxy::upstream_settings upstream_of(const std::string& text) {
  const auto loaded = load("version: 1\nupstreams:\n  web: " + text + "\n");
  for (const auto& p : loaded.problems) {
    if (p.severity == severity::error) MESSAGE(render(p, loaded.source_text, false));
  }
  REQUIRE(loaded.settings);
  return loaded.settings->upstreams.at(0);
}

limiter::rule rule_of(const std::string& text) {
  return settings_of(text).policy.rules().at(0);
}

std::string codes_of(const load_result& loaded) {
  std::set<std::string> codes;
  for (const auto& p : loaded.problems) codes.insert(p.code);
  return fmt::format("{}", fmt::join(codes, " "));
}

}  // namespace

TEST_CASE("the smallest file forwards everything to its upstream and says that there are no rules") {
  const auto loaded = load(head);
  CHECK(codes_of(loaded) == "W0110");
  REQUIRE(loaded.settings);
  const auto& s = *loaded.settings;
  REQUIRE(s.listeners.size() == 1);
  CHECK(s.listeners[0].address.text() == "0.0.0.0:8080");
  CHECK(s.upstreams.at(0).endpoints.at(0).authority == "127.0.0.1:3000");
  REQUIRE(s.routes.size() == 1);
  CHECK(s.routes[0].name == "all");
  CHECK(s.routes[0].upstream == 0);
  CHECK(s.source == "weir.yaml");
  CHECK(s.hash.size() == 12);
}

TEST_CASE("the hash is that of the text, and the hash key stays for the life of the process") {
  const auto a = settings_of("");
  const auto b = settings_of("");
  const auto c = settings_of("# more\n");
  CHECK(a.hash == b.hash);
  CHECK(a.hash != c.hash);
  CHECK(a.hash_key == b.hash_key);
  CHECK(a.hash_key != decltype(a.hash_key){});
  CHECK(load("").settings == nullptr);
}

TEST_CASE("listen takes an address, a list of addresses, or maps with names") {
  CHECK(settings_of("listen: 127.0.0.1:1\n").listeners.at(0).name == "127.0.0.1:1");
  const auto s = settings_of(
      "listen: [{name: plain, address: \"0.0.0.0:1\"}, \"unix:/run/x\", {address: \"[::1]:2\"}]\n");
  REQUIRE(s.listeners.size() == 3);
  CHECK(s.listeners[0].name == "plain");
  CHECK(s.listeners[1].address.unix_path == "/run/x");
  CHECK(s.listeners[2].name == "[::1]:2");
}

TEST_CASE("a listener speaks TLS with one certificate or several, and expects PROXY headers from some") {
  const pem_files files;
  const auto s = settings_of(fmt::format(
      "listen:\n  - {{address: \"127.0.0.1:1\", tls: {{certificate: {0}, key: {1}}}}}\n"
      "  - {{address: \"127.0.0.1:2\", tls: [{{certificate: {0}, key: {1}, min_version: tls1.3}},\n"
      "     {{certificate: {0}, key: {1}, client_ca: {2}, client_auth: optional}}]}}\n"
      "  - {{address: \"127.0.0.1:3\", proxy_protocol: {{from: [10.0.0.0/8, \"fd00::/8\"], versions: "
      "[v2]}}}}\n",
      files.certificate, files.key, files.authority));
  REQUIRE(s.listeners.size() == 3);
  REQUIRE(s.listeners[0].tls.size() == 1);
  CHECK(s.listeners[0].tls[0].certificate == files.leaf.certificate());
  CHECK(s.listeners[0].tls[0].key == files.leaf.key());
  CHECK_FALSE(s.listeners[0].tls[0].only_tls13);
  CHECK(s.listeners[0].tls[0].client_auth == proxy::client_auth::none);
  REQUIRE(s.listeners[1].tls.size() == 2);
  CHECK(s.listeners[1].tls[0].only_tls13);
  CHECK(s.listeners[1].tls[1].client_ca == files.issuer.certificate());
  CHECK(s.listeners[1].tls[1].client_auth == proxy::client_auth::optional);
  CHECK(s.listeners[2].tls.empty());
  CHECK(s.listeners[2].proxy_protocol.from.size() == 2);
  CHECK_FALSE(s.listeners[2].proxy_protocol.v1);
  CHECK(s.listeners[2].proxy_protocol.v2);
  CHECK(s.listeners[0].proxy_protocol.from.empty());
  CHECK(s.files.size() == 7);
  CHECK(s.files[0].path == files.certificate);
}

TEST_CASE("a key that is not the certificate's is refused without quoting it") {
  const pem_files files;
  const auto loaded =
      load(fmt::format("{}listen: [{{address: \"127.0.0.1:1\", tls: {{certificate: {}, key: {}}}}}]\n", head,
                       files.authority, files.key));
  CHECK(codes_of(loaded).find("E0502") != std::string::npos);
  CHECK_FALSE(loaded.settings);
  const auto upstream = load(fmt::format(
      "version: 1\nupstreams: {{web: {{url: \"https://h\", tls: {{certificate: {}, key: {}}}}}}}\n",
      files.authority, files.key));
  CHECK(codes_of(upstream).find("E0502") != std::string::npos);
}

TEST_CASE("an https upstream is verified against the system's authorities unless told otherwise") {
  const pem_files files;
  const auto plain = upstream_of("{url: \"https://api.internal\"}");
  CHECK(plain.endpoints.at(0).tls);
  CHECK(plain.endpoints[0].address.port == 443);
  CHECK(plain.endpoints[0].authority == "api.internal");
  CHECK(plain.tls == proxy::upstream_tls_settings{});
  CHECK(plain.tls.verify);
  CHECK_FALSE(upstream_of("{url: \"http://api.internal\"}").endpoints[0].tls);
  const auto full = upstream_of(fmt::format(
      "{{endpoints: [{{url: \"https://10.0.0.1:8443\"}}, {{url: \"http://10.0.0.2\"}}], tls: {{ca_file: {}, "
      "server_name: api.internal, verify: false, certificate: {}, key: {}, min_version: tls1.3}}}}",
      files.authority, files.certificate, files.key));
  CHECK(full.endpoints[0].tls);
  CHECK_FALSE(full.endpoints[1].tls);
  CHECK(full.tls.ca == files.issuer.certificate());
  CHECK(full.tls.server_name == "api.internal");
  CHECK_FALSE(full.tls.verify);
  CHECK(full.tls.key == files.leaf.key());
  CHECK(full.tls.only_tls13);
}

TEST_CASE("admin takes an address or a map") {
  CHECK(settings_of("admin: 127.0.0.1:7\n").admin.address.port == 7);
  const auto s = settings_of("admin: {address: \"[::1]:7\", scrape_address: \"0.0.0.0:8\"}\n");
  CHECK(s.admin.address.host == "::1");
  CHECK(s.admin.has_scrape_address);
  CHECK(s.admin.scrape_address.port == 8);
}

TEST_CASE("workers, drain, via and logs reach the settings") {
  CHECK(settings_of("workers: 3\n").workers == 3);
  CHECK(settings_of("workers: auto\n").workers == 0);
  const auto s = settings_of(
      "drain: {delay: 0s, timeout: 2s}\nvia: edge\naccess_log: {to: stderr, format: json, buffer: 128KiB}\n"
      "log: {level: debug, format: json}\n");
  CHECK(s.drain.delay == 0ms);
  CHECK(s.drain.timeout == 2s);
  CHECK(s.via == "edge");
  CHECK(s.access_log.to == "stderr");
  CHECK(s.access_log.buffer == 131072);
  CHECK(s.log.level == proxy::log_level::debug);
  CHECK(s.log.json);
}

TEST_CASE("a log file is relative to the policy file") {
  const auto loaded =
      load_text(std::string{head} + "access_log: {to: a.log}\n", "weir.yaml", "/etc/weir", no_variables);
  REQUIRE(loaded.settings);
  CHECK(loaded.settings->access_log.to == "/etc/weir/a.log");
}

TEST_CASE("every limit reaches the settings") {
  const auto l =
      settings_of(
          "limits: {target_size: 1KiB, header_size: 4KiB, field_size: 2KiB, header_count: 16, body_size: "
          "unlimited,\n"
          "  connections: 7, connections_per_address: 9, requests_per_connection: 8, header_timeout: 1s, "
          "keepalive_timeout: 2s,\n"
          "  body_idle_timeout: 3s, body_min_rate: none, write_idle_timeout: 4s}\n")
          .limits;
  CHECK(l.target_size == 1024);
  CHECK(l.header_size == 4096);
  CHECK(l.field_size == 2048);
  CHECK(l.header_count == 16);
  CHECK(l.body_size == proxy::unlimited);
  CHECK(l.connections == 7);
  CHECK(l.connections_per_address == 9);
  CHECK(l.requests_per_connection == 8);
  CHECK(l.header_timeout == 1s);
  CHECK(l.keepalive_timeout == 2s);
  CHECK(l.body_idle_timeout == 3s);
  CHECK(l.body_min_rate == 0);
  CHECK(l.write_idle_timeout == 4s);
  CHECK(settings_of("limits: {body_size: 1MiB, body_min_rate: 1KiB/second, connections: auto}\n")
            .limits.body_min_rate == 1024);
}

TEST_CASE("every key of the store reaches the settings") {
  const auto s = settings_of(
                     "store: {url: \"redis://u:p@h:1/2\", pool: {connect_timeout: 1ms, command_timeout: 2ms, "
                     "max_in_flight: 3},\n"
                     "  failure_mode: deny, key_prefix: \"x:\", replicas: 4, memory: {max_keys: 5000, "
                     "when_full: deny_new}}\n")
                     .store;
  CHECK(s.kind == proxy::store_kind::redis);
  CHECK(s.redis.host == "h");
  CHECK(s.redis.port == 1);
  CHECK(s.redis.username == "u");
  CHECK(s.redis.password == "p");
  CHECK(s.redis.database == 2);
  CHECK(s.redis.connect_timeout == 1ms);
  CHECK(s.redis.command_timeout == 2ms);
  CHECK(s.redis.max_in_flight == 3);
  CHECK(s.failure_mode == limiter::failure_mode::deny);
  CHECK(s.redis.key_prefix == "x:");
  CHECK(s.replicas == 4);
  CHECK(s.max_keys == 5000);
  CHECK(s.when_full == limiter::when_full::deny_new);
}

TEST_CASE("the ways to reach several servers reach the settings") {
  const auto cluster =
      settings_of(
          "store: {url: \"rediss://:p@h\", topology: cluster, nodes: [\"a:1\", \"[::1]:2\"],\n"
          "  tls: {server_name: redis.internal, min_version: tls1.3},\n"
          "  pool: {size: 4, recycle: 1h, pre_ping: false}, breaker: {failures: 7, open_for: 2s}}\n")
          .store.redis;
  CHECK(cluster.topology == limiter::redis_topology::cluster);
  REQUIRE(cluster.nodes.size() == 2);
  CHECK(cluster.nodes[0].text() == "a:1");
  CHECK(cluster.nodes[1].host == "::1");
  CHECK(cluster.tls.enabled);
  CHECK(cluster.tls.server_name == "redis.internal");
  CHECK(cluster.tls.only_tls13);
  CHECK(cluster.pool_size == 4);
  CHECK(cluster.recycle == 1h);
  CHECK_FALSE(cluster.pre_ping);
  CHECK(cluster.breaker.failures == 7);
  CHECK(cluster.breaker.open_for == 2s);
  const auto sentinel =
      settings_of(
          "store: {url: \"redis://h\", topology: sentinel, nodes: [\"s:26379\"], master: my-master,\n"
          "  cold_start: empty}\n")
          .store.redis;
  CHECK(sentinel.topology == limiter::redis_topology::sentinel);
  CHECK(sentinel.starts_empty);
  CHECK(sentinel.master == "my-master");
}

TEST_CASE("client_ip and identity reach the settings") {
  const auto s = settings_of(
      "client_ip: {trusted_proxies: [10.0.0.0/8, \"fd00::/8\"], header: X-Real-IP, group: {ipv4: 24, ipv6: "
      "56}}\n"
      "identity: {user: [{header: X-API-Key, hash: false}, {header: X-User}]}\n");
  CHECK(s.client_ip.trusted_proxies.size() == 2);
  CHECK(s.client_ip.header == "x-real-ip");
  CHECK(s.client_ip.group_ipv4 == 24);
  CHECK(s.client_ip.group_ipv6 == 56);
  REQUIRE(s.users.size() == 2);
  CHECK(s.users[0].from.argument == "x-api-key");
  CHECK_FALSE(s.users[0].hash);
  CHECK(s.users[1].hash);
  CHECK(settings_of("client_ip: {header: none}\n").client_ip.header.empty());
}

TEST_CASE("users and tiers are found where the policy says, a constant makes a tier certain") {
  const auto s = settings_of(
      "identity: {jwt: {unverified: true, issuer: i, audience: a, header: X-Token, leeway: 5s, require_exp: "
      "false},\n"
      "  user: [{cookie: sid}, {query: key}, {claim: sub, hash: false}],\n"
      "  tier: [{claim: plan}, {header: X-Tier}, {constant: free}]}\n"
      "rules: [{name: r, key: [tier], limit: 1/day}, {name: o, key: [\"claim:org\"], missing: skip, limit: "
      "1/day}]\n");
  REQUIRE(s.jwt);
  CHECK_FALSE(s.jwt->keys);
  CHECK(s.jwt->issuer == "i");
  CHECK(s.jwt->audience == "a");
  CHECK(s.jwt->header == "x-token");
  CHECK(s.jwt->leeway == 5s);
  CHECK_FALSE(s.jwt->require_exp);
  REQUIRE(s.users.size() == 3);
  CHECK(s.users[0].from.text == "cookie:sid");
  CHECK(s.users[1].from.text == "query:key");
  CHECK(s.users[2].from.text == "claim:sub");
  CHECK_FALSE(s.users[2].hash);
  REQUIRE(s.tiers.size() == 3);
  CHECK_FALSE(s.tiers[0].trusted_only);
  CHECK(s.tiers[1].trusted_only);
  CHECK(s.tiers[2].constant == "free");
}

TEST_CASE("block and exempt reach the settings with their matches") {
  const auto s = settings_of(
      "routes: [{name: all, match: {path: /A/b}, upstream: web, encoded_slash: allow, require_user: true}]\n"
      "paths: {case: insensitive, params: reject}\n"
      "http: {underscore: allow, client_half_close: tolerate, methods: [GET], discard: [X-Ip]}\nforwarded: "
      "both\n"
      "block: [{match: {client_ip: [192.0.2.0/24], user: [a, b], query: {k: \"*\"}, not: {path: /X}}, "
      "reason: abuse, "
      "status: 451}]\n"
      "exempt: [{match: {header: {X-Probe: \"1\"}}, reason: probes}]\n");
  REQUIRE(s.block.size() == 1);
  CHECK(s.block[0].status == 451);
  CHECK(s.block[0].reason == "abuse");
  CHECK_FALSE(s.block[0].match.clients.empty());
  REQUIRE(s.block[0].match.values.size() == 2);
  CHECK(s.block[0].match.values[0].values == std::vector<std::string>{"a", "b"});
  CHECK(s.block[0].match.values[1].from.text == "query:k");
  CHECK(s.block[0].match.values[1].values.empty());
  REQUIRE(s.block[0].match.excluded.size() == 1);
  CHECK(s.block[0].match.excluded[0].paths.at(0) == "/x");
  CHECK(s.exempt.at(0).match.values.at(0).from.argument == "x-probe");
  CHECK(s.routes[0].match.paths.at(0) == "/a/b");
  CHECK(s.routes[0].encoded_slash);
  CHECK(s.routes[0].require_user);
  CHECK(s.paths.refuse_parameters);
  CHECK(s.http.underscore == proxy::underscore_mode::allow);
  CHECK(s.http.tolerate_half_close);
  CHECK(s.http.methods == std::vector<std::string>{"GET"});
  CHECK(s.http.discard == std::vector<std::string>{"x-ip"});
  CHECK(s.forwarded == proxy::forwarded_mode::both);
}

TEST_CASE("list files are read with the policy, and a change of one is a change of the policy") {
  const auto folder = std::filesystem::temp_directory_path() / fmt::format("weir-lists-{}", ::getpid());
  std::filesystem::create_directories(folder);
  const auto write = [&](const char* name, const std::string& text) { std::ofstream{folder / name} << text; };
  const auto load_here = [&] {
    return load_text(
        std::string(head) +
            "identity: {user: [{header: X-Key}], tier: [{file: tiers.csv, by: user}, {constant: free}]}\n"
            "block: [{file: nets, by: client_ip, reason: a}, {file: keys, by: user, reason: b}]\n",
        "weir.yaml", folder.string(), no_variables);
  };
  write("tiers.csv", "# comment\nalice , gold\r\n\na,b,silver\n");
  write("nets", "192.0.2.0/24\n2001:db8::/32\n");
  write("keys", " key-1 \nkey-2");
  const auto first = load_here();
  REQUIRE(first.settings);
  const auto& tier = first.settings->tiers.at(0);
  CHECK(tier.names.at(tier.table->find("alice").value()) == "gold");
  CHECK(tier.names.at(tier.table->find("a,b").value()) == "silver");
  CHECK(first.settings->block.at(0).clients->contains(
      {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 77}));
  CHECK(first.settings->block.at(1).values->find("key-1"));
  CHECK(first.settings->block.at(1).values->find("key-2"));
  write("keys", "key-3");
  const auto second = load_here();
  CHECK(first.settings->hash == second.settings->hash);
  CHECK(proxy::changed_files(first.settings->files, second.settings->files) ==
        std::vector<std::string>{(folder / "keys").string()});
  CHECK_FALSE(proxy::same_content(first.settings->files, second.settings->files));
  for (const char* bad : {"alice", "alice,Gold", ",gold", "a,b\na,c"}) {
    CAPTURE(bad);
    write("tiers.csv", bad);
    CHECK(codes_of(load_here()).find("E0502") != std::string::npos);
  }
  write("tiers.csv", "");
  write("nets", "192.0.2.1/24");
  CHECK(codes_of(load_here()).find("E0502") != std::string::npos);
  write("nets", std::string(1'000'001, '\n'));
  CHECK(codes_of(load_here()).find("E0502") != std::string::npos);
  std::filesystem::remove_all(folder);
}

TEST_CASE("every key of an upstream reaches the settings") {
  const auto u = upstream_of(
      "{endpoints: [{url: \"http://a:1\", weight: 2}, {url: \"unix:/run/b\"}], balance: least_requests, "
      "host: endpoint,\n"
      "    resolve: {interval: 1s, timeout: 3s}, timeout: {connect: 1ms, first_byte: 2ms, body_idle: 3ms, "
      "total: 4ms},\n"
      "    retry: {attempts: 1, when: [timeout, 504], methods: [GET], backoff: {base: 5ms, max: 6ms, jitter: "
      "none},\n"
      "      budget: 7%, budget_min: 8, honor_retry_after: false, body_buffer: 9B},\n"
      "    pool: {size: 10, overflow: 11, max_pending: 12, acquire_timeout: 13ms, idle_timeout: 14s, "
      "recycle: 15s},\n"
      "    outlier: {consecutive_failures: 16, failure_ratio: 17%, min_requests: 18, ejection: 19s, "
      "max_ejection: 20m,\n"
      "      max_ejected: 21%, deweight_429: false},\n"
      "    health_check: {path: \"/up?full\", interval: 22s, timeout: 23ms, unhealthy_after: 24, "
      "healthy_after: 25,\n"
      "      expect: [204, 4xx]}}");
  REQUIRE(u.endpoints.size() == 2);
  CHECK(u.endpoints[0].weight == 2);
  CHECK(u.endpoints[1].address.unix_path == "/run/b");
  CHECK(u.balance == proxy::balance_method::least_requests);
  CHECK_FALSE(u.preserve_host);
  CHECK(u.resolve_interval == 1s);
  CHECK(u.resolve_timeout == 3s);
  CHECK(u.timeout_connect == 1ms);
  CHECK(u.timeout_first_byte == 2ms);
  CHECK(u.timeout_body_idle == 3ms);
  CHECK(u.timeout_total == 4ms);
  CHECK(u.retry.attempts == 1);
  CHECK_FALSE(u.retry.on_connect_error);
  CHECK_FALSE(u.retry.on_reset_before_headers);
  CHECK(u.retry.on_timeout);
  CHECK(u.retry.on_status == std::vector<int>{504});
  CHECK(u.retry.methods == std::vector<std::string>{"GET"});
  CHECK(u.retry.backoff_base == 5ms);
  CHECK(u.retry.backoff_max == 6ms);
  CHECK_FALSE(u.retry.jitter_full);
  CHECK(u.retry.budget_percent == 7);
  CHECK(u.retry.budget_min == 8);
  CHECK_FALSE(u.retry.honor_retry_after);
  CHECK(u.retry.body_buffer == 9);
  CHECK(u.pool == proxy::pool_settings{10, 11, 12, 13ms, 14s, 15s});
  CHECK(u.outlier == proxy::outlier_settings{16, 17, 18, 19s, 20min, 21, false});
  limiter::counted_statuses expect;
  expect.codes = {204};
  expect.classes[4] = true;
  CHECK(u.health_check == proxy::health_check_settings{"/up?full", 22s, 23ms, 24, 25, expect});
  CHECK(upstream_of("{url: \"http://a:1\", balance: client_hash}").balance ==
        proxy::balance_method::client_hash);
}

TEST_CASE("every key of a route reaches the settings, lists may be one value") {
  const auto s = settings_of(
      "routes:\n"
      "  - {name: a, match: {methods: GET, path: /v1/x, host: EXAMPLE.com}, upstream: web, body_size: 1KiB, "
      "timeout: 3s, stream: true}\n"
      "  - {name: b, match: {methods: [PUT, POST], path: [/y, \"/z/**\"]}, upstream: web}\n");
  REQUIRE(s.routes.size() == 2);
  const auto& a = s.routes[0];
  CHECK(a.match.methods == std::vector<std::string>{"GET"});
  CHECK(a.match.paths == std::vector<std::string>{"/v1/x"});
  CHECK(a.match.hosts == std::vector<std::string>{"example.com"});
  CHECK(a.body_size == 1024);
  CHECK(a.timeout_total == 3s);
  CHECK(a.stream);
  CHECK(s.routes[1].match.methods.size() == 2);
  CHECK(s.routes[1].match.paths.size() == 2);
  CHECK(s.routes[1].body_size == 0);
}

TEST_CASE("every key of a rule reaches the policy") {
  const auto r = rule_of(
      "routes: [{name: login, match: {path: /login}, upstream: web}]\n"
      "identity: {user: [{header: X-User}]}\n"
      "rules:\n"
      "  - {name: r, match: {methods: [POST], path: \"/**\", host: a.b, route: login}, key: [user, route], "
      "missing: fallback,\n"
      "     fallback: [client_ip, method], limit: 10/2m, burst: 20, algorithm: token_bucket, cost: {default: "
      "2, login: 3},\n"
      "     failure_mode: allow, headers: hidden}\n");
  CHECK(r.name == "r");
  CHECK(r.rid == limiter::make_rule_id("r"));
  CHECK(r.quota == limiter::quota{limiter::algorithm::token_bucket, 10, 120'000'000, 20});
  CHECK(r.match.methods == std::vector<std::string>{"POST"});
  CHECK(r.match.routes == std::vector<std::string>{"login"});
  CHECK(r.match.hosts == std::vector<std::string>{"a.b"});
  REQUIRE(r.key.size() == 2);
  CHECK(r.key[0].text == "user");
  CHECK(r.missing == limiter::on_missing::fallback);
  CHECK(r.fallback.size() == 2);
  CHECK(r.cost_default == 2);
  REQUIRE(r.cost_by_route.size() == 1);
  CHECK(r.cost_by_route[0].second == 3);
  CHECK(r.failure_mode == limiter::failure_mode::allow);
  CHECK(r.headers == limiter::header_visibility::hidden);
}

TEST_CASE("a rule takes burst, failure_mode and fallback from where the reference says") {
  const auto r = rule_of(
      "store: {failure_mode: deny}\nidentity: {user: [{header: X-User}]}\n"
      "rules: [{name: r, key: [user], missing: fallback, limit: 7/minute}]\n");
  CHECK(r.quota.burst == 7);
  CHECK(r.failure_mode == limiter::failure_mode::deny);
  REQUIRE(r.fallback.size() == 1);
  CHECK(r.fallback[0].text == "client_ip");
  CHECK(r.cost_default == 1);
  const auto log =
      rule_of("rules: [{name: r, key: [client_ip], limit: 5/15m, algorithm: sliding_window_log}]\n");
  CHECK(log.quota == limiter::quota{limiter::algorithm::sliding_window_log, 5, 900'000'000, 5});
  const auto window =
      rule_of("rules: [{name: r, key: [client_ip], limit: 5/day, algorithm: fixed_window}]\n");
  CHECK(window.quota == limiter::quota{limiter::algorithm::fixed_window, 5, 86'400'000'000, 5});
  const auto month = rule_of(
      "rules: [{name: r, key: [client_ip], limit: 5/month, algorithm: fixed_window, timezone: "
      "Asia/Kathmandu}]\n");
  CHECK(month.quota == limiter::quota{limiter::algorithm::fixed_window, 5, 30 * 86'400'000'000, 5,
                                      limiter::calendar_unit::month,
                                      limiter::find_time_zone("Asia/Kathmandu")});
}

TEST_CASE("a cost that the client names reaches the policy") {
  const auto r = rule_of(std::string{rule} + ", cost_from: {header: X-Cost, min: 0, max: 7}}]\n");
  REQUIRE(r.cost_from);
  CHECK(*r.cost_from == limiter::cost_source{.header = "x-cost", .query = "", .min = 0, .max = 7});
  const auto by_query = rule_of(std::string{rule} + ", cost_from: {query: size, max: 10}}]\n");
  CHECK(*by_query.cost_from == limiter::cost_source{.header = "", .query = "size", .min = 1, .max = 10});
}

TEST_CASE("the statuses that count reach the policy, as codes and classes") {
  const auto r = rule_of(std::string{rule} + ", count: {status: [401, 5xx]}}]\n");
  CHECK(r.count.codes == std::vector<int>{401});
  CHECK(r.count.classes[5]);
  CHECK_FALSE(r.count.classes[4]);
  CHECK(r.settles());
  CHECK(rule_of(std::string{rule} + ", count: {status: 4xx}}]\n").count.classes[4]);
}

TEST_CASE("a cost read from the response reaches the policy with its defaults") {
  using source = limiter::response_cost::source;
  const auto cost = [](const std::string& text) {
    return rule_of(std::string{rule} + ", response_cost: {reserve: 3, " + text + "}}]\n")
        .response_cost.value();
  };
  CHECK(
      cost("actual: {header: X-Used}") ==
      limiter::response_cost{.reserve = 3, .actual = source::header, .name = "x-used", .unit = 1, .max = 10});
  CHECK(cost("actual: {json_pointer: /a~1b/0}, max: 5, on_missing: refund") ==
        limiter::response_cost{.reserve = 3,
                               .actual = source::json_pointer,
                               .name = "/a~1b/0",
                               .unit = 1,
                               .max = 5,
                               .refund_missing = true});
  CHECK(cost("actual: {bytes: request}, unit: 1KiB").unit == 1024);
  CHECK(cost("actual: {bytes: request}").actual == source::request_bytes);
  CHECK(cost("actual: {bytes: response}").actual == source::response_bytes);
  CHECK(cost("actual: {bytes: both}, on_missing: keep").actual == source::both_bytes);
}

TEST_CASE("every key of a concurrency limit reaches the settings") {
  const auto s = settings_of(
      "store: {failure_mode: deny}\nidentity: {user: [{header: X-User}]}\n"
      "concurrency:\n"
      "  - {name: c, match: {methods: POST}, key: [user], missing: fallback, max: 10, queue: 5, "
      "queue_timeout: 300ms, "
      "lease: 6s,\n     scope: local, status: 429, failure_mode: allow}\n"
      "  - {name: d, key: [client_ip], max: 2}\n");
  REQUIRE(s.concurrency.rules().size() == 2);
  const auto& c = s.concurrency.rules()[0];
  CHECK(c.quota == limiter::quota{limiter::algorithm::concurrency, 10, 6'000'000, 10});
  CHECK(c.slots == limiter::slot_limit{5, 300'000, true, 429});
  CHECK(c.missing == limiter::on_missing::fallback);
  CHECK(c.fallback.at(0).text == "client_ip");
  CHECK(c.match.methods == std::vector<std::string>{"POST"});
  CHECK(c.failure_mode == limiter::failure_mode::allow);
  const auto& d = s.concurrency.rules()[1];
  CHECK(d.index == 1);
  CHECK(d.rid == limiter::make_rule_id("d"));
  CHECK(d.quota.period_us == 30'000'000);
  CHECK(d.slots == limiter::slot_limit{0, 200'000, false, 503});
  CHECK(d.failure_mode == limiter::failure_mode::deny);
  CHECK(s.policy.rules().empty());
}

TEST_CASE("deny reaches the settings and ratelimit-11 is what ratelimit means now") {
  const auto d =
      settings_of("deny: {status: 503, headers: [x-ratelimit, ratelimit-11], headers_on: denied}\n").deny;
  CHECK(d.status == 503);
  REQUIRE(d.headers.size() == 2);
  CHECK(d.headers[0]->name == "x-ratelimit");
  CHECK(d.headers[1]->name == "ratelimit-11");
  CHECK_FALSE(d.headers_on_all);
  CHECK(settings_of("deny: {headers: []}\n").deny.headers.empty());
}

TEST_CASE("how denials are told reaches the settings") {
  const auto d = settings_of(
                     "deny: {body: accept, reset: epoch, partition_key: hash, jitter: 50%, cors: mirror,\n"
                     "       headers: [ratelimit-06, x-ratelimit-envoy]}\n")
                     .deny;
  CHECK(d.body == proxy::deny_body::by_accept);
  CHECK(d.reset_is_time);
  CHECK(d.tell_partitions);
  CHECK(d.jitter_percent == 50);
  CHECK(d.mirror_origin);
  CHECK(settings_of("deny: {body: problem+json, cors: none}\n").deny.body == proxy::deny_body::problem_json);
  const auto s =
      settings_of("listen: [{address: \"127.0.0.1:1\", headers: [ratelimit-07]}, \"127.0.0.1:2\"]\n");
  REQUIRE(s.listeners.at(0).headers);
  CHECK(s.listeners[0].headers->at(0)->name == "ratelimit-07");
  CHECK_FALSE(s.listeners.at(1).headers);
}

TEST_CASE("what is logged and how reaches the settings") {
  const auto log = settings_of(
                       "access_log: {format: caddy, redact: [X-Own], headers: [User-Agent],\n"
                       "  filter: {statuses: [4xx, 200], min_duration: 5ms, min_attempts: 2,\n"
                       "           decisions: [shadow_deny, exempt, blocked]}}\n")
                       .access_log;
  CHECK(log.format->name == "caddy");
  CHECK(log.redact == std::vector<std::string>{"x-own"});
  CHECK(log.headers == std::vector<std::string>{"user-agent"});
  using proxy::record_decision;
  const auto keeps = [&](int status, int ms, int attempts, record_decision decision) {
    return log.filter.keeps(status, std::chrono::milliseconds(ms), attempts, decision);
  };
  CHECK(keeps(404, 5, 2, record_decision::exempt));
  CHECK(keeps(200, 9, 3, record_decision::blocked));
  CHECK_FALSE(keeps(500, 5, 2, record_decision::exempt));
  CHECK_FALSE(keeps(404, 4, 2, record_decision::exempt));
  CHECK_FALSE(keeps(404, 5, 1, record_decision::exempt));
  CHECK_FALSE(keeps(404, 5, 2, record_decision::allow));
  CHECK(
      settings_of("").access_log.filter.keeps(499, std::chrono::milliseconds(0), 0, record_decision::allow));
}

TEST_CASE("own log, series and the store's clock reach the settings") {
  const auto s = settings_of(
      "log: {level: error, to: stdout}\nmetrics: {max_series: 1000}\n"
      "store: {url: \"rediss://h\", clock: proxy, allow_grace: 30s, tls: {verify: false}}\n"
      "rules: [{name: r, key: [client_ip], limit: 9/day, sharing: local}]\n");
  CHECK(s.log.level == proxy::log_level::error);
  CHECK(s.log.to == "stdout");
  CHECK(s.metrics.max_series == 1000);
  CHECK(s.store.redis.proxy_clock);
  CHECK_FALSE(s.store.redis.tls.verify);
  CHECK(s.store.allow_grace == std::chrono::seconds(30));
  CHECK(s.policy.rules().at(0).sharing == limiter::sharing_mode::local);
}

TEST_CASE("a path parameter needs no `missing` where every named route has it") {
  const std::string routes =
      "routes: [{name: item, match: {path: [\"/a/{id}\", \"/b/{id}/c\"]}, upstream: web},\n"
      "         {name: mixed, match: {path: [\"/c/{id}\", \"/c\"]}, upstream: web}]\n";
  const auto codes = [&](const std::string& rule) {
    return codes_of(load(std::string{head} + routes +
                         "rules: [{name: r, key: [client_ip, \"path_param:id\"], limit: 1/day" + rule +
                         "}]\n"));
  };
  CHECK(codes(", match: {route: item}").find("E0305") == std::string::npos);
  CHECK(codes(", match: {route: [item, mixed]}").find("E0305") != std::string::npos);
  CHECK(codes("").find("E0305") != std::string::npos);
  CHECK(codes(", missing: skip").find("E0") == std::string::npos);
}

TEST_CASE("the names of path parameters keep their case") {
  const auto s = settings_of(
      "paths: {case: insensitive}\nroutes: [{name: a, match: {path: \"/Users/{userId}\"}, upstream: web}]\n"
      "rules: [{name: r, key: [\"path_param:userId\", client_ip], match: {route: a}, limit: 1/day}]\n");
  CHECK(s.routes.at(0).match.paths.at(0) == "/users/{userId}");
}

TEST_CASE("x- keys hold anchors and notes, and a JSON file is a policy file") {
  const auto loaded =
      load("version: 1\nx-pool: &p {size: 3}\nupstreams: {web: {url: \"http://h:1\", pool: *p}}\n");
  REQUIRE(loaded.settings);
  CHECK(loaded.settings->upstreams[0].pool.size == 3);
  CHECK(load(R"({"version": 1, "upstreams": {"web": {"url": "http://h:1"}}})").settings);
}

TEST_CASE("the environment fills values in and its values are never shown") {
  const auto env = [](std::string_view name) -> std::optional<std::string> {
    return name == "PORT" ? std::optional<std::string>{"hunter2"} : std::nullopt;
  };
  const auto loaded = load(
      std::string{head} + "workers: ${PORT}\nlisten: 127.0.0.1:${PORT}\nstore: {url: \"${PORT}\"}\n", env);
  CHECK(codes_of(loaded) == "E0205 E0209 E0210 W0110");
  for (const auto& p : loaded.problems)
    CHECK(render(p, loaded.source_text, false).find("hunter2") == std::string::npos);
}

TEST_CASE("a rule is told in words, also when something else in the file is wrong") {
  const auto loaded = load(std::string{head} +
                           "workers: none\nrules: [{name: per-ip, key: [client_ip], limit: 100/minute}]\n");
  CHECK_FALSE(loaded.settings);
  REQUIRE(loaded.rule_summaries.size() == 1);
  CHECK(loaded.rule_summaries[0] ==
        "rule per-ip  token bucket: 100 at once, then 1 every 600ms; at most 199 in any 60s");
}

TEST_CASE("costs and concurrency are told in words") {
  const auto words = [](const std::string& text) { return load(head + text).rule_summaries.at(0); };
  CHECK(words(std::string{rule} + ", response_cost: {reserve: 3, actual: {json_pointer: /u}, max: 5}}]\n")
            .ends_with("; 3 units reserved, settled by /u of the response, at most 5"));
  CHECK(words(std::string{rule} + ", response_cost: {reserve: 3, actual: {bytes: both}, unit: 1KiB}}]\n")
            .ends_with("; 3 units reserved, settled by bytes of both bodies per 1024, at most 10"));
  CHECK(words(std::string{rule} + ", count: {status: [401, 5xx]}}]\n")
            .ends_with("; only responses with 401 5xx stay charged"));
  CHECK(words(std::string{rule} + ", cost_from: {header: X-Cost, max: 7}}]\n")
            .ends_with("; the client names 1 to 7 units in header x-cost"));
  CHECK(words("concurrency: [{name: c, key: [client_ip], max: 10, queue: 5}]\n") ==
        "rule c  concurrency: 10 at the same time, 5 more may wait up to 200ms; free again within 30s of a "
        "crash");
}

TEST_CASE("tiers, overrides and modes in words, each tier with its worst case") {
  const auto all = [](const std::string& text) {
    return load(std::string{head} + "identity: {tier: [{header: X-Tier}]}\n" + text).rule_summaries;
  };
  CHECK(all("rules: [{name: r, key: [client_ip], limit: 60/minute, penalty: 5m, tiers: {pro: {limit: "
            "600/minute, "
            "burst: 1200}, internal: unlimited}, overrides: [{user: a, limit: unlimited, reason: b}]}]\n") ==
        std::vector<std::string>{
            "rule r  token bucket: 60 at once, then 1 every 1s; at most 119 in any 60s; 1 override; a denial "
            "blocks "
            "the key for 5m",
            "rule r  tier pro: token bucket: 1200 at once, then 1 every 100ms; at most 1799 in any 60s",
            "rule r  tier internal: unlimited: not counted"});
  CHECK(all("rules: [{name: r, key: [client_ip], limit: unlimited, mode: shadow}]\n") ==
        std::vector<std::string>{"rule r  unlimited: not counted; shadow: only says what it would deny"});
  CHECK(all("rules: [{name: r, key: [client_ip], limit: 5/day, algorithm: sliding_window_log, mode: "
            "disabled}]\n") ==
        std::vector<std::string>{
            "rule r  sliding window log: never more than 5 in any 1d; disabled: not applied"});
  CHECK(all("rules: [{name: r, key: [client_ip], limit: 5/day, algorithm: sliding_window_log, "
            "enforce_percent: 25}]\n")
            .front()
            .ends_with("; enforced for 25 of 100 keys, shadow for the others"));
  CHECK(all("concurrency: [{name: c, key: [client_ip], max: 1, tiers: {pro: 40, internal: unlimited}}]\n") ==
        std::vector<std::string>{"rule c  concurrency: 1 at the same time; free again within 30s of a crash",
                                 "rule c  tier pro: 40 at the same time",
                                 "rule c  tier internal: unlimited: not counted"});
}

TEST_CASE("tiers and overrides keep the algorithm and the calendar of their rule") {
  const auto loaded = load(
      std::string{head} +
      "identity: {user: [{header: X-User}], tier: [{header: X-Tier}]}\n"
      "client_ip: {trusted_proxies: []}\n"
      "rules:\n  - {name: r, key: [client_ip], limit: 5/day, algorithm: fixed_window, timezone: \"+02:00\",\n"
      "     tiers: {pro: 9/month}, status: 403, penalty: 1m,\n"
      "     overrides: [{client_ip: \"2001:db8::7\", limit: 7/day, until: \"2099-01-01T00:00:00Z\", reason: "
      "x}]}\n"
      "concurrency: [{name: c, key: [client_ip], max: 1, tiers: {pro: 40}}]\n");
  REQUIRE(loaded.settings);
  const auto& rule = loaded.settings->policy.rules().front();
  CHECK(rule.status == 403);
  CHECK(rule.penalty_us == 60'000'000);
  REQUIRE(rule.tiers.size() == 1);
  CHECK(rule.tiers[0].allowed->calendar == limiter::calendar_unit::month);
  CHECK(rule.tiers[0].allowed->zone == rule.quota.zone);
  CHECK(rule.quota.calendar == limiter::calendar_unit::day);
  REQUIRE(rule.overrides);
  CHECK(rule.overrides->items()[0].allowed->limit == 7);
  CHECK(rule.overrides->items()[0].until_us == 4'070'908'800'000'000);
  limiter::request_attributes request;
  request.client_ip = "2001:db8::/64";  // the group of the address
  std::string scratch;
  CHECK(rule.overrides->find(request, 0, scratch) == &rule.overrides->items()[0]);
  const auto& slots = loaded.settings->concurrency.rules().front();
  REQUIRE(slots.tiers.size() == 1);
  CHECK(slots.tiers[0].allowed->limit == 40);
  CHECK(slots.tiers[0].allowed->burst == 40);
  CHECK(slots.tiers[0].allowed->period_us == slots.quota.period_us);
}

TEST_CASE("an unknown key is shown with its caret, a suggestion and the keys there are") {
  const auto loaded =
      load(std::string{head} +
           "rules:\n  - name: per-ip\n    key: [client_ip]\n    limit: 5/minute\n    brust: 100\n");
  REQUIRE(loaded.problems.size() >= 1);
  CHECK(render(loaded.problems[0], loaded.source_text, false) ==
        "error[E0312]: unknown key `brust` in rule `per-ip`\n"
        "  --> weir.yaml:7:5\n"
        "  |\n"
        "7 |     brust: 100\n"
        "  |     ^^^^^ did you mean `burst`?\n"
        "  = help: keys of a rule: name match key missing fallback limit burst tiers overrides "
        "overrides_file algorithm timezone cost sharing cost_from count response_cost failure_mode headers "
        "mode enforce_percent penalty status\n");
  CHECK(loaded.problems[0].path == "rules[0].brust");
}

TEST_CASE("behind a syntax error nothing is called missing, before it mistakes are still found") {
  CHECK(codes_of(load("version: 1\nworkers: x\nlisten: 'a\n")) == "E0103 E0205");
}

TEST_CASE("all problems come in one run, in the order of the file") {
  const auto loaded = load(std::string{head} + "workers: 0\ndrain: {delay: 5}\nvia: \"a b\"\n");
  CHECK(codes_of(loaded) == "E0203 E0204 E0211 W0110");
  CHECK(std::is_sorted(loaded.problems.begin(), loaded.problems.end() - 1,
                       [](const auto& a, const auto& b) { return a.line < b.line; }));
}

TEST_CASE("problems without end are counted, not kept") {
  std::string text = head;
  for (int i = 0; i < 1000; ++i) text += fmt::format("k{}: 1\n", i);
  const auto loaded = load(text);
  CHECK(loaded.problems.size() <= 201);
  CHECK_FALSE(loaded.settings);
}

TEST_CASE("every key that this release does not have is refused") {
  for (const auto* text :
       {"exempt: [{match: {methods: GET}, reason: a, status: 404}]", "metrics: {series: 1000}",
        "trace: {sample: 1%}", "admin: {token_file: t}", "store: {breaker: {threshold: 5}}",
        "store: {pool: {minimum: 1}}", "store: {tls: {alpn: x}}",
        "listen: [{address: \"0.0.0.0:1\", tls: {alpn: h2}}]", "deny: {trailers: true}",
        "rules: [{name: r, key: [client_ip], limit: 1/second, delay: 1s}]"}) {
    CAPTURE(text);
    CHECK(codes_of(load(std::string{head} + text + "\n")).find("E0312") != std::string::npos);
  }
}

TEST_CASE("tests of a policy are read with their defaults") {
  const auto loaded = load(std::string{head} + rule + "}]\n" +
                           "concurrency: [{name: c, key: [client_ip], max: 1}]\n"
                           "tests:\n"
                           "  - name: first\n"
                           "    given: {user: u1, tier: pro, claims: {sub: s, admin: true}, "
                           "at: \"2027-01-31T02:00:00.5+02:00\"}\n"
                           "    send:\n"
                           "      - {method: POST, path: \"/a?b=c\", host: h, headers: {X-A: 1}, client_ip: "
                           "\"2001:db8::1\", times: 3, over: 1.5s, wait: 2s,\n"
                           "         respond: {status: 401, headers: {X-B: c}, body: \"{}\", after: 250us}}\n"
                           "      - {}\n"
                           "    expect: {allowed: \"<3\", denied: \">= 1\", denied_by: c, status: \"<=499\", "
                           "retry_after: \">1m\",\n"
                           "      remaining: {r: 7}, headers: {Retry-After: \"*\"}}\n"
                           "  - {name: second, send: {}, expect: {}}\n");
  REQUIRE(codes_of(loaded).find('E') == std::string::npos);
  REQUIRE(loaded.tests.size() == 2);
  namespace offline = weir::proxy::offline;
  const auto& first = loaded.tests[0];
  CHECK(first.line == 6);
  CHECK(first.given.user == "u1");
  CHECK(first.given.tier == "pro");
  CHECK(first.given.claims ==
        std::vector<std::pair<std::string, std::string>>{{"sub", "s"}, {"admin", "true"}});
  CHECK(first.at_us == 1'801'353'600'500'000);
  REQUIRE(first.send.size() == 2);
  const auto& item = first.send[0];
  CHECK(item.method == "POST");
  CHECK(item.target == "/a?b=c");
  CHECK(item.host == "h");
  CHECK(item.headers == std::vector<std::pair<std::string, std::string>>{{"X-A", "1"}});
  CHECK(item.client == *weir::identity::parse_address("2001:db8::1"));
  CHECK(item.times == 3);
  CHECK(item.over_us == 1'500'000);
  CHECK(item.wait_us == 2'000'000);
  CHECK(item.respond.status == 401);
  CHECK(item.respond.headers == std::vector<std::pair<std::string, std::string>>{{"X-B", "c"}});
  CHECK(item.respond.body == "{}");
  CHECK(item.respond.after_us == 250);
  CHECK(to_text(*first.expect.allowed) == "<3");
  CHECK(to_text(*first.expect.denied) == ">=1");
  CHECK(first.expect.denied_by == "c");
  CHECK(to_text(*first.expect.status) == "<=499");
  CHECK(to_text(*first.expect.retry_after_s, "s") == ">60s");
  CHECK(first.expect.remaining.at(0).first == "r");
  CHECK(first.expect.remaining.at(0).second.value == 7);
  CHECK(first.expect.headers == std::vector<std::pair<std::string, std::string>>{{"retry-after", "*"}});
  const auto& plain = loaded.tests[1].send.at(0);
  CHECK(loaded.tests[1].at_us == 1'767'225'600'000'000);
  CHECK(plain.method == "GET");
  CHECK(plain.target == "/");
  CHECK(plain.host == "localhost");
  CHECK(plain.client == *weir::identity::parse_address("127.0.0.1"));
  CHECK(plain.times == 1);
  CHECK(plain.respond.status == 200);
}

TEST_CASE("a test that cannot be sent or shows nothing is refused") {
  const auto refused = [](const std::string& test) {
    const auto codes = codes_of(load(std::string{head} + rule + "}]\ntests: [" + test + "]\n"));
    return codes.substr(0, codes.find(" W"));  // the rule has its advice
  };
  CHECK(refused("{name: t, expect: {}}") == "E0302");
  CHECK(refused("{name: t, send: {}}") == "E0302");
  CHECK(refused("{send: {}, expect: {}}") == "E0302");
  CHECK(refused("{name: t, send: [], expect: {}}") == "E0303");
  CHECK(refused("{name: t, send: {times: 0}, expect: {}}") == "E0204");
  CHECK(refused("{name: t, send: {path: a}, expect: {}}") == "E0213");
  CHECK(refused("{name: t, send: {path: \"/a\\nb\"}, expect: {}}") == "E0204");
  CHECK(refused("{name: t, send: {headers: {\"a b\": c}}, expect: {}}") == "E0213");
  CHECK(refused("{name: t, send: {headers: {a: \"b\\r\\nc: d\"}}, expect: {}}") == "E0204");
  CHECK(refused("{name: t, send: {client_ip: \"::1/64\"}, expect: {}}") == "E0209");
  CHECK(refused("{name: t, send: {respond: {status: 101}}, expect: {}}") == "E0204");
  CHECK(refused("{name: t, send: {}, expect: {allowed: \"=5\"}}") == "E0205");
  CHECK(refused("{name: t, send: {}, expect: {retry_after: 5}}") == "E0203");
  CHECK(refused("{name: t, send: {}, expect: {retry_after: 500ms}}") == "E0203");
  CHECK(refused("{name: t, send: {}, expect: {remaining: {x: 5}}}") == "E0408");
  CHECK(refused("{name: t, send: {}, expect: {alowed: 5}}") == "E0312");
  CHECK(refused("{name: t, send: {}, expect: {}}, {name: t, send: {}, expect: {}}") == "E0403");
}

// ---- Every code once
// -------------------------------------------------------------------------------------------------

namespace {

struct provocation {
  const char* code;
  std::string text;
};

const std::vector<provocation>& provocations() {
  const std::string h = head;
  const std::string r = std::string{head} + rule;  // an open rule: `, key: value}]` closes it
  static const std::vector<provocation> all{
      {"E0101", "a: 1\n- b\n"},
      {"E0102", h + "workers: 1\nworkers: 2\n"},
      {"E0103", h + "via: 'x\n"},
      {"E0104", h + "listen: [\n"},
      {"E0105", h + "workers: 0x2\n"},
      {"E0106", h + "via: on\n"},
      {"E0107", "x-a: &a {b: 1}\n" + h + "limits: {<<: *a}\n"},
      {"E0108", h + "workers: !!int 2\n"},
      {"E0109", h + "---\n"},
      {"E0110", h + "workers:\t2\n"},
      {"E0111", h + "1: 2\n"},
      {"E0112", h + "via: a\x01\n"},
      {"E0113", h + "via: \xff\n"},
      {"E0114", h + "#" + std::string(1024 * 1024, 'x') + "\n"},
      {"E0115", h + "x-a: " + std::string(40, '[') + std::string(40, ']') + "\n"},
      {"E0116", h + "workers: &w 2\nvia: *w\n"},
      {"E0201", h + "workers: ${WORKERS}\n"},
      {"E0202", h + "workers: $WORKERS\n"},
      {"E0203", h + "limits: {body_size: 64K}\n"},
      {"E0203", h + "drain: {delay: 5}\n"},
      {"E0203", h + "limits: {body_min_rate: 500}\n"},
      {"E0204", h + "workers: 257\n"},
      {"E0204", h + "limits: {body_min_rate: 0B/second}\n"},
      {"E0204", h + "drain: {delay: 250us}\n"},
      {"E0204", h + "rules: [{name: r, key: [client_ip], limit: 0/minute}]\n"},
      {"E0205", h + "workers: two\n"},
      {"E0206", h + "log: {level: warning}\n"},
      {"E0206", r + ", algorithm: gcra}]\n"},
      {"E0207", h + "rules: [{name: r, key: [client_ip], limit: 1000003/day, burst: 1000000}]\n"},
      {"E0207",
       h + "rules: [{name: r, key: [client_ip], limit: 10001/day, algorithm: sliding_window_log}]\n"},
      {"E0208", r + ", cost: 11}]\n"},
      {"E0208", r + ", cost_from: {header: x, max: 11}}]\n"},
      {"E0208", r + ", response_cost: {reserve: 11, actual: {bytes: both}}}]\n"},
      {"E0208", r + ", response_cost: {reserve: 1, actual: {bytes: both}, max: 11}}]\n"},
      {"E0209", h + "listen: localhost:80\n"},
      {"E0210", h + "store: {url: \"mysql://x\"}\n"},
      {"E0210", "version: 1\nupstreams: {web: {url: \"http://h/path\"}}\n"},
      {"E0211", "version: 1\nupstreams: {Web: {url: \"http://h\"}}\n"},
      {"E0212", h + "client_ip: {trusted_proxies: [10.0.0.1/8]}\n"},
      {"E0213", h + "routes: [{name: a, match: {path: /a/**/b}, upstream: web}]\n"},
      {"E0213", h + "routes: [{name: a, match: {methods: get}, upstream: web}]\n"},
      {"E0213", "version: 1\nupstreams: {web: {url: \"http://h\", health_check: {path: healthz}}}\n"},
      {"E0213", "version: 1\nupstreams: {web: {url: \"http://h\", health_check: {path: \"/a b\"}}}\n"},
      {"E0302", "version: 1\nupstreams: {web: {url: \"http://h\", health_check: {interval: 1s}}}\n"},
      {"E0204", "version: 1\nupstreams: {web: {url: \"http://h\", outlier: {consecutive_failures: 0}}}\n"},
      {"E0203", "version: 1\nupstreams: {web: {url: \"http://h\", outlier: {max_ejected: 50}}}\n"},
      {"E0213", h + "routes: [{name: a, match: {host: \"a:80\"}, upstream: web}]\n"},
      {"E0213", h + "routes: [{name: a, match: {path: /}, upstream: web, upgrade: \"a b\"}]\n"},
      {"E0206", h + "routes: [{name: a, match: {path: /}, upstream: web, upgrade: [websocket, H2C]}]\n"},
      {"E0213", r + ", cost_from: {header: \"a b\", max: 5}}]\n"},
      {"E0213", r + ", cost_from: {query: \"\", max: 5}}]\n"},
      {"E0213", r + ", response_cost: {reserve: 1, actual: {json_pointer: usage}}}]\n"},
      {"E0213", r + ", response_cost: {reserve: 1, actual: {json_pointer: /a~2}}}]\n"},
      {"E0205", r + ", cost_from: {header: x, min: -1, max: 5}}]\n"},
      {"E0204", r + ", cost_from: {header: x, max: 0}}]\n"},
      {"E0204", r + ", count: {status: 99}}]\n"},
      {"E0205", r + ", count: {status: 6xx}}]\n"},
      {"E0206", r + ", response_cost: {reserve: 1, actual: {bytes: all}}}]\n"},
      {"E0302", r + ", cost_from: {header: x}}]\n"},
      {"E0302", r + ", cost_from: {max: 5}}]\n"},
      {"E0302", r + ", count: {}}]\n"},
      {"E0302", r + ", response_cost: {actual: {bytes: both}}}]\n"},
      {"E0302", r + ", response_cost: {reserve: 1}}]\n"},
      {"E0302", r + ", response_cost: {reserve: 1, actual: {}}}]\n"},
      {"E0304", r + ", cost_from: {header: x, query: y, max: 5}}]\n"},
      {"E0304", r + ", cost_from: {header: x, min: 6, max: 5}}]\n"},
      {"E0304", r + ", cost: 2, response_cost: {reserve: 1, actual: {bytes: both}}}]\n"},
      {"E0304", r + ", count: {status: 4xx}, response_cost: {reserve: 1, actual: {bytes: both}}}]\n"},
      {"E0304", r + ", response_cost: {reserve: 1, actual: {bytes: both, header: x}}}]\n"},
      {"E0304", r + ", response_cost: {reserve: 3, actual: {bytes: both}, max: 2}}]\n"},
      {"E0204", h + "concurrency: [{name: c, key: [client_ip], max: 0}]\n"},
      {"E0204", h + "concurrency: [{name: c, key: [client_ip], max: 1, status: 500}]\n"},
      {"E0204", h + "concurrency: [{name: c, key: [client_ip], max: 1, lease: 1ms}]\n"},
      {"E0204", h + "concurrency: [{name: c, key: [client_ip], max: 100001}]\n"},
      {"E0302", h + "concurrency: [{name: c, key: [client_ip]}]\n"},
      {"E0305", h + "concurrency: [{name: c, key: [user], max: 1}]\n"},
      {"E0402", h + "concurrency: [{name: c, match: {route: nowhere}, key: [client_ip], max: 1}]\n"},
      {"E0403", r + "}]\nconcurrency: [{name: r, key: [client_ip], max: 1}]\n"},
      {"E0214", h + "rules: [{name: r, key: [ip], limit: 10/minute}]\n"},
      {"E0301", h + "limits: 5\n"},
      {"E0301", h + "workers:\n"},
      {"E0301", ""},
      {"E0302", "version: 1\n"},
      {"E0302", h + "rules: [{name: r, key: [client_ip]}]\n"},
      {"E0303", h + "listen: []\n"},
      {"E0304", "version: 1\nupstreams: {web: {url: \"http://h\", endpoints: [{url: \"http://h\"}]}}\n"},
      {"E0304", r + ", algorithm: sliding_window_log, burst: 5}]\n"},
      {"E0304", r + ", fallback: [client_ip]}]\n"},
      {"E0304", r + ", timezone: UTC}]\n"},
      {"E0304", h + "rules: [{name: r, key: [client_ip], limit: 5/month}]\n"},
      {"E0304",
       h + "rules: [{name: r, key: [client_ip], limit: 5/hour, algorithm: fixed_window, timezone: UTC}]\n"},
      {"E0207", h + "rules: [{name: r, key: [client_ip], limit: 2000000000/day, algorithm: "
                    "sliding_window_counter}]\n"},
      {"E0215", h + "rules: [{name: r, key: [client_ip], limit: 5/day, algorithm: fixed_window, timezone: "
                    "Mars/Base}]\n"},
      {"E0215",
       h + "rules: [{name: r, key: [client_ip], limit: 5/day, algorithm: fixed_window, timezone: ../UTC}]\n"},
      {"E0304", h + "store: {url: \"redis://u:p@h\", username: v}\n"},
      {"E0305", h + "rules: [{name: r, key: [user], limit: 10/minute}]\n"},
      {"E0305", h + "rules: [{name: r, key: [user], missing: fallback, fallback: [\"header:x\"], limit: "
                    "10/minute}]\n"},
      {"E0306", h + "admin: 0.0.0.0:9901\n"},
      {"E0307", "version: 2\nupstreams: {web: {url: \"http://h\"}}\n"},
      {"E0308", h + "drain: {delay: 30s}\n"},
      {"E0308", h + "drain: {delay: 25s}\n"},
      {"E0309", "version: 1\nupstreams: {web: {url: \"http://h\", retry: {methods: [GET, POST]}}}\n"},
      {"E0310", "version: 1\nupstreams: {a: {url: \"http://h\"}, b: {url: \"http://h\"}}\n"},
      {"E0312", h + "worker: 1\n"},
      {"E0304", "version: 1\nupstreams: {web: {url: \"http://h\", tls: {server_name: h}}}\n"},
      {"E0302", h + "listen: [{address: \"127.0.0.1:1\", tls: {}}]\n"},
      {"E0303", h + "listen: [{address: \"127.0.0.1:1\", tls: []}]\n"},
      {"E0302", h + "listen: [{address: \"127.0.0.1:1\", tls: {client_auth: required}}]\n"},
      {"E0304", h + "listen: [{address: \"127.0.0.1:1\", tls: {client_ca: /dev/null}}]\n"},
      {"E0501", h + "listen: [{address: \"127.0.0.1:1\", tls: {certificate: /nowhere, key: /nowhere}}]\n"},
      {"E0502", h + "listen: [{address: \"127.0.0.1:1\", tls: {certificate: /dev/null, key: /dev/null}}]\n"},
      {"E0206", h + "listen: [{address: \"127.0.0.1:1\", tls: {min_version: tls1.1}}]\n"},
      {"E0302", h + "listen: [{address: \"127.0.0.1:1\", proxy_protocol: {}}]\n"},
      {"E0303", h + "listen: [{address: \"127.0.0.1:1\", proxy_protocol: {from: []}}]\n"},
      {"E0212", h + "listen: [{address: \"127.0.0.1:1\", proxy_protocol: {from: [10.0.0.1/8]}}]\n"},
      {"E0206",
       h + "listen: [{address: \"127.0.0.1:1\", proxy_protocol: {from: [10.0.0.1], versions: [v3]}}]\n"},
      {"E0304", h + "store: {url: \"redis://h\", tls: {server_name: h}}\n"},
      {"E0304", h + "store: {cold_start: empty}\n"},
      {"E0304", h + "store: {url: \"redis://h\", topology: cluster, nodes: [\"h:1\"], cold_start: empty}\n"},
      {"E0302", h + "store: {url: \"redis://h\", topology: cluster}\n"},
      {"E0302", h + "store: {url: \"redis://h\", topology: sentinel, nodes: [\"h:1\"]}\n"},
      {"E0304", h + "store: {url: \"redis://h\", nodes: [\"h:1\"]}\n"},
      {"E0304", h + "store: {url: \"redis://h\", topology: cluster, nodes: [\"h:1\"], master: m}\n"},
      {"E0304", h + "store: {url: \"redis://h/1\", topology: cluster, nodes: [\"h:1\"]}\n"},
      {"E0304", h + "store: {topology: cluster, nodes: [\"h:1\"]}\n"},
      {"E0303", h + "store: {url: \"redis://h\", topology: cluster, nodes: [\"h:1\", \"h:1\"]}\n"},
      {"E0209", h + "store: {url: \"redis://h\", topology: cluster, nodes: [\"h\"]}\n"},
      {"E0502", h + "store: {url: \"rediss://h\", tls: {ca_file: /dev/null}}\n"},
      {"E0304", h + "client_ip: {trusted_proxies: [10.0.0.0/8], hops: 1}\n"},
      {"E0204", h + "client_ip: {hops: 33}\n"},
      {"E0302", h + "identity: {user: [{claim: sub}]}\n"},
      {"E0302", h + "identity: {user: [{hash: true}]}\n"},
      {"E0304", h + "identity: {user: [{header: a, query: b}]}\n"},
      {"E0213", h + "identity: {user: [{header: \"a b\"}]}\n"},
      {"E0302", h + "identity: {jwt: {algorithms: [RS256]}}\n"},
      {"E0302", h + "identity: {jwt: {jwks_file: /dev/null}}\n"},
      {"E0304", h + "identity: {jwt: {jwks_file: /dev/null, secret_file: /dev/null, algorithms: [RS256]}}\n"},
      {"E0502", h + "identity: {jwt: {jwks_file: /dev/null, algorithms: [RS256]}}\n"},
      {"E0502", h + "identity: {jwt: {secret_file: /dev/null, algorithms: [HS256]}}\n"},
      {"E0206", h + "identity: {jwt: {secret_file: /dev/null, algorithms: [none]}}\n"},
      {"E0304", h + "identity: {jwt: {unverified: true, algorithms: [RS256]}}\n"},
      {"W0205", h + "identity: {jwt: {unverified: true}}\n"},
      {"W0207", h + "identity: {jwt: {unverified: true}}\n"},
      {"E0205", h + "identity: {jwt: {unverified: true, issuer: \"\"}}\n"},
      {"E0302", h + "identity: {tier: [{file: /dev/null}]}\n"},
      {"E0304", h + "identity: {tier: [{header: a, by: user}]}\n"},
      {"E0304", h + "identity: {tier: [{file: /dev/null, by: route}]}\n"},
      {"E0304", h + "identity: {tier: [{constant: a}, {header: b}]}\n"},
      {"E0302", h + "identity: {tier: [{}]}\n"},
      {"E0211", h + "identity: {tier: [{constant: Gold}]}\n"},
      {"E0302", h + "block: [{reason: a}]\n"},
      {"E0302", h + "block: [{match: {methods: GET}}]\n"},
      {"E0304", h + "block: [{match: {methods: GET}, file: /dev/null, by: user, reason: a}]\n"},
      {"E0302", h + "exempt: [{file: /dev/null, reason: a}]\n"},
      {"E0304", h + "exempt: [{match: {methods: GET}, by: user, reason: a}]\n"},
      {"E0312", h + "exempt: [{match: {methods: GET}, status: 403, reason: a}]\n"},
      {"E0204", h + "block: [{match: {methods: GET}, status: 500, reason: a}]\n"},
      {"E0204", h + "block: [{match: {methods: GET}, reason: \"\"}]\n"},
      {"E0402", h + "block: [{match: {route: nowhere}, reason: a}]\n"},
      {"E0302", h + "block: [{file: /dev/null, by: \"claim:x\", reason: a}]\n"},
      {"E0212", h + "block: [{match: {client_ip: 10.0.0.1/8}, reason: a}]\n"},
      {"E0301", h + "block: [{match: {header: a}, reason: a}]\n"},
      {"E0213", h + "block: [{match: {header: {\"a b\": c}}, reason: a}]\n"},
      {"E0205", h + "block: [{match: {user: \"\"}, reason: a}]\n"},
      {"E0312", h + "block: [{match: {not: {not: {methods: GET}}}, reason: a}]\n"},
      {"E0305", h + "identity: {tier: [{header: a}]}\nrules: [{name: r, key: [tier], limit: 1/day}]\n"},
      {"E0302", r + "}, {name: s, key: [\"claim:org\"], missing: skip, limit: 1/day}]\n"},
      {"E0206", h + "forwarded: yes-please\n"},
      {"E0206", r + ", mode: off}]\n"},
      {"E0204", r + ", enforce_percent: 101}]\n"},
      {"E0304", r + ", mode: shadow, enforce_percent: 10}]\n"},
      {"E0304", r + ", mode: disabled, enforce_percent: 10}]\n"},
      {"E0204", r + ", penalty: 999ms}]\n"},
      {"E0204", r + ", penalty: 25h}]\n"},
      {"E0204", r + ", status: 399}]\n"},
      {"E0204", r + ", status: 600}]\n"},
      {"W0112", r + ", penalty: 1m, sharing: balanced}]\n"},
      {"E0304", h + "rules: [{name: r, key: [client_ip], limit: unlimited, burst: 5}]\n"},
      {"E0301", r + ", tiers: [pro]}]\n"},
      {"E0203", r + ", tiers: {default: 100}}]\n"},
      {"E0302", r + ", tiers: {default: {burst: 100}}}]\n"},
      {"E0312", r + ", tiers: {default: {limit: 1/second, brust: 100}}}]\n"},
      {"E0211", r + ", tiers: {Gold: 1/second}}]\n"},
      {"E0207", r + ", tiers: {default: {limit: 1000003/day, burst: 1000000}}}]\n"},
      {"E0208", r + ", cost: {all: 6}, tiers: {default: 5/minute}}]\n"},
      {"E0208", r + ", cost_from: {query: n, max: 6}, tiers: {default: 5/minute}}]\n"},
      {"E0208", r + ", response_cost: {reserve: 6, actual: {bytes: both}}, tiers: {default: 5/minute}}]\n"},
      {"E0304", r + ", algorithm: fixed_window, tiers: {default: {limit: 5/minute, burst: 9}}}]\n"},
      {"E0304", r + ", tiers: {default: 5/month}}]\n"},
      {"E0304",
       h + "rules: [{name: r, key: [client_ip], limit: 5/day, algorithm: fixed_window, timezone: UTC, "
           "tiers: {default: 5/hour}}]\n"},
      {"W0208", r + ", tiers: {pro: 5/minute}}]\n"},
      {"W0208", h + "concurrency: [{name: c, key: [client_ip], max: 1, tiers: {pro: 5}}]\n"},
      {"E0204", h + "concurrency: [{name: c, key: [client_ip], max: 1, tiers: {default: 0}}]\n"},
      {"E0302", r + ", overrides: [{limit: 1/second, reason: a}]}]\n"},
      {"E0302", r + ", overrides: [{user: a, limit: 1/second}]}]\n"},
      {"E0302", r + ", overrides: [{user: a, reason: a}]}]\n"},
      {"E0304", r + ", overrides: [{user: a, route: all, limit: 1/second, reason: a}]}]\n"},
      {"E0312", r + ", overrides: [{usr: a, limit: 1/second, reason: a}]}]\n"},
      {"E0205", r + ", overrides: [{user: \"\", limit: 1/second, reason: a}]}]\n"},
      {"E0205", r + ", overrides: [{user: a, limit: 1/second, reason: \"\"}]}]\n"},
      {"E0216", r + ", overrides: [{user: a, limit: 1/second, until: tomorrow, reason: a}]}]\n"},
      {"E0208", r + ", cost: 6, overrides: [{user: a, limit: 5/second, reason: a}]}]\n"},
      {"E0212", r + ", overrides: [{client_ip: 10.0.0.0/8, limit: 1/second, reason: a}]}]\n"},
      {"E0302", r + ", overrides: [{\"claim:org\": a, limit: 1/second, reason: a}]}]\n"},
      {"W0111",
       r + ", overrides: [{user: a, limit: 9/second, until: \"2020-01-01T00:00:00Z\", reason: a}]}]\n"},
      {"E0501", r + ", overrides_file: /nowhere}]\n"},
      {"E0502", r + ", overrides_file: /dev/null}]\n"},
      {"E0401", h + "routes: [{name: a, match: {}, upstream: wbe}]\n"},
      {"E0402", r + ", match: {route: al}}]\n"},
      {"E0402", r + ", cost: {default: 1, serch: 5}}]\n"},
      {"E0403", h + "rules: [{name: r, key: [client_ip], limit: 1/second}, {name: r, key: [client_ip], "
                    "limit: 1/second}]\n"},
      {"E0403", h + "listen: 127.0.0.1:9901\n"},
      {"E0405", h + "deny: {headers: [ratelimit, ratelimit-11]}\n"},
      {"E0304", h + "store: {clock: proxy}\n"},
      {"E0304", h + "store: {url: \"redis://h\", clock: proxy, cold_start: empty}\n"},
      {"W0601", h + "store: {url: \"rediss://h\", tls: {verify: false}}\n"},
      {"E0302", h + "identity: {user: [{client_cert: subject}]}\n"},
      {"E0204", h + "deny: {jitter: 51%}\n"},
      {"W0301",
       "version: 1\nupstreams: {web: {url: \"http://h\", health_check: {path: \"/healthz?x\"}}}\n"
       "rules: [{name: r, key: [client_ip], limit: 10/minute}]\n"},
      {"E0407", h + "rules: [{name: r, key: [\"path_param:id\"], missing: skip, limit: 1/day}]\n"},
      {"E0501", h + "hash_key_file: /nowhere/at/all\n"},
      {"E0502", h + "store: {url: \"redis://h\", password_file: /dev/null}\n"},
      {"E0502", h + "hash_key_file: /dev/null\n"},
      {"W0107", r + "}]\n"},
      {"W0108", h + "store: {url: \"redis://h\", replicas: 20}\nrules: [{name: r, key: [client_ip], limit: "
                    "10/minute, sharing: balanced}]\n"},
      {"W0110", h},
      {"W0203", r + "}]\n"},
      {"W0204", h + "identity: {user: [{header: X-U}]}\nrules: [{name: r, key: [user], missing: skip, limit: "
                    "10/minute}]\n"},
      {"W0601", "version: 1\nupstreams: {web: {url: \"https://h\", tls: {verify: false}}}\n"},
      {"E0216", h + "tests: [{name: t, given: {at: 2027-01-31}, send: {}, expect: {allowed: 1}}]\n"},
      {"E0408", h + "tests: [{name: t, send: {}, expect: {denied_by: nobody}}]\n"},
      {"W0206", h + "rules: [{name: r, key: [user], missing: skip, limit: 10/minute}]\n"},
  };
  return all;
}

/// Two rule names with the same 24 bits, found by trying.
std::string colliding_rules() {
  std::map<std::string, std::string, std::less<>> seen;
  for (int i = 0; i < 200000; ++i) {
    auto name = fmt::format("r{}", i);
    const auto id = limiter::make_rule_id(name);
    const auto [other, added] = seen.emplace(std::string{id.text()}, name);
    if (added) continue;
    return fmt::format(
        "{}rules: [{{name: {}, key: [client_ip], limit: 1/second}}, {{name: {}, key: [client_ip], limit: "
        "1/second}}]\n",
        head, other->second, name);
  }
  return {};
}

}  // namespace

TEST_CASE("each mistake is reported under its code, and an error leaves no settings") {
  for (const auto& p : provocations()) {
    CAPTURE(p.text.substr(0, 300));
    const auto loaded = load(p.text);
    CHECK_MESSAGE(codes_of(loaded).find(p.code) != std::string::npos,
                  p.code << " expected, found " << codes_of(loaded));
    CHECK((loaded.settings == nullptr) == (p.code[0] == 'E'));
    CHECK((loaded.settings == nullptr) == has_errors(loaded.problems));
  }
}

TEST_CASE("a memory store in a Pod is a warning") {
  CHECK(codes_of(load(head, in_a_pod)) == "W0110 W0501");
  CHECK(codes_of(load(std::string{head} + "store: {url: \"redis://h\"}\n", in_a_pod)) == "W0110");
}

TEST_CASE("two rule names with one stored id are refused") {
  const auto text = colliding_rules();
  REQUIRE_FALSE(text.empty());
  CHECK(codes_of(load(text)).find("E0404") != std::string::npos);
}

TEST_CASE("every code is explained and provoked") {
  std::set<std::string_view> provoked{"E0404", "E0406", "W0401", "W0501"};  // each has its own test
  for (const auto& p : provocations()) provoked.insert(p.code);
  for (const auto& entry : all_codes()) {
    CAPTURE(entry.code);
    CHECK(provoked.contains(entry.code));
    CHECK_FALSE(entry.explanation.empty());
  }
  for (const auto& code : provoked) {
    CAPTURE(code);
    CHECK_FALSE(explain_code(code).empty());
  }
}

TEST_CASE("a nearest legal value is named") {
  const auto loaded =
      load(std::string{head} + "rules: [{name: r, key: [client_ip], limit: 1000003/day, burst: 1000000}]\n");
  const auto found = std::find_if(loaded.problems.begin(), loaded.problems.end(),
                                  [](const auto& p) { return p.code == "E0207"; });
  REQUIRE(found != loaded.problems.end());
  CHECK(found->hint == "the nearest legal burst is 104249");
}

TEST_CASE("an empty list of trusted proxies says that it is meant") {
  const auto text = std::string{head} + rule + "}]\n";
  CHECK(codes_of(load(text)) == "W0107 W0203");
  CHECK(codes_of(load(text + "client_ip: {trusted_proxies: []}\n")) == "W0107");
  CHECK(codes_of(load(text + "client_ip: {header: none}\n")) == "W0107");
}

TEST_CASE("an unreadable file is a problem, not an exception") {
  const auto loaded = load_file("/nowhere/weir.yaml", no_variables);
  CHECK(codes_of(loaded) == "E0501");
  CHECK_FALSE(loaded.settings);
  CHECK(codes_of(load_file("/", no_variables)) == "E0501");
}
