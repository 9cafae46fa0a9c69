// SPDX-License-Identifier: Apache-2.0
#include "config/addresses.hpp"
#include "config/sections/sections.hpp"
#include "config/sections/tls.hpp"

#include <algorithm>
#include <array>

namespace weir::config {
namespace {

using namespace std::chrono_literals;

void read_url(store_draft& out, const node& n, context& ctx) {
  const auto text = read_text(n, ctx);
  if (!text) return;
  auto url = parse_store_url(*text);
  if (!url.value) {
    ctx.report.error("E0210", n.at, std::move(url.message), {std::move(url.hint), ""});
    return;
  }
  out.url_at = n.at;
  out.url_has_user = !url.value->username.empty();
  out.url_has_password = !url.value->password.empty();
  out.value.kind = url.value->kind;
  auto& s = out.value.redis;
  s.unix_path = std::move(url.value->unix_path);
  s.username = std::move(url.value->username);
  s.password = std::move(url.value->password);
  s.database = url.value->database;
  s.tls.enabled = url.value->tls;
  if (!url.value->host.empty()) {
    s.host = std::move(url.value->host);
    s.port = url.value->port;
  }
}

void read_username(store_draft& out, const node& n, context& ctx) {
  out.username_at = n.at;
  const auto text = read_text(n, ctx);
  if (!text) return;
  if (text->empty() || text->size() > 256) {
    ctx.report.error("E0204", n.at, "a username has 1 to 256 bytes");
    return;
  }
  out.username = *text;
}

void read_password_file(store_draft& out, const node& n, context& ctx) {
  constexpr std::size_t longest = 4096;
  out.password_at = n.at;
  auto content = read_file(n, ctx, longest);
  if (!content) return;
  while (content->ends_with('\n') || content->ends_with('\r'))
    content->pop_back();  // editors end files with one
  if (content->empty()) {
    ctx.report.error("E0502", n.at, "the password file is empty");
    return;
  }
  out.password = std::move(*content);
}

void read_key_prefix(store_draft& out, const node& n, context& ctx) {
  const auto text = read_text(n, ctx);
  if (!text) return;
  const bool fine =
      text->find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789:_-") == std::string_view::npos;
  if (!fine || text->size() > 16) {
    ctx.report.error("E0211", n.at, fmt::format("{} is no key prefix", shown(n)),
                     {"up to 16 of a-z 0-9 : _ -", ""});
    return;
  }
  out.value.redis.key_prefix = *text;
}

/// Sentinels listen on 26379, the nodes of a cluster on 6379: which of them this is, is known when the whole
/// section has been read, so that a port has to be written.
void read_nodes(store_draft& out, const node& n, context& ctx) {
  out.nodes_at = n.at;
  auto& nodes = out.value.redis.nodes;
  nodes.clear();
  read_list(n, ctx, 1, 64, single::refused, [&](const node& item) {
    const auto text = read_text(item, ctx);
    if (!text) return;
    auto address = parse_redis_node(*text, 0);
    if (!address.value) {
      ctx.report.error("E0209", item.at, std::move(address.message), {std::move(address.hint), ""});
      return;
    }
    if (std::find(nodes.begin(), nodes.end(), *address.value) != nodes.end()) {
      ctx.report.error("E0303", item.at, fmt::format("{} is listed twice", shown(item)));
      return;
    }
    nodes.push_back(std::move(*address.value));
  });
}

void read_master(store_draft& out, const node& n, context& ctx) {
  out.master_at = n.at;
  const auto text = read_text(n, ctx);
  if (!text) return;
  constexpr std::string_view allowed =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";  // those of a sentinel's file
  if (text->empty() || text->size() > 128 || text->find_first_not_of(allowed) != std::string_view::npos) {
    ctx.report.error("E0211", n.at, fmt::format("{} is no name of a master", shown(n)),
                     {"up to 128 of letters, digits, . _ -", ""});
    return;
  }
  out.value.redis.master = *text;
}

void read_topology(store_draft& out, const node& n, context& ctx) {
  using limiter::redis_topology;
  static constexpr std::array<std::string_view, 3> words{"single", "sentinel", "cluster"};
  out.topology_at = n.at;
  if (const auto index = read_word(n, ctx, words))
    out.value.redis.topology = static_cast<redis_topology>(*index);
}

void read_key_form(store_draft& out, const node& n, context& ctx) {
  static constexpr std::array<std::string_view, 2> words{"hashed", "readable"};
  if (const auto index = read_word(n, ctx, words)) out.value.redis.readable_keys = *index == 1;
}

void read_clock(store_draft& out, const node& n, context& ctx) {
  static constexpr std::array<std::string_view, 2> words{"store", "proxy"};
  out.clock_at = n.at;
  if (const auto index = read_word(n, ctx, words)) out.value.redis.proxy_clock = *index == 1;
}

void read_cold_start(store_draft& out, const node& n, context& ctx) {
  static constexpr std::array<std::string_view, 2> words{"full", "empty"};
  out.cold_start_at = n.at;
  if (const auto index = read_word(n, ctx, words)) out.value.redis.starts_empty = *index == 1;
}

// ---- TLS

const table<limiter::redis_tls>& tls_table() {
  using s = limiter::redis_tls;
  static const table<s> all = [] {
    table<s> t{"`store.tls`", client_tls_rows<s>()};
    t.rows.push_back(row("verify", "true", boolean(&s::verify), "`false` = whoever answers is believed"));
    return t;
  }();
  return all;
}

// ---- Pool and breaker

const table<limiter::redis_settings>& pool_table() {
  using s = limiter::redis_settings;
  static const table<s> all{
      "`store.pool`",
      {
          row("size", "1", integer(&s::pool_size, 1, 16), "connections per worker and node, pipelined"),
          row("connect_timeout", "100ms", duration(&s::connect_timeout, 1ms, 1min),
              "one attempt: name, connect, TLS, login and script together"),
          row("command_timeout", "50ms", duration(&s::command_timeout, 1ms, 1min),
              "one decision; then `failure_mode`"),
          row("recycle", "30m", duration(&s::recycle, 1s, 24h), "greatest age of a connection ± 10 %"),
          row("pre_ping", "true", boolean(&s::pre_ping),
              "a connection idle for more than 10s is asked first"),
          row("max_in_flight", "4096", integer(&s::max_in_flight, 1, 1'000'000),
              "decisions waiting for an answer, per worker and node; beyond: store error `overloaded`"),
      }};
  return all;
}

const table<limiter::redis_breaker>& breaker_table() {
  using s = limiter::redis_breaker;
  static const table<s> all{
      "`store.breaker`",
      {
          row("failures", "5", integer(&s::failures, 1, 1000),
              "in a row, or time-outs within 10s if more than 1 % of the commands were late; then a node is "
              "asked no more"),
          row("open_for", "1s", duration(&s::open_for, 100ms, 1min), "between two probes of such a node"),
      }};
  return all;
}

const table<proxy::store_settings>& memory_table() {
  using s = proxy::store_settings;
  static const table<s> all{
      "`store.memory`",
      {row("max_keys", "1000000", integer(&s::max_keys, 1000, 100'000'000), "then `when_full`"),
       row("when_full", "evict",
           word(&s::when_full,
                choices_of<limiter::when_full>{{"evict", limiter::when_full::evict},
                                               {"deny_new", limiter::when_full::deny_new},
                                               {"share_overflow", limiter::when_full::share_overflow}}),
           "the fullest bucket makes room, never a denied key; or new keys are denied; or they "
           "share one bucket per rule")}};
  return all;
}

/// A value of store_settings inside the draft.
value_type<store_draft> in_value(value_type<proxy::store_settings> inner) {
  return {inner.type, inner.range,
          [read = std::move(inner.read)](store_draft& out, const node& n, context& ctx) {
            read(out.value, n, ctx);
          }};
}

/// Also notes where it is written: it means nothing without rediss://.
key_row<store_draft> tls_row() {
  auto row = group<store_draft, limiter::redis_tls>(
      "tls", [](store_draft& out) -> limiter::redis_tls& { return out.value.redis.tls; }, tls_table);
  row.value.read = [read = std::move(row.value.read)](store_draft& out, const node& n, context& ctx) {
    out.tls_at = n.at;
    read(out, n, ctx);
  };
  return row;
}

}  // namespace

const table<store_draft>& store_table() {
  using d = store_draft;
  using s = proxy::store_settings;
  using limiter::failure_mode;
  const auto value = [](d& out) -> s& { return out.value; };
  const auto redis = [](d& out) -> limiter::redis_settings& { return out.value.redis; };
  const auto breaker = [](d& out) -> limiter::redis_breaker& { return out.value.redis.breaker; };
  static const table<d> all{
      "`store`",
      {
          row("url", "memory://",
              value_type<d>{"url", "`memory://` `redis[s]://[[USER]:PASSWORD@]HOST[:PORT][/DB]` `unix:PATH`",
                            read_url},
              "`memory://` counts in this process only; of several servers it gives all but their addresses"),
          row("topology", "single", value_type<d>{"word", "`single` `sentinel` `cluster`", read_topology},
              "one server, the master that sentinels name, or a cluster"),
          row("nodes", "", value_type<d>{"list of addresses", "1–64; `HOST:PORT`", read_nodes},
              "the sentinels (one that asks for a login gets the store's), or some nodes of the cluster"),
          row("master", "", value_type<d>{"text", "1–128 of `A-Z a-z 0-9 . _ -`", read_master},
              "the name the sentinels know it by"),
          row("username", "", value_type<d>{"text", "1–256 bytes", read_username}),
          row("password_file", "", value_type<d>{"file", "up to 4KiB", read_password_file},
              "line ends at its end are cut"),
          tls_row(),
          group<d, limiter::redis_settings>("pool", redis, pool_table),
          group<d, limiter::redis_breaker>("breaker", breaker, breaker_table),
          row("failure_mode", "local",
              in_value(word(&s::failure_mode, choices_of<failure_mode>{{"allow", failure_mode::allow},
                                                                       {"deny", failure_mode::deny},
                                                                       {"local", failure_mode::local}})),
              "what rules answer while the store does not: admit, 503, or count in this process"),
          row("key_prefix", "rl:", value_type<d>{"text", "up to 16 of `a-z 0-9 : _ -`", read_key_prefix}),
          row("key_form", "hashed", value_type<d>{"word", "`hashed` `readable`", read_key_form},
              "how subjects are named in Redis; `readable` = by their values up to 64 bytes, for everybody "
              "who sees the keys"),
          row("clock", "store", value_type<d>{"word", "`store` `proxy`", read_clock},
              "whose clock decides; `proxy` only for a server that refuses TIME in scripts"),
          row("replicas", "auto", in_value(integer_or_auto(&s::replicas, 1, 10000, std::int64_t{0})),
              "N of `local`; auto = the most processes heard of through the store in the last 60s"),
          row("allow_grace", "unlimited",
              in_value(duration_or(&s::allow_grace, std::chrono::seconds{1}, std::chrono::hours{24},
                                   "unlimited", std::chrono::milliseconds{-1})),
              "how long `failure_mode: allow` admits, from the first failure; then it acts as `deny`"),
          row("cold_start", "full", value_type<d>{"word", "`full` `empty`", read_cold_start},
              "buckets of a server that came back without data: `empty` = used up at that instant; no "
              "cluster"),
          group<d, s>("memory", value, memory_table),
      }};
  return all;
}

}  // namespace weir::config
