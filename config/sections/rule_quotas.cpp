// SPDX-License-Identifier: Apache-2.0
#include "config/sections/rule_quotas.hpp"

#include "config/override_file.hpp"
#include "config/sections/sections.hpp"

#include <algorithm>

namespace weir::config {
namespace {

using d = rule_draft;

constexpr std::size_t tiers_max = 64;
constexpr std::size_t overrides_max = 1000;

void read_limit(quota_draft& out, const node& n, context& ctx) {
  out.limit_at = n.at;
  if (n.kind == node_kind::scalar && n.text == "unlimited") {
    out.unlimited = true;
  } else {
    out.limit = read_unit(n, ctx, "E0203", parse_rate);
  }
}

void read_burst(quota_draft& out, const node& n, context& ctx) {
  out.burst_at = n.at;
  out.burst = read_integer(n, ctx, 1, std::int64_t{1} << 31);
}

value_type<quota_draft> limit_type() {
  return {"rate or `unlimited`", "1–2147483648 units", read_limit};
}

value_type<quota_draft> burst_type() {
  return {"integer", "1–2147483648", read_burst};
}

template <class T>
value_type<T> in_quota(value_type<quota_draft> inner) {
  return {inner.type, inner.range,
          [read = std::move(inner.read)](T& out, const node& n, context& ctx) { read(out.quota, n, ctx); }};
}

const table<quota_draft>& tier_quota_table() {
  static const table<quota_draft> all{
      "the quota of a tier",
      {row("limit", required, limit_type()), row("burst", "the number of `limit`", burst_type())}};
  return all;
}

void read_rule_tiers(d& out, const node& n, context& ctx) {
  read_tiers(n, ctx, [&](reference tier, const node& value) {
    tier_quota_draft& t = out.tiers.emplace_back();
    t.tier = std::move(tier);
    if (value.kind == node_kind::map) {
      read_map(value, tier_quota_table(), t.quota, ctx, fmt::format("tier {}", in_ticks(t.tier.name)));
    } else {
      read_limit(t.quota, value, ctx);
    }
  });
}

void read_reason(override_draft& out, const node& n, context& ctx) {
  const auto text = read_text(n, ctx);
  if (!text) return;
  if (text->empty() || text->size() > override_reason_max) {
    ctx.report.error("E0205", n.at, fmt::format("a reason has 1 to {} bytes", override_reason_max));
    return;
  }
  out.reason = *text;
}

void read_until(override_draft& out, const node& n, context& ctx) {
  if (const auto until = read_unit(n, ctx, "E0216", parse_instant)) out.until_us = *until;
}

const table<override_draft>& override_table() {
  using o = override_draft;
  static const table<o> all{
      "an override, beside one selector",
      {row("limit", required, in_quota<o>(limit_type())),
       row("burst", "the number of `limit`", in_quota<o>(burst_type())),
       row("until", "", value_type<o>{"time", "such as `2027-01-31T00:00:00Z`", read_until},
           "the override ends at this instant, also while weir runs"),
       row("reason", required,
           value_type<o>{"text", fmt::format("1–{} bytes", override_reason_max), read_reason},
           "why somebody is treated otherwise")}};
  return all;
}

/// The selector is a key of the map: it is taken out, the others are read by their table.
void read_override(d& out, const node& n, context& ctx) {
  override_draft item;
  item.at = n.at;
  node others = n;
  std::erase_if(others.entries, [&](const entry& e) {
    auto selector = limiter::parse_selector(e.key);
    if (!selector) return false;
    const reporter::scope scope{ctx.report, e.key};
    if (item.from)
      ctx.report.error("E0304", e.at, "an override has one selector",
                       {"", "requests with that value get its limit"});
    item.from = std::move(selector);
    if (const auto value = read_text(e.value, ctx)) item.value = *value;
    if (item.value.empty() && e.value.kind == node_kind::scalar)
      ctx.report.error("E0205", e.value.at, "an empty value fits no request");
    return true;
  });
  if (!read_map(others, override_table(), item, ctx, "an override")) return;
  if (!item.from)
    return ctx.report.error(
        "E0302", n.at, "an override needs a selector and its value",
        {"such as `user: acme`", fmt::format("selectors: {}", limiter::selector_names())});
  out.overrides.push_back(std::move(item));
}

void read_overrides(d& out, const node& n, context& ctx) {
  std::vector<override_draft> of_file = std::move(out.overrides);
  out.overrides.clear();
  read_list(n, ctx, 0, overrides_max, single::refused,
            [&](const node& item) { read_override(out, item, ctx); });
  std::move(of_file.begin(), of_file.end(), std::back_inserter(out.overrides));
}

void read_overrides_file(d& out, const node& n, context& ctx) {
  const auto content = read_file(n, ctx, override_file_max);
  if (!content) return;
  auto items = parse_override_file(*content, n.at, ctx.report);
  std::move(items.begin(), items.end(), std::back_inserter(out.overrides));
}

key_row<d> tiers_row() {
  auto tiers = row("tiers", "",
                   value_type<d>{"map of tier: quota", fmt::format("up to {}", tiers_max), read_rule_tiers},
                   "instead of `limit` for requests of the tier: a rate, `unlimited`, or a map");
  tiers.below = [](const std::string& path, std::vector<key_doc>& out) {
    describe(tier_quota_table(), path + ".TIER", out);
  };
  return tiers;
}

key_row<d> overrides_row() {
  auto overrides = row("overrides", "[]",
                       value_type<d>{"list of maps", fmt::format("up to {}", overrides_max), read_overrides},
                       "before the tiers: the first whose value fits and that has not ended applies");
  overrides.below = [](const std::string& path, std::vector<key_doc>& out) {
    out.push_back({path + "[].SELECTOR", "text", std::string{required}, "",
                   "one selector, such as `user`, and the value it must have"});
    describe(override_table(), path + "[]", out);
  };
  return overrides;
}

}  // namespace

void read_tiers(const node& n, context& ctx, const std::function<void(reference, const node&)>& read) {
  if (n.unresolved) return;
  if (n.kind != node_kind::map) {
    ctx.report.error("E0301", n.at, "`tiers` must be a map of tiers", {"such as `{pro: 600/minute}`", ""});
    return;
  }
  if (n.entries.size() > tiers_max) {
    ctx.report.error("E0303", n.at, fmt::format("{} tiers", n.entries.size()),
                     {fmt::format("at most {}", tiers_max), ""});
    return;
  }
  for (const auto& e : n.entries) {
    const reporter::scope scope{ctx.report, e.key};
    read({e.key, e.at}, e.value);
  }
}

std::vector<key_row<d>> rule_quota_rows() {
  return {
      row("limit", required, in_quota<d>(limit_type()),
          "`N/second` `/minute` `/hour` `/day` `/month` or `N/DURATION`; a month only with fixed_window"),
      row("burst", "the number of `limit`", in_quota<d>(burst_type()),
          "most units at once; only token_bucket"),
      tiers_row(),
      overrides_row(),
      row("overrides_file", "",
          value_type<d>{"file", fmt::format("CSV, up to {} lines", override_lines_max), read_overrides_file},
          "behind `overrides`; the first line names the columns: a selector, `limit`, `burst`, `until`, "
          "`reason`"),
  };
}

}  // namespace weir::config
