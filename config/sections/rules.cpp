// SPDX-License-Identifier: Apache-2.0
#include "config/sections/rule_costs.hpp"
#include "config/sections/rule_modes.hpp"
#include "config/sections/rule_quotas.hpp"
#include "config/sections/sections.hpp"
#include "limiter/algorithms/algorithm.hpp"
#include "limiter/time_zone.hpp"

#include <algorithm>
#include <array>
#include <iterator>

namespace weir::config {

std::optional<limiter::selector> read_selector(const node& n, context& ctx) {
  const auto text = read_text(n, ctx);
  if (!text) return std::nullopt;
  auto selector = limiter::parse_selector(*text);
  if (!selector) {
    ctx.report.error("E0214", n.at, fmt::format("{} is no selector", shown(n)),
                     {"", fmt::format("selectors: {}", limiter::selector_names())});
  }
  return selector;
}

void read_selectors(std::vector<limiter::selector>& out, const node& n, context& ctx) {
  out.clear();
  read_list(n, ctx, 1, 8, single::refused, [&](const node& item) {
    if (auto selector = read_selector(item, ctx)) out.push_back(std::move(*selector));
  });
}

namespace {

using limiter::algorithm;
using limiter::failure_mode;
using limiter::header_visibility;
using limiter::on_missing;

void read_algorithm(rule_draft& out, const node& n, context& ctx) {
  constexpr std::array<std::string_view, 4> names{"token_bucket", "fixed_window", "sliding_window_counter",
                                                  "sliding_window_log"};
  out.algorithm_at = n.at;
  if (n.kind == node_kind::scalar && n.text == "gcra") {
    ctx.report.error("E0206", n.at, "`gcra` is token_bucket: the same decisions under another name",
                     {"write `token_bucket`", ""});
    return;
  }
  if (const auto index = read_word(n, ctx, names)) {
    out.value.quota.algorithm = limiter::parse_algorithm(names[*index]).value_or(algorithm::token_bucket);
  }
}

void read_timezone(rule_draft& out, const node& n, context& ctx) {
  out.timezone_at = n.at;
  const auto name = read_text(n, ctx);
  if (!name) return;
  out.timezone = limiter::find_time_zone(*name);
  if (out.timezone != nullptr) return;
  ctx.report.error("E0215", n.at, fmt::format("{} is no time zone of this machine", shown(n)),
                   {"such as `UTC`, `+02:00` or `Europe/Berlin`", "names are those of /usr/share/zoneinfo"});
}

void read_cost(rule_draft& out, const node& n, context& ctx) {
  constexpr std::int64_t most = std::int64_t{1} << 31;
  if (n.kind != node_kind::map) {
    if (const auto cost = read_integer(n, ctx, 0, most)) out.costs.push_back({*cost, n.at, {}});
    return;
  }
  for (const auto& e : n.entries) {
    const reporter::scope scope{ctx.report, e.key};
    const auto cost = read_integer(e.value, ctx, 0, most);
    if (!cost) continue;
    out.costs.push_back({*cost, e.value.at, e.key == "default" ? reference{} : reference{e.key, e.at}});
  }
}

value_type<rule_draft> missing_type() {
  auto type =
      word(&rule_draft::missing,
           choices_of<std::optional<on_missing>>{
               {"skip", on_missing::skip}, {"deny", on_missing::deny}, {"fallback", on_missing::fallback}});
  return {type.type, type.range, [read = std::move(type.read)](rule_draft& out, const node& n, context& ctx) {
            out.has_missing = true;
            out.missing_at = n.at;
            read(out, n, ctx);
          }};
}

value_type<rule_draft> sharing_type() {
  using limiter::sharing_mode;
  auto plain = word(&rule_draft::sharing, choices_of<sharing_mode>{{"strict", sharing_mode::strict},
                                                                   {"balanced", sharing_mode::balanced},
                                                                   {"local", sharing_mode::local}});
  return {plain.type, plain.range,
          [read = std::move(plain.read)](rule_draft& out, const node& n, context& ctx) {
            out.sharing_at = n.at;
            read(out, n, ctx);
          }};
}

table<rule_draft> make_rule_table() {
  using d = rule_draft;
  auto match = row("match", "everything",
                   value_type<d>{"map", "",
                                 [](d& out, const node& n, context& ctx) {
                                   read_map(n, rule_match_table(), out.match, ctx, "`match`");
                                 }},
                   "which requests it counts; keys are ANDed, items of a list ORed");
  match.below = [](const std::string& path, std::vector<key_doc>& out) {
    describe(rule_match_table(), path, out);
  };
  const auto visibility = [] {
    return word(&limiter::rule::headers,
                choices_of<header_visibility>{{"visible", header_visibility::visible},
                                              {"retry_after", header_visibility::retry_after},
                                              {"hidden", header_visibility::hidden}});
  }();
  table<d> all{
      "a rule",
      {
          row("name", required,
              value_type<d>{"name", "",
                            [](d& out, const node& n, context& ctx) {
                              out.name_at = n.at;
                              if (auto name = read_name(n, ctx)) out.value.name = std::move(*name);
                            }},
              "metric label, log field, item of RateLimit-Policy"),
          std::move(match),
          row("key", required,
              value_type<d>{"list of selectors", "1–8",
                            [](d& out, const node& n, context& ctx) {
                              out.key_at = n.at;
                              read_selectors(out.value.key, n, ctx);
                            }},
              "requests with the same values share one count"),
          row("missing", "", missing_type(),
              "required when a selector can be absent: do not apply the rule, 401, or count by `fallback`"),
          row("fallback", "[client_ip]",
              value_type<d>{"list of selectors", "1–8",
                            [](d& out, const node& n, context& ctx) {
                              out.fallback_at = n.at;
                              read_selectors(out.value.fallback, n, ctx);
                            }},
              "only with `missing: fallback`"),
          row("algorithm", "token_bucket",
              value_type<d>{"word",
                            "`token_bucket` `fixed_window` `sliding_window_counter` `sliding_window_log`",
                            read_algorithm},
              "a log holds at most 10000 units"),
          row("timezone", "UTC", value_type<d>{"text", "`UTC` `+02:00` `Europe/Berlin`", read_timezone},
              "whose midnight starts a window; only fixed_window with a limit per `/day` or `/month`"),
          row("cost", "1", value_type<d>{"integer, or map of route: integer", "0–capacity", read_cost},
              "units of one request; `default` = other routes"),
          row("sharing", "strict", sharing_type(),
              "every request asks the store; units are leased from it for 200ms; each process enforces 1/N"),
          row("failure_mode", "`store.failure_mode`",
              word(&d::failure_mode,
                   choices_of<std::optional<failure_mode>>{{"allow", failure_mode::allow},
                                                           {"deny", failure_mode::deny},
                                                           {"local", failure_mode::local}})),
          row("headers", "visible",
              value_type<d>{
                  visibility.type, visibility.range,
                  [read = visibility.read](d& out, const node& n, context& ctx) { read(out.value, n, ctx); }},
              "what clients see of the rule"),
      }};
  const auto behind_fallback =
      std::find_if(all.rows.begin(), all.rows.end(), [](const auto& r) { return r.name == "algorithm"; });
  auto quotas = rule_quota_rows();
  all.rows.insert(behind_fallback, std::make_move_iterator(quotas.begin()),
                  std::make_move_iterator(quotas.end()));
  auto modes = rule_mode_rows();
  all.rows.insert(all.rows.end(), std::make_move_iterator(modes.begin()),
                  std::make_move_iterator(modes.end()));
  const auto behind_cost =
      std::find_if(all.rows.begin(), all.rows.end(), [](const auto& r) { return r.name == "failure_mode"; });
  auto costs = rule_cost_rows();
  all.rows.insert(behind_cost, std::make_move_iterator(costs.begin()), std::make_move_iterator(costs.end()));
  return all;
}

const table<rule_draft>& rule_table() {
  static const auto all = make_rule_table();
  return all;
}

void read_rules(file_draft& out, const node& n, context& ctx) {
  read_list(n, ctx, 0, 256, single::refused, [&](const node& item) {
    rule_draft d;
    d.at = item.at;
    if (read_map(item, rule_table(), d, ctx, name_of(item, "rule"))) out.rules.push_back(std::move(d));
  });
}

}  // namespace

std::vector<key_row<file_draft>> rule_rows() {
  auto rules = row("rules", "[]", value_type<file_draft>{"list of maps", "up to 256", read_rules},
                   "every rule that matches applies, all or nothing");
  rules.below = [](const std::string& path, std::vector<key_doc>& out) {
    describe(rule_table(), path + "[]", out);
  };
  return {std::move(rules)};
}

}  // namespace weir::config
