// SPDX-License-Identifier: Apache-2.0
#include "config/checks.hpp"

#include "config/concurrency_checks.hpp"
#include "config/cost_checks.hpp"
#include "config/did_you_mean.hpp"
#include "config/identity_checks.hpp"
#include "config/quota_checks.hpp"
#include "config/rule_words.hpp"
#include "limiter/path_template.hpp"
#include "limiter/quota.hpp"
#include "proxy/tls/pem.hpp"

#include <algorithm>
#include <chrono>
#include <fmt/format.h>
#include <map>
#include <string_view>

namespace weir::config {
namespace {

/// Reports the second use of a name. Empty names are missing ones, reported elsewhere.
class unique_names {
 public:
  unique_names(std::string_view what, reporter& report) : what_(what), report_(report) {}

  void add(std::string_view name, const place& at) {
    if (name.empty()) return;
    const auto [first, added] = seen_.emplace(name, at);
    if (added) return;
    report_.error("E0403", at, fmt::format("the name {} is used by two {}", in_ticks(name), what_),
                  {fmt::format("first at line {}, column {}", first->second.line, first->second.column), ""});
  }

 private:
  std::string_view what_;
  reporter& report_;
  std::map<std::string, place, std::less<>> seen_;
};

class checker {
 public:
  checker(file_draft& draft, const environment& env, reporter& report)
      : draft_(draft), env_(env), report_(report) {}

  void run() {
    check_server();
    complete_store();
    complete_upstreams();
    check_claims(draft_, report_);
    complete_identity(draft_, report_);
    complete_routes();
    check_path_parameters(draft_, report_);
    complete_lists();
    complete_rules();
    warn();
  }

 private:
  // ---- server
  // ------------------------------------------------------------------------------------------------------

  void check_server() {
    auto& s = draft_.settings;
    if (s.listeners.empty()) s.listeners.push_back({"0.0.0.0:8080", {"0.0.0.0", 8080, {}}});
    unique_names names{"listeners", report_};
    for (std::size_t i = 0; i < draft_.listener_names_at.size(); ++i)
      names.add(s.listeners[i].name, draft_.listener_names_at[i]);
    check_addresses();
    if (s.drain.timeout <= s.drain.delay) {
      report_.error("E0308", draft_.drain_at,
                    fmt::format("drain.timeout ({}) must be longer than drain.delay ({})",
                                format_duration(s.drain.timeout), format_duration(s.drain.delay)),
                    {"both count from SIGTERM", ""});
    }
  }

  void check_addresses() {
    const auto& s = draft_.settings;
    std::map<std::string, place> seen;
    const auto add = [&](const proxy::socket_address& address, const place& at) {
      if (address == proxy::socket_address{} || seen.emplace(address.text(), at).second) return;
      report_.error("E0403", at, fmt::format("the address {} is used twice", in_ticks(address.text())));
    };
    for (std::size_t i = 0; i < s.listeners.size(); ++i) {
      add(s.listeners[i].address,
          i < draft_.listener_names_at.size() ? draft_.listener_names_at[i] : place{});
    }
    add(s.admin.address, draft_.admin_at);
    if (s.admin.has_scrape_address) add(s.admin.scrape_address, draft_.admin_at);
  }

  // ---- store
  // -------------------------------------------------------------------------------------------------------

