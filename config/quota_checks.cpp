// SPDX-License-Identifier: Apache-2.0
#include "config/quota_checks.hpp"

#include "config/did_you_mean.hpp"
#include "config/values.hpp"
#include "limiter/quota.hpp"
#include "limiter/time_zone.hpp"
#include "proxy/identity/address.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <utility>

namespace weir::config {
namespace {

using limiter::quota;

std::int64_t largest_cost(const limiter::rule& rule) {
  if (rule.response_cost) return rule.response_cost->reserve;
  std::int64_t most = rule.cost_default;
  for (const auto& [route, cost] : rule.cost_by_route) most = std::max(most, cost);
  return rule.cost_from ? std::max(most, rule.cost_from->max) : most;
}

/// One quota of a rule; `who` begins the messages: "rule `r`", "rule `r`, tier `pro`".
class quota_checker {
 public:
  quota_checker(const rule_draft& d, const quota_draft& written, std::string who, reporter& report)
      : d_(d), written_(written), who_(std::move(who)), report_(report) {}

  /// The quota with the algorithm of its rule; nothing when it is of no use: why is reported.
  [[nodiscard]] std::optional<quota> complete() {
    quota q = d_.value.quota;
    if (written_.burst && q.algorithm != limiter::algorithm::token_bucket) {
      report_.error("E0304", written_.burst_at,
                    "`burst` is only for token_bucket: windows and logs have no burst beside their limit");
      return std::nullopt;
    }
    if (!written_.limit) return std::nullopt;
    q.limit = written_.limit->limit;
    q.period_us = written_.limit->period.count();
    q.burst = written_.burst.value_or(q.limit);
    constexpr std::int64_t most = std::int64_t{1} << 31;
    if (!complete_calendar(q)) return std::nullopt;
    if (q.limit < 1 || q.limit > most || q.burst > most) {
      report_.error("E0204", written_.limit_at,
                    fmt::format("{}: a limit of {} units", who_, std::max(q.limit, q.burst)),
                    {fmt::format("from 1 to {}", most), ""});
      return std::nullopt;
    }
    const auto checked = limiter::validate(q);
    if (checked.problem == limiter::quota_problem::none) return q;
    report(q, checked);
    return std::nullopt;
  }

  void check_unlimited() const {
    if (written_.unlimited && written_.burst)
      report_.error("E0304", written_.burst_at, "`burst` has no effect beside `limit: unlimited`");
  }

 private:
  /// False when month or timezone stand where they mean nothing.
  bool complete_calendar(quota& q) const {
    const rate& limit = *written_.limit;
    const bool windows = q.algorithm == limiter::algorithm::fixed_window;
    if (limit.month && !windows) {
      report_.error("E0304", written_.limit_at,
                    "months have no fixed length: `/month` is only for fixed_window",
                    {"add `algorithm: fixed_window`, or write `30d`", ""});
      return false;
    }
    const bool by_day = q.period_us == std::chrono::microseconds{std::chrono::days{1}}.count();
    if (d_.timezone_at.line != 0 && !(windows && (limit.month || by_day))) {
      report_.error("E0304", d_.timezone_at,
                    "`timezone` is only for fixed_window with a limit per `/day` or `/month`",
                    {"", "all other windows are aligned to the epoch"});
      return false;
    }
    q.calendar = limiter::calendar_unit::none;
    q.zone = nullptr;
    if (!limit.month && d_.timezone == nullptr) return true;
    q.calendar = limit.month ? limiter::calendar_unit::month : limiter::calendar_unit::day;
    q.zone = d_.timezone != nullptr ? d_.timezone : limiter::find_time_zone("UTC");
    return true;
  }

  void report(const quota& q, const limiter::quota_check& checked) const {
    const auto at = written_.burst ? written_.burst_at : written_.limit_at;
    switch (checked.problem) {
      case limiter::quota_problem::none:
        return;
      case limiter::quota_problem::not_positive:
        return report_.error("E0207", at, fmt::format("{}: limit, period and burst must be positive", who_));
      case limiter::quota_problem::capacity_too_large:
        return report_.error(
            "E0207", at,
            fmt::format("{}: a burst of {} cannot be counted exactly at this rate", who_, q.burst),
            {checked.nearest_legal > 0 ? fmt::format("the nearest legal burst is {}", checked.nearest_legal)
                                       : "",
             "a rate whose number divides its period evenly allows a larger burst"});
      case limiter::quota_problem::log_too_long:
        return report_.error("E0207", written_.limit_at,
                             fmt::format("{}: a log of {} units is too long", who_, q.limit),
                             {fmt::format("the nearest legal limit is {}", checked.nearest_legal),
                              "use `algorithm: token_bucket` for larger limits"});
      case limiter::quota_problem::too_many_slots:
        return report_.error("E0207", written_.limit_at,
                             fmt::format("{}: {} slots are too many", who_, q.limit),
                             {fmt::format("the nearest legal number is {}", checked.nearest_legal), ""});
      case limiter::quota_problem::window_too_long:
        return report_.error("E0207", written_.limit_at,
                             fmt::format("{}: a window of {} is too long", who_,
                                         format_duration(std::chrono::microseconds{q.period_us})),
                             {fmt::format("the nearest legal period is {}us", checked.nearest_legal), ""});
      case limiter::quota_problem::window_too_large:
        return report_.error("E0207", written_.limit_at,
                             fmt::format("{}: {} units cannot be counted exactly in a window of {}", who_,
                                         q.limit, format_duration(std::chrono::microseconds{q.period_us})),
                             {fmt::format("the nearest legal limit is {}", checked.nearest_legal),
                              "use `algorithm: token_bucket` for larger limits"});
    }
  }

