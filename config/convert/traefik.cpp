// SPDX-License-Identifier: Apache-2.0
// Traefik's dynamic configuration: rateLimit and inFlightReq, with their routers and services.
#include "config/addresses.hpp"
#include "config/convert/foreign_yaml.hpp"
#include "config/convert/traefik_rule.hpp"
#include "config/units.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <map>

namespace weir::config {
namespace {

/// What requests of one source share a bucket.
struct source {
  std::string key;
  std::string fallback;  ///< for requests without it
  notes about;
};

class traefik_converter {
 public:
  policy_draft convert(const std::string& text) {
    auto root = read_foreign(text);
    auto http = root.map("http");
    if (!http.exists())
      throw not_readable{1, "the file has no `http`: not a dynamic configuration of Traefik"};
    for (auto& [name, service] : http.named("services")) read_service(name, service);
    read_routers(http.named("routers"));
    for (auto& [name, middleware] : http.named("middlewares")) read_middleware(name, middleware);
    http.finish(draft_.notes);
    root.finish(draft_.notes);
    return std::move(draft_);
  }

 private:
  /// The longest rule is asked first, unless a number says otherwise.
  static std::int64_t priority_of(foreign_map& router) {
    const auto number = router.integer("priority").value_or(0);
    return number != 0 ? number : static_cast<std::int64_t>(router.text("rule").size());
  }

  // ---- services

  void read_service(const std::string& name, foreign_map& service) {
    auto balancer = service.map("loadBalancer");
    if (!balancer.exists()) {
      draft_.note(service.line(),
                  fmt::format("service `{}` is left out: only loadBalancer is converted", name));
      return;
    }
    policy_item item;
    std::string endpoints;
    for (auto& server : balancer.maps("servers")) {
      auto url = server.text("url");
      while (url.ends_with('/')) url.pop_back();
      if (!parse_endpoint_url(url).value) {
        item.notes.push_back(
            {server.line(), fmt::format("server `{}` is left out: an endpoint is scheme, host and "
                                        "port",
                                        url)});
        continue;
      }
      const auto weight = server.integer("weight").value_or(1);
      endpoints += fmt::format("{}{{url: {}{}}}", endpoints.empty() ? "" : ", ", written(url),
                               weight > 1 ? fmt::format(", weight: {}", weight) : "");
      server.finish(item.notes);
    }
    if (endpoints.empty()) {
      draft_.note(service.line(), fmt::format("service `{}` is left out: it has no usable server", name));
      return;
    }
    item.set("endpoints", "[" + endpoints + "]").set("balance", "round_robin");
    if (!balancer.flag("passHostHeader", true)) item.set("host", "endpoint");
    read_health(balancer.map("healthCheck"), item);
    balancer.finish(item.notes);
    service.finish(item.notes);
    services_[name] = draft_.free_name("upstreams", name);
    draft_.upstreams.emplace_back(services_[name], std::move(item));
  }

  static void read_health(foreign_map check, policy_item& item) {
    if (!check.exists()) return;
    auto text = "{path: " + written(check.text("path", "/"));
    for (const auto* key : {"interval", "timeout"}) {
      const auto value = check.text(key);
      if (!value.empty() && parse_duration(value).value) text += fmt::format(", {}: {}", key, value);
    }
    item.set("health_check", text + "}");
    check.finish(item.notes);
  }

  // ---- routers

  void read_routers(std::vector<std::pair<std::string, foreign_map>> routers) {
    std::vector<std::pair<std::int64_t, std::size_t>> order;
    order.reserve(routers.size());
    for (std::size_t i = 0; i < routers.size(); ++i) order.emplace_back(-priority_of(routers[i].second), i);
    std::sort(order.begin(), order.end());
    for (const auto& [priority, i] : order) read_router(routers[i].first, routers[i].second);
  }

  void read_router(const std::string& name, foreign_map& router) {
    const auto rule = router.text("rule");
    const auto service = services_.find(router.text("service"));
    policy_item route;
    const auto parsed = parse_traefik_rule(rule);
    const auto match = parsed ? match_of(*parsed, route, router.line()) : std::nullopt;
    const auto middlewares = router.texts("middlewares");
    router.finish(route.notes);
    if (!match || service == services_.end()) {
      draft_.note(router.line(),
                  fmt::format("router `{}` is left out: {}", name,
                              match ? "its service is not in the policy"
                                    : fmt::format("its rule cannot be a `match` of weir: {}", rule)));
      draft_.notes.insert(draft_.notes.end(), route.notes.begin(), route.notes.end());
      return;
    }
    route.fields = {
        {"name", draft_.free_name("routes", name)}, {"match", *match}, {"upstream", service->second}};
    for (auto middleware : middlewares) {
      middleware.resize(std::min(middleware.size(), middleware.find('@')));
      users_[middleware].push_back(route.fields.front().second);
    }
    draft_.routes.push_back(std::move(route));
  }

