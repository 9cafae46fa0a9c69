// SPDX-License-Identifier: Apache-2.0
#include "config/addresses.hpp"
#include "config/sections/sections.hpp"

namespace weir::config {
namespace {

using namespace std::chrono_literals;

void read_url(store_draft& out, const node& n, context& ctx) {
  const auto text = read_text(n, ctx);
  if (!text) return;
  if (text->starts_with("rediss://")) {
    ctx.report.error("E0313", n.at, "TLS to the store is not built yet",
                     {"use redis:// over a private network", ""});
    return;
  }
  auto url = parse_store_url(*text);
  if (!url.value) {
    ctx.report.error("E0210", n.at, std::move(url.message), {std::move(url.hint), ""});
    return;
  }
  out.url_at = n.at;
  out.url_has_user = !url.value->username.empty();
  out.url_has_password = !url.value->password.empty();
  auto& s = out.value;
  s.kind = url.value->kind;
  s.unix_path = std::move(url.value->unix_path);
  s.username = std::move(url.value->username);
  s.password = std::move(url.value->password);
  s.database = url.value->database;
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
  out.value.key_prefix = *text;
}

const table<proxy::store_settings>& pool_table() {
  using s = proxy::store_settings;
  static const table<s> all{
      "`store.pool`",
      {
          row("connect_timeout", "100ms", duration(&s::connect_timeout, 1ms, 1min), "one attempt to connect"),
          row("command_timeout", "50ms", duration(&s::command_timeout, 1ms, 1min),
              "one decision; then `failure_mode`"),
          row("max_in_flight", "4096", integer(&s::max_in_flight, 1, 1'000'000),
              "commands waiting for an answer, per worker; beyond: store error `overloaded`"),
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

}  // namespace

const table<store_draft>& store_table() {
  using d = store_draft;
  using s = proxy::store_settings;
  using limiter::failure_mode;
  const auto value = [](d& out) -> s& { return out.value; };
  static const table<d> all{
      "`store`",
      {
          row("url", "memory://",
              value_type<d>{"url", "`memory://` `redis://[[USER]:PASSWORD@]HOST[:PORT][/DB]` `unix:PATH`",
                            read_url},
              "`memory://` counts in this process only"),
          row("username", "", value_type<d>{"text", "1–256 bytes", read_username}),
          row("password_file", "", value_type<d>{"file", "up to 4KiB", read_password_file},
              "line ends at its end are cut"),
          group<d, s>("pool", value, pool_table),
          row("failure_mode", "local",
              in_value(word(&s::failure_mode, choices_of<failure_mode>{{"allow", failure_mode::allow},
                                                                       {"deny", failure_mode::deny},
                                                                       {"local", failure_mode::local}})),
              "what rules answer while the store does not: admit, 503, or count in this process"),
          row("key_prefix", "rl:", value_type<d>{"text", "up to 16 of `a-z 0-9 : _ -`", read_key_prefix}),
          row("replicas", "auto", in_value(integer_or_auto(&s::replicas, 1, 10000, std::int64_t{1})),
              "`local` enforces 1/N of a limit; auto = 1"),
          group<d, s>("memory", value, memory_table),
      }};
  return all;
}

}  // namespace weir::config
