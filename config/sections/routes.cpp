// SPDX-License-Identifier: Apache-2.0
// routes
#include "config/sections/sections.hpp"

namespace weir::config {
namespace {

using namespace std::chrono_literals;

void read_upgrade(route_draft& out, const node& n, context& ctx) {
  constexpr std::size_t protocols_max = 8;
  out.value.upgrade.clear();
  read_list(n, ctx, 0, protocols_max, single::accepted, [&](const node& item) {
    const auto text = read_text(item, ctx);
    if (!text) return;
    std::string protocol = lower_case(*text);
    if (!is_token(*text)) {
      ctx.report.error("E0213", item.at, fmt::format("{} is no protocol", shown(item)),
                       {"a name as in the field Upgrade, e.g. websocket", ""});
    } else if (protocol == "h2c") {
      ctx.report.error("E0206", item.at, "`h2c` is never passed on",
                       {"weir speaks HTTP/1.1 to its upstreams", ""});
    } else {
      out.value.upgrade.push_back(std::move(protocol));
    }
  });
}

const table<route_draft>& route_table() {
  using d = route_draft;
  using s = proxy::route_settings;
  constexpr std::uint64_t tib = 1024ULL * 1024 * 1024 * 1024;
  static const table<d> all = [] {
    const auto in_value = [](value_type<s> inner) {
      return value_type<d>{
          inner.type, inner.range,
          [read = std::move(inner.read)](d& out, const node& n, context& ctx) { read(out.value, n, ctx); }};
    };
    auto match = row("match", required,
                     value_type<d>{"map", "",
                                   [](d& out, const node& n, context& ctx) {
                                     read_map(n, route_match_table(), out.match, ctx, "`match`");
                                   }},
                     "keys are ANDed, items of a list ORed");
    match.below = [](const std::string& path, std::vector<key_doc>& out) {
      describe(route_match_table(), path, out);
    };
    return table<d>{
        "a route",
        {
            row("name", required,
                value_type<d>{"name", "",
                              [](d& out, const node& n, context& ctx) {
                                out.name_at = n.at;
                                if (auto name = read_name(n, ctx)) out.value.name = std::move(*name);
                              }},
                "metric label"),
            std::move(match),
            row("upstream", required,
                value_type<d>{"name", "of `upstreams`",
                              [](d& out, const node& n, context& ctx) {
                                if (auto name = read_name(n, ctx)) out.upstream = {std::move(*name), n.at};
                              }}),
            row("body_size", "`limits.body_size`",
                in_value(size_or(&s::body_size, 1, tib, "unlimited", proxy::unlimited))),
            row("timeout", "the upstream's `timeout.total`", in_value(duration(&s::timeout_total, 1ms, 1h))),
            row("stream", "false", in_value(boolean(&s::stream)),
                "no total deadline: event streams, long downloads"),
            row("upgrade", "[websocket]",
                value_type<d>{"protocol or list", "up to 8, not `h2c`", read_upgrade},
                "protocols a client may switch to; `[]` = none"),
            row("encoded_slash", "reject",
                in_value(word(&s::encoded_slash, choices_of<bool>{{"reject", false}, {"allow", true}})),
                "`allow` takes `%2F` as data of its segment"),
            row("require_user", "false", in_value(boolean(&s::require_user)),
                "401 to requests without a user"),
        }};
  }();
  return all;
}

void read_routes(file_draft& out, const node& n, context& ctx) {
  out.has_routes = true;
  read_list(n, ctx, 1, 1024, single::refused, [&](const node& item) {
    route_draft d;
    d.at = item.at;
    if (read_map(item, route_table(), d, ctx, name_of(item, "route"))) out.routes.push_back(std::move(d));
  });
}

}  // namespace

std::vector<key_row<file_draft>> route_rows() {
  auto routes =
      row("routes", "`all`, to the only upstream",
          value_type<file_draft>{"list of maps", "1–1024", read_routes}, "the first that matches wins");
  routes.below = [](const std::string& path, std::vector<key_doc>& out) {
    describe(route_table(), path + "[]", out);
  };
  return {std::move(routes)};
}

}  // namespace weir::config