  static std::optional<std::string> match_of(const traefik_rule& rule, policy_item& route, int line) {
    std::map<std::string, std::vector<std::string>> lists;
    std::map<std::string, std::string> maps;
    for (const auto& [matcher, values] : rule.conditions) {
      if (matcher == "Host") {
        add(lists["host"], values);
      } else if (matcher == "Method") {
        add(lists["methods"], values);
      } else if (matcher == "ClientIP") {
        add(lists["client_ip"], values);
      } else if (matcher == "Path") {
        add(lists["path"], values);
      } else if (matcher == "PathPrefix") {
        for (const auto& value : values) add_prefix(lists["path"], value, route, line);
      } else if ((matcher == "Header" || matcher == "Query" || matcher == "Headers") && values.size() == 2) {
        auto& map = maps[matcher == "Query" ? "query" : "header"];
        map += fmt::format("{}{}: {}", map.empty() ? "" : ", ", written(values[0]), written(values[1]));
      } else {
        return std::nullopt;
      }
    }
    const bool usable =
        std::all_of(lists["path"].begin(), lists["path"].end(),
                    [](const auto& path) {
                      return path.find_first_of("{}") == std::string::npos && usable_template(path);
                    }) &&
        std::all_of(lists["host"].begin(), lists["host"].end(), is_host);
    if (!usable) return std::nullopt;
    if (lists["path"].empty()) lists["path"] = {"/**"};
    std::string text;
    for (const auto& [key, list] : lists) {
      if (!list.empty()) text += fmt::format("{}{}: {}", text.empty() ? "" : ", ", key, written_list(list));
    }
    for (const auto& [key, map] : maps) text += fmt::format(", {}: {{{}}}", key, map);
    return "{" + text + "}";
  }

  static void add(std::vector<std::string>& to, const std::vector<std::string>& more) {
    to.insert(to.end(), more.begin(), more.end());
  }

  static void add_prefix(std::vector<std::string>& paths, std::string prefix, policy_item& route, int line) {
    if (!prefix.ends_with('/'))
      route.notes.push_back(
          {line, fmt::format("PathPrefix(`{0}`) also takes `{0}x`; weir takes whole segments", prefix)});
    paths.push_back(below(std::move(prefix)));
  }

  // ---- middlewares

  void read_middleware(const std::string& name, foreign_map& middleware) {
    auto rate = middleware.map("rateLimit");
    auto in_flight = middleware.map("inFlightReq");
    if (rate.exists()) {
      read_rate_limit(name, rate);
    } else if (in_flight.exists()) {
      read_in_flight(name, in_flight);
    }
    middleware.finish(draft_.notes);
  }

  /// False when no route uses it.
  bool set_match(policy_item& item, const std::string& name, int line) {
    const auto& routes = users_[name];
    if (routes.empty() && !draft_.routes.empty()) {
      draft_.note(line, fmt::format("middleware `{}` is left out: no converted router uses it", name));
      return false;
    }
    if (routes.size() < draft_.routes.size()) item.set("match", "{route: " + written_list(routes) + "}");
    return true;
  }

  void read_rate_limit(const std::string& name, foreign_map& limit) {
    policy_item rule;
    rule.set("name", draft_.free_name("rules", name));
    if (!set_match(rule, name, limit.line())) return;
    const auto average = limit.integer("average").value_or(0);
    if (average == 0) {
      draft_.note(limit.line(),
                  fmt::format("rateLimit `{}` has no average, which is no limit: there is no rule", name));
      return;
    }
    const auto from = source_of(limit, "client_ip");
    const bool shared = limit.map("redis").exists();
    set_key(rule, from, users_[name].size() > 1 && !shared);
    if (users_[name].size() > 1 && !shared)
      rule.notes.push_back(
          {limit.line(), "Traefik counts each router by itself, unless it has redis: `route` is in the key"});
    const auto period = limit.text("period", "1s");
    rule.set("limit", fmt::format("{}/{}", average, unit_of(period)));
    set_burst(rule, limit, average, period);
    limit.finish(rule.notes);
    if (!parse_rate(fmt::format("{}/{}", average, unit_of(period))).value) {
      draft_.note(limit.line(),
                  fmt::format("rateLimit `{}` is left out: its period `{}` is not readable", name, period));
      return;
    }
    draft_.rules.push_back(std::move(rule));
  }