  void complete_store() {
    auto& d = draft_.store;
    if (d.username && d.url_has_user)
      report_.error("E0304", d.username_at, "the user is also in `store.url`", {"keep one of them", ""});
    if (d.password && d.url_has_password)
      report_.error("E0304", d.password_at, "the password is also in `store.url`", {"keep one of them", ""});
    auto& redis = d.value.redis;
    if (d.username) redis.username = *d.username;
    if (d.password) redis.password = *d.password;
    if (!redis.username.empty() && redis.password.empty()) {
      report_.error("E0302", d.username_at.line != 0 ? d.username_at : d.url_at,
                    "a user of the store without a password", {"add `password_file`", ""});
    }
    if (d.value.redis.proxy_clock && d.value.kind != proxy::store_kind::redis)
      report_.error("E0304", d.clock_at, "`clock: proxy` needs a redis:// url",
                    {"memory:// has no other clock", ""});
    if (d.value.redis.proxy_clock && d.value.redis.starts_empty)
      report_.error("E0304", d.clock_at, "`clock: proxy` and `cold_start: empty` exclude each other",
                    {"since when a server has data is known by its own clock only", ""});
    check_topology();
    check_store_tls();
    draft_.settings.store = std::move(d.value);
  }

  void check_topology() {
    using limiter::redis_topology;
    auto& d = draft_.store;
    auto& redis = d.value.redis;
    const bool several = redis.topology != redis_topology::single;
    if (several && d.value.kind != proxy::store_kind::redis) {
      report_.error("E0304", d.topology_at, "a topology of servers needs a redis:// url",
                    {"its host is not dialled: `nodes` are", ""});
    }
    if (several && !redis.unix_path.empty())
      report_.error("E0304", d.topology_at, "several servers are not behind one unix socket");
    if (several && redis.nodes.empty() && d.nodes_at.line == 0)
      report_.error("E0302", d.topology_at, "a topology of several servers has no `nodes`",
                    {"list the sentinels, or some nodes of the cluster", ""});
    if (!several && d.nodes_at.line != 0)
      report_.error("E0304", d.nodes_at, "`nodes` need a `topology`", {"`sentinel` or `cluster`", ""});
    const bool wants_master = redis.topology == redis_topology::sentinel;
    if (wants_master && d.master_at.line == 0)
      report_.error("E0302", d.topology_at, "a sentinel topology has no `master`",
                    {"the name the sentinels know it by", ""});
    if (!wants_master && d.master_at.line != 0)
      report_.error("E0304", d.master_at, "only sentinels know a `master` by name");
    if (redis.topology == redis_topology::cluster && redis.database != 0)
      report_.error("E0304", d.url_at, "a cluster has only database 0");
    const bool may_start_empty =
        d.value.kind == proxy::store_kind::redis && redis.topology != redis_topology::cluster;
    if (redis.starts_empty && !may_start_empty)
      report_.error("E0304", d.cold_start_at,
                    "`cold_start: empty` needs one Redis, or the master of sentinels",
                    {"only there is it known since when there is data", ""});
  }

  void check_store_tls() {
    const auto& d = draft_.store;
    const auto& tls = d.value.redis.tls;
    if (d.tls_at.line != 0 && !tls.enabled) report_.error("E0304", d.tls_at, "`tls` needs a rediss:// url");
    if (tls.certificate.empty() != tls.key.empty())
      report_.error("E0302", d.tls_at, "`certificate` and `key` need each other");
    if (!tls.verify)
      report_.warn("W0601", d.tls_at, "the store is not verified: whoever answers decides",
                   {"name the authority by `ca_file`", ""});
  }

  // ---- upstreams
  // ---------------------------------------------------------------------------------------------------

  void complete_upstreams() {
    if (draft_.upstreams.empty() && draft_.upstreams_at.line != 0) {
      report_.error("E0302", draft_.upstreams_at, "no upstream: there is nowhere to forward to");
    }
    for (auto& u : draft_.upstreams) {
      if (u.has_url == u.has_endpoints) {
        report_.error(
            u.has_url ? "E0304" : "E0302", u.has_url ? u.name_at : u.at,
            fmt::format("upstream {} needs exactly one of `url` and `endpoints`", in_ticks(u.value.name)));
      }
      if (u.value.retry.backoff_max < u.value.retry.backoff_base) {
        report_.error("E0304", u.name_at,
                      fmt::format("upstream {}: retry.backoff.max is below retry.backoff.base",
                                  in_ticks(u.value.name)));
      }
      check_upstream_tls(u);
      draft_.settings.upstreams.push_back(std::move(u.value));
    }
  }

