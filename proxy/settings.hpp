// SPDX-License-Identifier: Apache-2.0
// Everything the proxy is told by the policy file, as plain values. config/ fills it; nothing here reads
// YAML. Defaults are those of the policy file. Durations are milliseconds unless the type says otherwise.
#pragma once

#include "limiter/policy.hpp"
#include "limiter/redis/settings.hpp"
#include "limiter/stores/memory_store.hpp"
#include "limiter/value_table.hpp"
#include "proxy/http/rate_limit_emitters.hpp"
#include "proxy/identity/address.hpp"
#include "proxy/identity/jwt.hpp"
#include "proxy/observe/access_record.hpp"
#include "proxy/source_file.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace weir::proxy {

using std::chrono::milliseconds;

inline constexpr std::uint64_t unlimited = std::numeric_limits<std::uint64_t>::max();

/// `host:port` or `unix:PATH`. For an upstream the host may be a name.
struct socket_address {
  std::string host;        ///< IPv4, IPv6 without brackets, or a name; empty for unix
  std::uint16_t port = 0;  ///< 1 ... 65535; 0 for unix
  std::string unix_path;   ///< non-empty: unix domain socket
  [[nodiscard]] std::string text()
      const;  ///< as a user would write it: "127.0.0.1:80", "[::1]:80", "unix:/run/x"
  friend bool operator==(const socket_address&, const socket_address&) = default;
};

enum class client_auth : std::uint8_t { none, optional, required };

/// One certificate that a listener shows. Files are held as their text.
struct certificate_settings {
  std::string certificate;  ///< PEM, leaf first
  std::string key;          ///< PEM; fits the leaf
  bool only_tls13 = false;  ///< false: TLS 1.2, too
  std::string client_ca;    ///< PEM; not empty unless client_auth is none
  proxy::client_auth client_auth = proxy::client_auth::none;
  friend bool operator==(const certificate_settings&, const certificate_settings&) = default;
};

/// Peers that begin every connection with a PROXY header.
struct proxy_protocol_settings {
  std::vector<identity::cidr> from;  ///< empty: off; else every other peer is closed
  bool v1 = true;
  bool v2 = true;
  friend bool operator==(const proxy_protocol_settings&, const proxy_protocol_settings&) = default;
};

struct listener_settings {
  std::string name;  ///< metric label; defaults to the address as written
  socket_address address;
  std::vector<certificate_settings> tls{};  ///< empty: no TLS; a client's SNI picks, the first is the default
  proxy_protocol_settings proxy_protocol{};
  std::optional<http::emitter_list> headers{};  ///< absent: deny.headers
  friend bool operator==(const listener_settings&, const listener_settings&) = default;
};
/// One listener keeps its socket while the rest of it changes.
[[nodiscard]] inline bool same_socket(const listener_settings& a, const listener_settings& b) {
  return a.address == b.address;
}

struct admin_settings {
  socket_address address{"127.0.0.1", 9901, {}};
  bool has_scrape_address = false;
  socket_address scrape_address;  ///< second, read-only port: /livez /readyz /healthz /metrics
  friend bool operator==(const admin_settings&, const admin_settings&) = default;
};

struct drain_settings {
  milliseconds delay{5000};     ///< keep accepting so long after SIGTERM
  milliseconds timeout{25000};  ///< from SIGTERM to the hard end; > delay
};

struct limit_settings {
  std::size_t target_size = 8 * 1024;
  std::size_t header_size = 32 * 1024;  ///< whole head
  std::size_t field_size = 16 * 1024;   ///< one field line
  std::size_t header_count = 100;
  std::uint64_t body_size = 64ull * 1024 * 1024;  ///< `unlimited` = no bound
  std::uint32_t connections = 0;                  ///< 0 = auto: descriptor limit - 64, at least 16
  std::uint32_t connections_per_address = 16384;  ///< per address group; trusted proxies are exempt
  std::uint32_t requests_per_connection = 10000;
  milliseconds header_timeout{10000};         ///< absolute, from the first byte of a head
  milliseconds keepalive_timeout{60000};      ///< idle between requests
  milliseconds upgraded_idle_timeout{60000};  ///< no byte in either direction after a 101
  milliseconds tls_handshake_timeout{5000};
  milliseconds body_idle_timeout{10000};
  milliseconds write_idle_timeout{30000};
  std::uint64_t body_min_rate = 500;  ///< bytes per second after the first 10 s; 0 = off
};