  static std::string unit_of(const std::string& period) {
    const std::map<std::string, std::string> words{{"1s", "second"},  {"1", "second"}, {"1m", "minute"},
                                                   {"60s", "minute"}, {"1h", "hour"},  {"24h", "day"}};
    const auto word = words.find(period);
    if (word != words.end()) return word->second;
    const bool bare = period.find_first_not_of("0123456789") == std::string::npos;
    return bare ? period + "s" : period;  // a bare number is seconds
  }

  static void set_burst(policy_item& rule, foreign_map& limit, std::int64_t average,
                        const std::string& period) {
    const auto burst = std::max<std::int64_t>(limit.integer("burst").value_or(1), 1);
    rule.set("burst", std::to_string(burst));
    const auto rate = parse_rate(fmt::format("{}/{}", average, unit_of(period))).value;
    if (!rate) return;
    const auto interval = format_duration(rate->period / rate->limit);
    if (burst == 1 && average > 1) {
      rule.notes.push_back(
          {limit.line(), fmt::format("`burst` is 1 unless it is written: one request every {}; leave it "
                                     "out here to allow {} at once",
                                     interval, average)});
    }
    rule.notes.push_back(
        {limit.line(), fmt::format("Traefik lets a request that comes up to half of {} (at most 500ms) "
                                   "too early wait; weir refuses it with Retry-After",
                                   interval)});
  }

  void read_in_flight(const std::string& name, foreign_map& limit) {
    policy_item item;
    item.set("name", draft_.free_name("rules", name));
    if (!set_match(item, name, limit.line())) return;
    const auto amount = limit.integer("amount").value_or(0);
    if (amount < 1) {
      draft_.note(limit.line(), fmt::format("inFlightReq `{}` has no amount: it is left out", name));
      return;
    }
    const auto from = source_of(limit, "host");
    set_key(item, from, users_[name].size() > 1);
    item.set("max", std::to_string(amount)).set("scope", "local").set("status", "429");
    limit.finish(item.notes);
    draft_.concurrency.push_back(std::move(item));
  }

  static void set_key(policy_item& item, const source& from, bool by_route) {
    auto key = std::vector{from.key};
    if (by_route) key.emplace_back("route");
    item.set("key", written_list(key));
    if (!from.fallback.empty()) item.set("missing", from.fallback);
    item.notes.insert(item.notes.end(), from.about.begin(), from.about.end());
  }

  source source_of(foreign_map& limit, const std::string& otherwise) {
    auto criterion = limit.map("sourceCriterion");
    source from{otherwise, {}, {}};
    auto ip = criterion.map("ipStrategy");
    const auto header = criterion.text("requestHeaderName");
    if (ip.exists()) {
      from.key = "client_ip";
      read_ip_strategy(ip);
    } else if (!header.empty()) {
      from = {"header:" + header,
              "skip",
              {{criterion.line(),
                fmt::format("requests without `{}` share one bucket in Traefik; this rule leaves them to "
                            "others",
                            header)}}};
    } else if (criterion.flag("requestHost", false)) {
      from.key = "host";
    }
    if (from.key == "client_ip" && !ip.exists())
      from.about.push_back(
          {limit.line(), "an IPv6 client is counted by its /64 network (`client_ip.group`)"});
    criterion.finish(from.about);
    return from;
  }

  /// Who the client is, is said once in weir, for every rule.
  void read_ip_strategy(foreign_map& ip) {
    auto& client = draft_.section("client_ip");
    const auto depth = ip.integer("depth").value_or(0);
    const auto excluded = ip.texts("excludedIPs");
    const auto before = client.fields;
    if (depth > 0) {
      client.fields = {{"hops", std::to_string(depth)}};
      client.notes.push_back(
          {ip.line(), fmt::format("`depth: {0}` is `hops: {0}`, for every rule; networks in "
                                  "`trusted_proxies` are safer",
                                  depth)});
    } else if (!excluded.empty()) {
      client.fields = {{"trusted_proxies", written_list(excluded)}};
    } else if (before.empty()) {
      client.set("trusted_proxies", "[]");
    }
    if (!before.empty() && client.fields != before)
      client.notes.push_back(
          {ip.line(),
           "another middleware finds the client in another way; weir has one for all: this "
           "one"});
    if (const auto subnet = ip.integer("ipv6Subnet"))
      client.set("group", fmt::format("{{ipv6: {}}}", *subnet));
    ip.finish(client.notes);
  }

  policy_draft draft_;
  std::map<std::string, std::string> services_;
  std::map<std::string, std::vector<std::string>> users_;  // middleware -> routes
};

}  // namespace

policy_draft convert_traefik(const std::string& text) {
  return traefik_converter{}.convert(text);
}

}  // namespace weir::config