  void check_upstream_tls(const upstream_draft& u) {
    if (u.tls_at.line == 0) return;
    const auto& tls = u.value.tls;
    const auto& endpoints = u.value.endpoints;
    if (std::none_of(endpoints.begin(), endpoints.end(), [](const auto& e) { return e.tls; }))
      report_.error("E0304", u.tls_at, "`tls` needs an https:// url");
    if (tls.certificate.empty() != tls.key.empty())
      report_.error("E0302", u.tls_at, "`certificate` and `key` need each other");
    if (!tls.certificate.empty() && !tls.key.empty()) {
      const auto problem = proxy::tls::pair_problem(tls.certificate, tls.key);
      if (!problem.empty()) report_.error("E0502", u.tls_at, problem);
    }
    if (!tls.ca.empty() && proxy::tls::parse_certificates(tls.ca).empty())
      report_.error("E0502", u.tls_at, "the file of `ca_file` holds no usable certificate in PEM form");
    if (!tls.verify) {
      report_.warn("W0601", u.tls_at,
                   fmt::format("upstream {} is not verified: whoever answers gets its requests",
                               in_ticks(u.value.name)),
                   {"name the authority by `ca_file`", ""});
    }
  }

  // ---- routes
  // ------------------------------------------------------------------------------------------------------

  void complete_routes() {
    auto& s = draft_.settings;
    if (!draft_.has_routes) {
      if (s.upstreams.size() > 1) {
        report_.error("E0310", draft_.upstreams_at,
                      "several upstreams and no `routes`: which requests go where?",
                      {"", "add `routes: [{name: rest, match: {path: \"/**\"}, upstream: NAME}]`"});
      }
      proxy::route_settings all;
      all.name = "all";
      s.routes.push_back(std::move(all));
      return;
    }
    unique_names names{"routes", report_};
    for (auto& r : draft_.routes) {
      names.add(r.value.name, r.name_at);
      r.value.upstream = find_upstream(r.upstream);
      r.value.match = finished(r.match);
      s.routes.push_back(std::move(r.value));
    }
  }

  std::uint32_t find_upstream(const reference& wanted) {
    const auto& all = draft_.settings.upstreams;
    const auto found =
        std::find_if(all.begin(), all.end(), [&](const auto& u) { return u.name == wanted.name; });
    if (found != all.end()) return static_cast<std::uint32_t>(found - all.begin());
    if (wanted.name.empty()) return 0;
    unknown("E0401", "upstream", wanted, names_of(all));
    return 0;
  }

  template <typename Named>
  static std::vector<std::string_view> names_of(const std::vector<Named>& all) {
    std::vector<std::string_view> names(all.size());
    std::transform(all.begin(), all.end(), names.begin(),
                   [](const Named& item) -> std::string_view { return item.name; });
    return names;
  }

  void unknown(std::string_view code, std::string_view what, const reference& wanted,
               const std::vector<std::string_view>& names) {
    report_.error(code, wanted.at, fmt::format("there is no {} {}", what, in_ticks(wanted.name)),
                  {did_you_mean_hint(wanted.name, names),
                   names.size() <= 32 ? fmt::format("{}s: {}", what, fmt::join(names, " ")) : std::string{}});
  }

  [[nodiscard]] bool is_route(std::string_view name) const {
    const auto& all = draft_.settings.routes;
    return std::any_of(all.begin(), all.end(), [&](const auto& r) { return r.name == name; });
  }

  void check_route(const reference& wanted) {
    if (is_route(wanted.name)) return;
    unknown("E0402", "route", wanted, names_of(draft_.settings.routes));
  }

  // ---- matches, block, exempt
  // ---------------------------------------------------------------------------------------

  [[nodiscard]] limiter::request_match finished(match_draft& d) const {
    if (draft_.settings.paths.ignore_case) fold_paths(d.value);
    return std::move(d.value);
  }