struct client_ip_settings {
  std::vector<identity::cidr> trusted_proxies;  ///< empty: the header is ignored, unless hops are counted
  std::string header = "x-forwarded-for";       ///< lower case; empty = `none`
  int hops = 0;  ///< 1 ... 32 proxies in front of this one; 0 = trusted_proxies
  int group_ipv4 = 32;
  int group_ipv6 = 64;
};

/// What names the holder of a client certificate.
enum class certificate_name : std::uint8_t { subject, san_dns, san_uri };

/// Where the user is named; the first source that yields a value wins.
struct user_source {
  limiter::selector from;  ///< header, cookie, query or claim; of no use when `certificate` is set
  std::optional<certificate_name> certificate{};  ///< set: a name in the verified client certificate
  bool hash = true;                               ///< false: the raw id may appear in logs
};

/// Where the tier is named: a constant, a table of values, or the value itself.
struct tier_source {
  std::string constant;                               ///< not empty: this tier, always
  limiter::selector from;                             ///< else what is asked
  std::shared_ptr<const limiter::value_table> table;  ///< null: the value is the tier; else value -> `names`
  std::vector<std::string> names;
  bool trusted_only = false;  ///< counts only from trusted proxies
};

/// An item of `block` or `exempt`: the requests it speaks about, by a match or by a list of values.
struct listed_requests {
  limiter::request_match match;
  std::optional<limiter::selector> by;  ///< set: the value of this selector is in `values`
  std::shared_ptr<const limiter::value_table> values;
  std::shared_ptr<const limiter::address_set> clients;  ///< set: the client is in one of these networks
  std::string reason;                                   ///< for log and metrics, never shown to clients
  int status = 403;                                     ///< of `block`, 400 ... 499
};

/// How paths and fields are read where a choice is left.
struct path_settings {
  bool ignore_case = false;        ///< templates are matched in lower case; what is forwarded keeps its case
  bool refuse_parameters = false;  ///< `;parameters` are 400 instead of removed
};
enum class underscore_mode : std::uint8_t { drop, reject, allow };
struct http_settings {
  underscore_mode underscore = underscore_mode::drop;
  bool tolerate_half_close = false;  ///< a client that ends its side early still gets its response
  std::vector<std::string> methods;  ///< allowed ones; empty = all
  /// Lower case; client-address fields that nobody but a trusted proxy may send.
  std::vector<std::string> discard{
      "x-real-ip",   "true-client-ip",      "cf-connecting-ip", "cf-connecting-ipv6",
      "x-client-ip", "x-cluster-client-ip", "fastly-client-ip", "x-original-forwarded-for",
      "x-forwarded", "forwarded-for"};
};

/// What tells the upstream about the client.
enum class forwarded_mode : std::uint8_t { x, rfc7239, both };

enum class balance_method : std::uint8_t { random_two, round_robin, least_requests, client_hash };

struct endpoint_settings {
  socket_address address;
  std::string authority;  ///< host[:port] as configured, for Host when the client sent none
  int weight = 1;         ///< 1 ... 100
  bool tls = false;       ///< https
  friend bool operator==(const endpoint_settings&, const endpoint_settings&) = default;
};

/// What may be retried. Connect errors and resets are outcomes without a status.
struct retry_settings {
  int attempts = 2;  ///< beyond the first, 0 ... 10
  bool on_connect_error = true;
  bool on_reset_before_headers = true;
  bool on_timeout = false;
  std::vector<int> on_status{502, 503};
  std::vector<std::string> methods{"GET", "HEAD", "OPTIONS", "PUT", "DELETE"};
  milliseconds backoff_base{25};
  milliseconds backoff_max{250};
  bool jitter_full = true;              ///< false: no jitter
  int budget_percent = 20;              ///< retries per 100 requests over the last 10 s
  int budget_min = 3;                   ///< retries always allowed at the same time
  std::size_t body_buffer = 64 * 1024;  ///< larger bodies are not replayed
  bool honor_retry_after = true;
  friend bool operator==(const retry_settings&, const retry_settings&) = default;
};

