// SPDX-License-Identifier: Apache-2.0
// `match`: of routes, rules, concurrency limits, block and exempt
#include "config/addresses.hpp"
#include "config/sections/sections.hpp"
#include "limiter/path_template.hpp"

namespace weir::config {
namespace {

constexpr std::size_t match_items_max = 256;

void read_methods(match_draft& out, const node& n, context& ctx) {
  read_list(n, ctx, 1, match_items_max, single::accepted, [&](const node& item) {
    if (auto method = read_method(item, ctx)) out.value.methods.push_back(std::move(*method));
  });
}

void read_paths(match_draft& out, const node& n, context& ctx) {
  read_list(n, ctx, 1, match_items_max, single::accepted, [&](const node& item) {
    const auto text = read_text(item, ctx);
    if (!text) return;
    if (auto problem = limiter::path_template_problem(*text); !problem.empty()) {
      ctx.report.error("E0213", item.at, fmt::format("{} is no path template: {}", shown(item), problem));
      return;
    }
    out.value.paths.emplace_back(*text);
  });
}

void read_hosts(match_draft& out, const node& n, context& ctx) {
  read_list(n, ctx, 1, match_items_max, single::accepted, [&](const node& item) {
    const auto text = read_text(item, ctx);
    if (!text) return;
    if (!is_host(*text)) {
      ctx.report.error("E0213", item.at, fmt::format("{} is no host name", shown(item)),
                       {"without scheme, port and wildcard", ""});
      return;
    }
    out.value.hosts.push_back(lower_case(*text));
  });
}

void read_routes_of_match(match_draft& out, const node& n, context& ctx) {
  read_list(n, ctx, 1, match_items_max, single::accepted, [&](const node& item) {
    auto name = read_name(item, ctx);
    if (!name) return;
    out.value.routes.push_back(*name);
    out.routes.push_back({std::move(*name), item.at});
  });
}

/// A value or a list of values that the selector may have.
void read_values(match_draft& out, limiter::selector from, const node& n, context& ctx) {
  limiter::value_match wanted{std::move(from), {}};
  read_list(n, ctx, 1, match_items_max, single::accepted, [&](const node& item) {
    const auto text = read_text(item, ctx);
    if (!text) return;
    if (text->empty()) {
      ctx.report.error("E0205", item.at, "an empty value never matches: it counts as absent");
      return;
    }
    wanted.values.emplace_back(*text);
  });
  out.value.values.push_back(std::move(wanted));
}

auto read_values_of(const char* selector) {
  return [selector](match_draft& out, const node& n, context& ctx) {
    read_values(out, *limiter::parse_selector(selector), n, ctx);
  };
}

/// `{NAME: value}`; `prefix` and NAME make the selector. `"*"` asks for presence alone.
auto read_map_of(const char* prefix) {
  return [prefix](match_draft& out, const node& n, context& ctx) {
    read_entries(n, ctx, "a map of names and values", "{NAME: value}", [&](const entry& e) {
      auto from = limiter::parse_selector(prefix + e.key);
      if (!from) {
        ctx.report.error("E0213", e.at, fmt::format("{} is no name", in_ticks(e.key)));
      } else if (e.value.kind == node_kind::scalar && e.value.text == "*") {
        out.value.values.push_back({std::move(*from), {}});
      } else {
        read_values(out, std::move(*from), e.value, ctx);
      }
    });
  };
}

void read_clients(match_draft& out, const node& n, context& ctx) {
  std::vector<limiter::address_range> ranges;
  read_list(n, ctx, 1, match_items_max, single::accepted, [&](const node& item) {
    if (const auto network = read_network(item, ctx)) identity::append_ranges(ranges, *network);
  });
  out.value.clients = limiter::address_set{std::move(ranges)};
}

std::vector<key_row<match_draft>> common_match_rows() {
  using d = match_draft;
  return {
      row("methods", "every", value_type<d>{"method or list", "upper case", read_methods}),
      row("path", "every", value_type<d>{"template or list", "", read_paths},
          "`{id}` and `*` = one segment, `/**` = any number, last only"),
      row("host", "every", value_type<d>{"host or list", "without port", read_hosts}),
      row("user", "every", value_type<d>{"text or list", "", read_values_of("user")},
          "as `identity.user` finds it"),
      row("tier", "every", value_type<d>{"text or list", "", read_values_of("tier")}),
      row("client_ip", "every", value_type<d>{"network or list", "", read_clients},
          "the client itself, not its group"),
      row("header", "", value_type<d>{"map NAME: value or list", "", read_map_of("header:")},
          "`\"*\"` = present"),
      row("query", "", value_type<d>{"map NAME: value or list", "", read_map_of("query:")},
          "decoded once; `\"*\"` = present"),
  };
}

/// `rows` and `not`, which takes the same keys but itself.
table<match_draft> with_not(std::string_view what, std::vector<key_row<match_draft>> rows) {
  auto inner = std::make_shared<const table<match_draft>>(table<match_draft>{what, rows});
  rows.push_back(row("not", "",
                     value_type<match_draft>{"map of the keys above", "",
                                             [inner](match_draft& out, const node& n, context& ctx) {
                                               match_draft other;
                                               if (!read_map(n, *inner, other, ctx, "`not`")) return;
                                               out.value.excluded.push_back(std::move(other.value));
                                               for (auto& r : other.routes)
                                                 out.routes.push_back(std::move(r));
                                             }},
                     "requests that it fits are left out"));
  return {what, std::move(rows)};
}

}  // namespace

std::optional<identity::cidr> read_network(const node& n, context& ctx) {
  const auto text = read_text(n, ctx);
  if (!text) return std::nullopt;
  const auto network = identity::parse_cidr(*text);
  if (!network) {
    ctx.report.error("E0212", n.at, fmt::format("{} is no network", shown(n)),
                     {"such as `10.0.0.0/8`, without bits set behind the prefix", ""});
  }
  return network;
}

const table<match_draft>& route_match_table() {
  static const auto all = with_not("`match` of a route", common_match_rows());
  return all;
}

const table<match_draft>& rule_match_table() {
  static const auto all = [] {
    auto rows = common_match_rows();
    rows.push_back(
        row("route", "every", value_type<match_draft>{"name or list", "of `routes`", read_routes_of_match}));
    return with_not("`match` of a rule", std::move(rows));
  }();
  return all;
}

}  // namespace weir::config