  void complete_lists() {
    auto& s = draft_.settings;
    for (auto* list : {&draft_.block, &draft_.exempt}) {
      for (auto& d : *list) {
        for (const auto& wanted : d.match.routes) check_route(wanted);
        d.match.value = finished(d.match);
      }
    }
    complete_list(draft_.block, s.block, report_);
    complete_list(draft_.exempt, s.exempt, report_);
  }

  // ---- rules
  // -------------------------------------------------------------------------------------------------------

  void complete_rules() {
    unique_names names{"rules", report_};
    std::vector<limiter::rule> rules;
    const std::int64_t now_us = std::chrono::duration_cast<std::chrono::microseconds>(
                                    std::chrono::system_clock::now().time_since_epoch())
                                    .count();
    for (auto& d : draft_.rules) {
      names.add(d.value.name, d.name_at);
      for (const auto& wanted : d.match.routes) check_route(wanted);
      d.value.match = finished(d.match);
      d.value.sharing = d.sharing;
      d.value.failure_mode = d.failure_mode.value_or(draft_.settings.store.failure_mode);
      complete_missing(d);
      const bool exact = complete_quota(d, report_);
      complete_cost(d, exact);
      complete_cost_sources(d, exact, report_);
      complete_special_quotas(d, draft_.settings, now_us, report_);
      complete_mode(d);
      d.value.rid = limiter::make_rule_id(d.value.name);
      d.value.index = static_cast<std::uint32_t>(rules.size());
      // A rule with errors stays out of the words; the file is refused anyway.
      if (exact && !d.value.name.empty()) rules.push_back(d.value);
    }
    complete_concurrency_limits(names);
    check_rule_ids();
    draft_.settings.policy = limiter::policy_set{std::move(rules), draft_.settings.store.redis.readable_keys};
  }

  /// They share the names of the rules: both are the `rule` of a denial.
  void complete_concurrency_limits(unique_names& names) {
    std::vector<limiter::rule> limits;
    for (auto& d : draft_.concurrency) {
      names.add(d.value.name, d.name_at);
      for (const auto& wanted : d.match.routes) check_route(wanted);
      d.match.value = finished(d.match);
      complete_concurrency(d, draft_.settings, report_);
      complete_slot_tiers(d, draft_.settings, report_);
      d.value.index = static_cast<std::uint32_t>(limits.size());
      if (d.max > 0 && !d.value.name.empty()) limits.push_back(d.value);
    }
    draft_.settings.concurrency =
        limiter::policy_set{std::move(limits), draft_.settings.store.redis.readable_keys};
  }

  void check_rule_ids() {
    std::map<std::string_view, const rule_draft*> seen;
    for (const auto& d : draft_.rules) {
      const auto [other, added] = seen.emplace(d.value.rid.text(), &d);
      if (added || other->second->value.name == d.value.name) continue;
      report_.error("E0404", d.name_at,
                    fmt::format("the names {} and {} have the same id in the store",
                                in_ticks(other->second->value.name), in_ticks(d.value.name)),
                    {"rename one of them", ""});
    }
  }

  void complete_missing(rule_draft& d) {
    const auto may_lack_it = [&](const auto& s) { return may_lack(s, draft_.settings, d.value.match); };
    const auto absent = std::find_if(d.value.key.begin(), d.value.key.end(), may_lack_it);
    const auto name = in_ticks(d.value.name);
    if (absent != d.value.key.end() && !d.has_missing) {
      report_.error(
          "E0305", d.key_at,
          fmt::format("rule {}: what happens to requests without {}?", name, in_ticks(absent->text)),
          {"add `missing`",
           "missing: skip (do not apply the rule), deny (401), or fallback (count by `fallback`)"});
    }
    d.value.missing = d.missing.value_or(limiter::on_missing::skip);
    const bool falls_back = d.value.missing == limiter::on_missing::fallback;
    if (!falls_back && d.fallback_at.line != 0) {
      report_.error("E0304", d.fallback_at, "`fallback` has no effect without `missing: fallback`");
    }
    if (falls_back && d.fallback_at.line == 0)
      d.value.fallback.push_back(*limiter::parse_selector("client_ip"));
    for (const auto& selector : d.value.fallback) {
      if (!may_lack_it(selector)) continue;
      report_.error("E0305", d.fallback_at,
                    fmt::format("{} can be absent too: `fallback` takes selectors that always have a value",
                                in_ticks(selector.text)));
    }
  }