  const rule_draft& d_;
  const quota_draft& written_;
  std::string who_;
  reporter& report_;
};

/// The quota of a tier or an override. Nothing: not usable, why is reported.
std::optional<limiter::allowance> complete_special(const rule_draft& d, const quota_draft& written,
                                                   std::string who, reporter& report) {
  quota_checker checker{d, written, who, report};
  checker.check_unlimited();
  if (written.unlimited) return limiter::allowance{};
  const auto q = checker.complete();
  if (!q) return std::nullopt;
  if (const auto cost = largest_cost(d.value); cost > q->burst) {
    report.error(
        "E0208", written.limit_at,
        fmt::format("{}: a cost of {} can never be paid: it holds {} units at most", who, cost, q->burst));
  }
  return limiter::allowance{q};
}

/// The tiers that requests may have; nothing when that is not known: a claim or a header names them.
std::optional<std::vector<std::string_view>> known_tiers(const proxy::settings& settings) {
  std::vector<std::string_view> names;
  for (const proxy::tier_source& source : settings.tiers) {
    if (!source.constant.empty()) {
      names.push_back(source.constant);
    } else if (source.table) {
      names.insert(names.end(), source.names.begin(), source.names.end());
    } else {
      return std::nullopt;
    }
  }
  return names;
}

void check_tier(const reference& tier, const proxy::settings& settings, reporter& report) {
  if (!is_name(tier.name)) {
    report.error("E0211", tier.at, fmt::format("{} is no name of a tier", in_ticks(tier.name)));
    return;
  }
  const auto known = known_tiers(settings);
  if (!known || std::find(known->begin(), known->end(), tier.name) != known->end()) return;
  report.warn(
      "W0208", tier.at, fmt::format("no request has the tier {}", in_ticks(tier.name)),
      {did_you_mean_hint(tier.name, *known), "the tiers are those that the sources of `identity.tier` name"});
}

/// The text that requests have: addresses as the group they belong to. Nothing: it fits no request, which is
/// reported.
std::optional<std::string> value_as_selected(const override_draft& item, const proxy::settings& settings,
                                             reporter& report) {
  if (item.from->text == "host") return lower_case(item.value);
  if (item.from->text != "client_ip") return item.value;
  const auto network = identity::parse_cidr(item.value);
  const auto& groups = settings.client_ip;
  std::string group;
  if (network) identity::append_group(group, network->base, groups.group_ipv4, groups.group_ipv6);
  const auto covered = identity::parse_cidr(group);
  if (!network || !covered || network->prefix < covered->prefix) {
    report.error("E0212", item.at,
                 fmt::format("{}{} is no address and no network that shares one count", item.line,
                             in_ticks(item.value)),
                 {"", "addresses are counted by `client_ip.group`"});
    return std::nullopt;
  }
  return group;
}

void complete_overrides(rule_draft& d, const proxy::settings& settings, std::int64_t now_us,
                        reporter& report) {
  if (d.overrides.empty()) return;
  auto list = std::make_shared<limiter::override_list>();
  const auto rule = fmt::format("rule {}", in_ticks(d.value.name));
  for (override_draft& item : d.overrides) {
    const auto value = value_as_selected(item, settings, report);
    const auto who = fmt::format("{}{}, override of {}", item.line, rule, in_ticks(item.from->text));
    const auto allowed = complete_special(d, item.quota, who, report);
    if (!value || !allowed) continue;
    if (item.until_us != 0 && item.until_us <= now_us)
      report.note("W0111", item.at, fmt::format("{} has ended", who), {"leave it out", ""});
    list->add(*item.from, *value, {*allowed, item.until_us, std::move(item.reason)});
  }
  list->finish();
  d.value.overrides = std::move(list);
}

}  // namespace

bool complete_quota(rule_draft& d, reporter& report) {
  quota_checker checker{d, d.quota, fmt::format("rule {}", in_ticks(d.value.name)), report};
  checker.check_unlimited();
  d.value.unlimited = d.quota.unlimited;
  if (d.quota.unlimited) return true;
  const auto q = checker.complete();
  if (q) d.value.quota = *q;
  return q.has_value();
}

void complete_special_quotas(rule_draft& d, const proxy::settings& settings, std::int64_t now_us,
                             reporter& report) {
  for (const tier_quota_draft& t : d.tiers) {
    check_tier(t.tier, settings, report);
    const auto who = fmt::format("rule {}, tier {}", in_ticks(d.value.name), in_ticks(t.tier.name));
    if (auto allowed = complete_special(d, t.quota, who, report))
      d.value.tiers.push_back({t.tier.name, *allowed});
  }
  complete_overrides(d, settings, now_us, report);
}

void complete_slot_tiers(concurrency_draft& d, const proxy::settings& settings, reporter& report) {
  for (const auto& [tier, max] : d.tiers) {
    check_tier(tier, settings, report);
    limiter::allowance allowed;
    if (max) {
      allowed = d.value.quota;
      allowed->limit = allowed->burst = *max;
    }
    d.value.tiers.push_back({tier.name, allowed});
  }
}

}  // namespace weir::config