struct pool_settings {
  std::uint32_t size = 64;           ///< connections kept, per worker and endpoint
  std::uint32_t overflow = 960;      ///< extra ones, closed on return
  std::uint32_t max_pending = 1024;  ///< waiters for a connection; beyond: 503 upstream_overloaded
  milliseconds acquire_timeout{100};
  milliseconds idle_timeout{4000};
  milliseconds recycle{300000};  ///< +-10 %, or 10,000 requests
  friend bool operator==(const pool_settings&, const pool_settings&) = default;
};

/// How endpoints with `tls` are dialled. Files are held as their text.
struct upstream_tls_settings {
  std::string ca;           ///< PEM; empty = the system's authorities
  std::string server_name;  ///< sent as SNI and verified; empty = the endpoint's host
  bool verify = true;       ///< chain and name
  std::string certificate;  ///< PEM, leaf first; empty = none is shown
  std::string key;          ///< PEM; fits `certificate`
  bool only_tls13 = false;  ///< false: TLS 1.2, too
  friend bool operator==(const upstream_tls_settings&, const upstream_tls_settings&) = default;
};

/// Passive ejection: what an endpoint makes of real requests decides whether it gets more of them.
struct outlier_settings {
  int consecutive_failures = 5;  ///< 1 ... 1000
  int failure_ratio = 50;        ///< percent of the last 10 s; 0 = only consecutive failures count
  int min_requests = 20;         ///< in these 10 s, before the ratio counts
  milliseconds ejection{5000};   ///< the first time; doubles each time
  milliseconds max_ejection{300000};
  int max_ejected = 50;      ///< percent of the endpoints, rounded down; 0 = none; never the last one
  bool deweight_429 = true;  ///< less traffic to an endpoint that answers 429 or 503, until its Retry-After
  friend bool operator==(const outlier_settings&, const outlier_settings&) = default;
};

/// Active checks: GET `path` from every endpoint.
struct health_check_settings {
  std::string path;             ///< empty = off
  milliseconds interval{5000};  ///< +-20 %
  milliseconds timeout{1000};   ///< of one check, from the connect to the response head
  int unhealthy_after = 2;      ///< bad checks in a row
  int healthy_after = 2;        ///< good checks in a row
  limiter::counted_statuses expect{.codes = {}, .classes = {false, false, true, true}};
  friend bool operator==(const health_check_settings&, const health_check_settings&) = default;
};

struct upstream_settings {
  std::string name;
  std::vector<endpoint_settings> endpoints;
  upstream_tls_settings tls;
  balance_method balance = balance_method::random_two;
  bool preserve_host = true;
  milliseconds timeout_connect{250};
  milliseconds timeout_first_byte{5000};  ///< per try
  milliseconds timeout_body_idle{10000};
  milliseconds timeout_total{15000};  ///< over all tries
  milliseconds resolve_interval{10000};
  milliseconds resolve_timeout{2000};
  retry_settings retry;
  pool_settings pool;
  outlier_settings outlier;
  health_check_settings health_check;
  friend bool operator==(const upstream_settings&, const upstream_settings&) = default;
};

struct route_settings {
  std::string name;
  limiter::request_match match;                   ///< methods, paths, hosts
  std::uint32_t upstream = 0;                     ///< index into settings::upstreams
  std::uint64_t body_size = 0;                    ///< 0 = limits.body_size
  milliseconds timeout_total{0};                  ///< 0 = the upstream's
  bool stream = false;                            ///< no total deadline
  bool encoded_slash = false;                     ///< `%2F` is data of its segment instead of 400
  bool require_user = false;                      ///< 401 without one
  std::vector<std::string> upgrade{"websocket"};  ///< protocols a client may switch to; lower case
};

/// How answers of weir's own are written: the JSON envelope, a problem (RFC 9457), or what Accept prefers.
enum class deny_body : std::uint8_t { envelope, problem_json, by_accept };

struct deny_settings {
  int status = 429;
  deny_body body = deny_body::envelope;
  http::emitter_list headers = http::default_emitters();  ///< in the order of the policy file
  bool headers_on_all = true;                             ///< false: only on denials
  bool reset_is_time = false;    ///< X-RateLimit-Reset is seconds of the Unix epoch, not a wait
  bool tell_partitions = false;  ///< `pk`: a keyed hash of the partition key
  int jitter_percent = 0;        ///< waits are told longer by a random share of up to so much; 0 ... 50
  bool mirror_origin = false;    ///< a page of any origin may read weir's own answers
};