  void complete_mode(const rule_draft& d) {
    if (d.value.mode != limiter::rule_mode::enforce && d.enforce_percent_at.line != 0)
      report_.error("E0304", d.enforce_percent_at, "`enforce_percent` has no effect beside this `mode`",
                    {"leave `mode` out, or `enforce_percent`", ""});
    if (d.value.penalty_us > 0 && d.sharing == limiter::sharing_mode::balanced)
      report_.warn(
          "W0112", d.sharing_at,
          fmt::format("a penalty begins in the store: rule {} acts as `strict`", in_ticks(d.value.name)),
          {"leave `sharing` out", ""});
  }

  void complete_cost(rule_draft& d, bool has_quota) {
    for (const auto& item : d.costs) {
      if (!item.route.name.empty()) check_route(item.route);
      if (has_quota && !d.value.unlimited && item.cost > d.value.quota.burst) {
        report_.error("E0208", item.at,
                      fmt::format("a cost of {} can never be paid: rule {} holds {} units at most", item.cost,
                                  in_ticks(d.value.name), d.value.quota.burst));
      }
      if (item.route.name.empty()) {
        d.value.cost_default = item.cost;
      } else {
        d.value.cost_by_route.emplace_back(item.route.name, item.cost);
      }
    }
  }

  // ---- warnings
  // ----------------------------------------------------------------------------------------------------

  [[nodiscard]] static bool has_selector(const rule_draft& d, std::string_view text) {
    const auto is = [&](const limiter::selector& s) { return s.text == text; };
    return std::any_of(d.value.key.begin(), d.value.key.end(), is) ||
           std::any_of(d.value.fallback.begin(), d.value.fallback.end(), is);
  }

  [[nodiscard]] const rule_draft* first_rule(const std::function<bool(const rule_draft&)>& wanted) const {
    const auto found = std::find_if(draft_.rules.begin(), draft_.rules.end(), wanted);
    return found == draft_.rules.end() ? nullptr : &*found;
  }

  void warn() {
    const auto& s = draft_.settings;
    if (draft_.rules.empty()) report_.warn("W0110", {}, "there are no rules: every request is forwarded");
    const auto* by_address = first_rule([](const auto& d) { return has_selector(d, "client_ip"); });
    if (by_address != nullptr && s.client_ip.trusted_proxies.empty() && !draft_.has_trusted_proxies &&
        s.client_ip.hops == 0 && !s.client_ip.header.empty()) {
      report_.warn(
          "W0203", {}, "trusted_proxies is empty: behind a load balancer all clients share one bucket",
          {"", "list the load balancers, or write `trusted_proxies: []` if clients connect directly"});
    }
    const auto* by_choice = first_rule([](const auto& d) {
      return std::any_of(d.value.key.begin(), d.value.key.end(), limiter::is_client_chosen);
    });
    const bool backstop = first_rule([](const auto& d) {
                            return std::any_of(d.value.key.begin(), d.value.key.end(),
                                               [](const auto& k) { return k.text == "client_ip"; });
                          }) != nullptr;
    if (by_choice != nullptr && !backstop) {
      report_.warn(
          "W0204", by_choice->key_at,
          fmt::format("rule {} counts by a value the client chooses, and no rule counts by its address",
                      in_ticks(by_choice->value.name)),
          {"", "a client that invents new values is never limited: add a rule with `key: [client_ip]`"});
    }
    const auto* by_user = first_rule([](const auto& d) { return has_selector(d, "user"); });
    if (by_user != nullptr && s.users.empty()) {
      report_.warn("W0206", by_user->key_at,
                   fmt::format("rule {} counts by user, but `identity.user` is empty: no request has a user",
                               in_ticks(by_user->value.name)));
    }
    warn_probes();
    warn_store();
    warn_small_shares();
    note_worst_case();
  }