/// Which requests are logged: those that fit every part.
struct log_filter {
  limiter::counted_statuses statuses;  ///< empty: every status
  milliseconds min_duration{0};
  int min_attempts = 0;
  std::array<bool, record_decision_count> without{};  ///< by record_decision: not logged

  [[nodiscard]] bool keeps(int status, std::chrono::microseconds duration, int attempts,
                           record_decision decision) const noexcept {
    return !without[static_cast<std::size_t>(decision)] && duration >= min_duration &&
           attempts >= min_attempts && (statuses.empty() || statuses.contains(status));
  }
  friend bool operator==(const log_filter&, const log_filter&) = default;
};

struct access_log_settings {
  std::string to = "stdout";         ///< stdout, stderr, none, or a file path
  std::size_t buffer = 1024 * 1024;  ///< ring per worker, bytes; full = drop and count
  const log_format* format = &default_log_format();
  /// Lower case; request fields and query parameters whose values are never written, besides
  /// always_redacted.
  std::vector<std::string> redact;
  std::vector<std::string> headers;  ///< lower case; request fields that are written
  log_filter filter;
  friend bool operator==(const access_log_settings&, const access_log_settings&) = default;
};

/// Values of these fields and parameters are never written.
inline constexpr std::array<std::string_view, 5> always_redacted{"authorization", "cookie", "x-api-key",
                                                                 "proxy-authorization", "set-cookie"};

enum class log_level : std::uint8_t { debug, info, warn, error };

struct log_settings {
  log_level level = log_level::info;
  bool json = false;
  std::string to = "stderr";  ///< stderr, stdout, or a file path
};

struct metrics_settings {
  std::uint32_t max_series = 10'000;  ///< 1000 ... 100000; beyond: `_overflow`
};

enum class store_kind : std::uint8_t { memory, redis };

/// Where decisions are made. `redis` is complete: place, credentials, pool and breaker.
struct store_settings {
  store_kind kind = store_kind::memory;
  limiter::redis_settings redis;
  std::int64_t replicas = 0;     ///< N, the processes that share the limits; 0 = as many as are heard of
  milliseconds allow_grace{-1};  ///< how long failure_mode allow admits; -1 = without end
  std::int64_t max_keys = 1'000'000;
  limiter::when_full when_full = limiter::when_full::evict;
  limiter::failure_mode failure_mode = limiter::failure_mode::local;
  friend bool operator==(const store_settings&, const store_settings&) = default;
};

/// One loaded and checked policy file. Immutable once shared.
struct settings {
  std::vector<listener_settings> listeners;
  admin_settings admin;
  int workers = 0;  ///< 0 = auto
  drain_settings drain;
  limit_settings limits;
  store_settings store;
  client_ip_settings client_ip;
  std::vector<user_source> users;
  std::vector<tier_source> tiers{{"default", {}, {}, {}, false}};
  std::optional<identity::jwt_settings> jwt;
  std::vector<listed_requests> block;
  std::vector<listed_requests> exempt;
  path_settings paths;
  http_settings http;
  forwarded_mode forwarded = forwarded_mode::x;
  std::vector<upstream_settings> upstreams;
  std::vector<route_settings> routes;  ///< never empty; first match wins
  limiter::policy_set policy;
  limiter::policy_set concurrency;  ///< limits on requests at the same time; every rule has `slots`
  deny_settings deny;
  access_log_settings access_log;
  log_settings log;
  metrics_settings metrics;
  std::string via = "weir";                  ///< pseudonym of the Via field
  std::array<unsigned char, 32> hash_key{};  ///< keys user_hash; random per process without hash_key_file
  bool hash_key_is_kept = false;  ///< it comes from a file: hashes mean the same elsewhere and later
  std::string hash;    ///< first 12 hex digits of SHA-256 of the file, shown in logs and /readyz?verbose
  std::string source;  ///< path as given on the command line
  /// Everything it was read from, the policy file first: a change of one asks for a reload.
  std::vector<source_file> files;
};

}  // namespace weir::proxy