  /// A path that is asked for as a sign of life: a 429 there restarts what is merely busy.
  void warn_probes() {
    const auto& s = draft_.settings;
    for (const proxy::upstream_settings& upstream : s.upstreams) {
      const std::string_view target = upstream.health_check.path;
      const std::string_view path = target.substr(0, target.find('?'));
      if (path.empty()) continue;
      const auto names = [path](const limiter::request_match& match) {
        return std::any_of(match.paths.begin(), match.paths.end(),
                           [path](const std::string& t) { return limiter::path_matches(t, path); });
      };
      const auto& rules = s.policy.rules();
      const bool limited = std::any_of(rules.begin(), rules.end(), [&](const limiter::rule& rule) {
        return rule.match.paths.empty() || names(rule.match);
      });
      const bool exempt = std::any_of(s.exempt.begin(), s.exempt.end(),
                                      [&](const proxy::listed_requests& item) { return names(item.match); });
      if (!limited || exempt) continue;
      report_.warn("W0301", draft_.upstreams_at,
                   fmt::format("probes of {} are counted: a 429 would look like a failure", in_ticks(path)),
                   {fmt::format("add `{{match: {{path: {}}}, reason: probes}}` to `exempt`", path), ""});
      return;
    }
  }

  void warn_store() {
    if (draft_.settings.store.kind != proxy::store_kind::memory || !env_("POD_NAME")) return;
    report_.warn("W0501", draft_.store.url_at,
                 "memory:// in a Pod: every replica counts alone, N replicas admit N times each limit",
                 {"", "use a Redis store for limits that replicas share"});
  }

  /// Only a number that is written is known here; with `auto` such a rule acts as `strict` as well.
  void warn_small_shares() {
    const std::int64_t replicas = draft_.settings.store.replicas;
    for (const auto& d : draft_.rules) {
      if (d.sharing == limiter::sharing_mode::strict || d.value.unlimited || d.value.quota.burst >= replicas)
        continue;
      report_.warn(
          "W0108", d.sharing_at,
          fmt::format("{} replicas share a burst of {}: less than one unit each, rule {} acts as `strict`",
                      replicas, d.value.quota.burst, in_ticks(d.value.name)),
          {"raise `burst`, or leave `sharing` out", ""});
    }
  }

  /// Once a file: the difference between a bucket and a log surprises people.
  void note_worst_case() {
    const auto& rules = draft_.settings.policy.rules();
    const auto bucket = std::find_if(rules.begin(), rules.end(), [](const limiter::rule& r) {
      return r.quota.algorithm == limiter::algorithm::token_bucket && !r.unlimited && r.quota.limit <= 10000;
    });
    if (bucket == rules.end() || worst_case_per_period(bucket->quota) <= bucket->quota.limit) return;
    report_.note(
        "W0107", {},
        fmt::format("`token_bucket` lets {} through in {}; for \"never more than {} in any {}\" use "
                    "`algorithm: sliding_window_log`",
                    worst_case_per_period(bucket->quota),
                    format_duration(std::chrono::microseconds{bucket->quota.period_us}), bucket->quota.limit,
                    format_duration(std::chrono::microseconds{bucket->quota.period_us})));
  }

  file_draft& draft_;
  const environment& env_;
  reporter& report_;
};

}  // namespace

void check_and_complete(file_draft& draft, const environment& env, reporter& report) {
  checker{draft, env, report}.run();
}

}  // namespace weir::config
