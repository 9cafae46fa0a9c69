// SPDX-License-Identifier: Apache-2.0
// Kong's declarative configuration: rate-limiting and rate-limiting-advanced, with services, routes and
// consumers.
#include "config/addresses.hpp"
#include "config/convert/foreign_yaml.hpp"
#include "config/units.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <map>
#include <optional>

namespace weir::config {
namespace {

/// A limiting plugin and what it is attached to; empty: to everything.
struct limiting_plugin {
  foreign_map config;
  std::string name;
  std::string service, route, consumer;

  [[nodiscard]] int weight() const {  // the most specific one alone counts a request
    return (consumer.empty() ? 0 : 4) + (route.empty() ? 0 : 2) + (service.empty() ? 0 : 1);
  }
};

struct kong_route {
  std::string name, service;  // as in the file
  policy_item item;
  std::size_t longest_path = 0;
};

constexpr std::array periods{"second", "minute", "hour", "day", "month", "year"};

class kong_converter {
 public:
  policy_draft convert(const std::string& text) {
    auto root = read_foreign(text);
    if (root.text("_format_version").empty())
      throw not_readable{1, "the file has no `_format_version`: not a declarative configuration of Kong"};
    for (const auto* known : {"_transform", "_comment"}) (void)root.take(known);
    for (auto& upstream : root.maps("upstreams")) read_upstream(upstream);
    for (auto& service : root.maps("services")) read_service(service);
    for (auto& route : root.maps("routes")) read_route(route, reference(route, "service"));
    for (auto& consumer : root.maps("consumers")) read_consumer(consumer);
    read_plugins(root, {}, {}, {});
    write_routes();
    for (auto& plugin : plugins_) write_plugin(plugin);
    root.finish(draft_.notes);
    return std::move(draft_);
  }

 private:
  /// `service: name` or `service: {name: ...}`.
  static std::string reference(foreign_map& of, const std::string& key) {
    const auto plain = of.text(key);
    return plain.empty() ? of.map(key).text("name", of.map(key).text("username")) : plain;
  }

  // ---- upstreams, services, routes

  void read_upstream(foreign_map& upstream) {
    const auto name = upstream.text("name");
    for (auto& target : upstream.maps("targets")) {
      const auto weight = std::clamp<std::int64_t>(target.integer("weight").value_or(100), 0, 100);
      if (weight > 0) targets_[name].emplace_back(target.text("target"), weight);
    }
    const auto algorithm = upstream.text("algorithm", "round-robin");
    balance_[name] = algorithm == "least-connections"    ? "least_requests"
                     : algorithm == "consistent-hashing" ? "client_hash"
                                                         : "round_robin";
    upstream.finish(draft_.notes);
  }

  void read_service(foreign_map& service) {
    const auto name = service.text("name");
    policy_item item;
    auto url = service.text("url");
    auto scheme = service.text("protocol", "http");
    auto host = service.text("host");
    auto path = service.text("path");
    auto port = service.text("port");
    if (!url.empty()) {
      scheme = url.substr(0, url.find("://"));
      host = url.size() > scheme.size() + 3 ? url.substr(scheme.size() + 3) : std::string{};
      const auto slash = host.find('/');
      path = slash == std::string::npos ? std::string{} : host.substr(slash);
      host.resize(std::min(host.size(), slash));
    }
    if (!path.empty() && path != "/")
      item.notes.push_back(
          {service.line(),
           fmt::format("Kong puts `{}` in front of the path; weir forwards it as it came", path)});
    const auto known = targets_.find(host);
    if (known != targets_.end()) {
      std::string endpoints;
      for (const auto& [target, weight] : known->second)
        endpoints += fmt::format("{}{{url: {}, weight: {}}}", endpoints.empty() ? "" : ", ",
                                 written(fmt::format("{}://{}", scheme, target)), weight);
      item.set("endpoints", "[" + endpoints + "]").set("balance", balance_[host]);
    } else {
      url = fmt::format("{}://{}{}", scheme, host, port.empty() ? "" : ":" + port);
      item.set("url", written(url));
    }
    const bool usable = known != targets_.end() || parse_endpoint_url(url).value;
    if (usable) services_[name] = draft_.free_name("upstreams", name);
    for (auto& route : service.maps("routes")) read_route(route, name);
    read_plugins(service, name, {}, {});
    service.finish(item.notes);
    if (usable) {
      draft_.upstreams.emplace_back(services_[name], std::move(item));
    } else {
      draft_.note(service.line(),
                  fmt::format("service `{}` is left out: its address `{}` is not readable", name, url));
    }
  }

  void read_route(foreign_map& route, const std::string& service) {
    kong_route r{route.text("name", service), service, {}, 0};
    std::map<std::string, std::vector<std::string>> lists{{"host", route.texts("hosts")},
                                                          {"methods", route.texts("methods")}};
    for (const auto& path : route.texts("paths")) add_path(lists["path"], path, r, route.line());
    if (lists["path"].empty()) lists["path"] = {"/**"};
    if (route.flag("strip_path", true) && lists["path"] != std::vector<std::string>{"/**"})
      r.item.notes.push_back({route.line(),
                              "Kong removes the matched path before it forwards (strip_path); weir forwards "
                              "the path as it came"});
    if (route.flag("preserve_host", false) == false)
      r.item.notes.push_back(
          {route.line(), "Kong sends the service's own Host; weir the client's (`upstreams.NAME.host`)"});
    std::string match;
    for (const auto& [key, list] : lists) {
      if (list.empty()) continue;
      match += fmt::format("{}{}: {}", match.empty() ? "" : ", ", key, written_list(list));
    }
    const auto& hosts = lists["host"];
    const bool wild = !std::all_of(hosts.begin(), hosts.end(), is_host);
    const auto upstream = services_.find(service);
    read_plugins(route, {}, r.name, {});
    route.finish(r.item.notes);
    if (wild || upstream == services_.end()) {
      draft_.note(route.line(), fmt::format("route `{}` is left out: {}", r.name,
                                            wild ? "weir knows only whole host names"
                                                 : "its service is not in the policy"));
      return;
    }
    r.item.fields = {{"name", draft_.free_name("routes", r.name)},
                     {"match", "{" + match + "}"},
                     {"upstream", upstream->second}};
    routes_.push_back(std::move(r));
  }

  static void add_path(std::vector<std::string>& paths, std::string path, kong_route& r, int line) {
    if (path.find_first_of("~{}*()[]\\^$") != std::string::npos || !usable_template(below(path))) {
      r.item.notes.push_back(
          {line, fmt::format("path `{}` is left out: weir has no regular expressions in paths", path)});
      return;
    }
    r.longest_path = std::max(r.longest_path, path.size());
    if (!path.ends_with('/'))
      r.item.notes.push_back(
          {line, fmt::format("path `{0}` also takes `{0}x` in Kong; weir takes whole segments", path)});
    paths.push_back(below(std::move(path)));
  }

  /// Kong asks the longest path first.
  void write_routes() {
    std::stable_sort(routes_.begin(), routes_.end(),
                     [](const auto& a, const auto& b) { return a.longest_path > b.longest_path; });
    for (const auto& r : routes_) draft_.routes.push_back(r.item);
  }

  // ---- consumers

  void read_consumer(foreign_map& consumer) {
    const auto name = consumer.text("username", consumer.text("custom_id"));
    for (auto& credential : consumer.maps("keyauth_credentials")) {
      keys_[name].push_back(credential.text("key"));
      credential.finish(draft_.notes);
    }
    read_plugins(consumer, {}, {}, name);
    (void)consumer.take("custom_id");
    consumer.finish(draft_.notes);
  }

  void need_user(policy_item& rule, int line) {
    auto& identity = draft_.section("identity");
    if (!identity.fields.empty()) return;
    std::string sources;
    for (const auto& name : key_names_)
      sources += fmt::format("{}{{header: {}}}", sources.empty() ? "" : ", ", written(name));
    identity.set("user", "[" + (sources.empty() ? std::string{"{header: apikey}"} : sources) + "]");
    identity.notes.push_back(
        {line, "a consumer of Kong is a user here: by the key that it sends; weir does not check keys"});
    (void)rule;
  }

  // ---- plugins

  void read_plugins(foreign_map& of, const std::string& service, const std::string& route,
                    const std::string& consumer) {
    for (auto& plugin : of.maps("plugins")) {
      const auto name = plugin.text("name");
      limiting_plugin p{plugin.map("config"), name, service, route, consumer};
      if (p.service.empty()) p.service = reference(plugin, "service");
      if (p.route.empty()) p.route = reference(plugin, "route");
      if (p.consumer.empty()) p.consumer = reference(plugin, "consumer");
      if (!plugin.flag("enabled", true)) continue;
      if (name == "key-auth") {
        key_names_ = p.config.texts("key_names");
        draft_.note(
            plugin.line(),
            "plugin `key-auth` is not converted: weir takes the key for the user and does not check it");
      } else if (name == "rate-limiting" || name == "rate-limiting-advanced") {
        plugin.finish(draft_.notes);
        plugins_.push_back(std::move(p));
      } else {
        draft_.note(plugin.line(), fmt::format("plugin `{}` is not converted", name));
      }
    }
  }

  std::vector<std::string> routes_of(const limiting_plugin& p) const {
    std::vector<std::string> names;
    for (const auto& r : routes_) {
      if ((p.route.empty() || p.route == r.name) && (p.service.empty() || p.service == r.service))
        names.push_back(r.item.fields.front().second);
    }
    return names;
  }

  /// Routes where a more specific plugin of the same kind counts instead.
  std::vector<std::string> own_routes_of(const limiting_plugin& p) const {
    auto names = routes_of(p);
    for (const auto& other : plugins_) {
      if (other.name != p.name || other.consumer != p.consumer || other.weight() <= p.weight()) continue;
      for (const auto& taken : routes_of(other)) std::erase(names, taken);
    }
    return names;
  }

  std::vector<std::string> users_of(const std::string& consumer) const {
    const auto found = keys_.find(consumer);
    return found == keys_.end() ? std::vector{consumer} : found->second;
  }

  void write_plugin(limiting_plugin& p) {
    policy_item rule;
    const auto routes = own_routes_of(p);
    if (routes.empty() && !routes_.empty()) {
      draft_.note(p.config.line(),
                  fmt::format("this `{}` is left out: a more specific one counts all its routes", p.name));
      return;
    }
    std::string match;
    if (routes.size() < routes_.size()) match = "route: " + written_list(routes);
    add_consumers(p, rule, match);
    if (!match.empty()) rule.set("match", "{" + match + "}");
    add_key(p, rule);
    add_behaviour(p, rule);
    const auto base =
        p.consumer + (p.consumer.empty() ? "" : "-") + p.route + (p.route.empty() ? p.service : "");
    p.name == "rate-limiting" ? write_windows(p, rule, base) : write_advanced(p, rule, base);
  }

  void add_consumers(const limiting_plugin& p, policy_item& rule, std::string& match) {
    const auto add = [&match](const std::string& condition) {
      match += (match.empty() ? "" : ", ") + condition;
    };
    if (!p.consumer.empty()) {
      need_user(rule, p.config.line());
      add("user: " + written_list(users_of(p.consumer)));
      return;
    }
    std::vector<std::string> others;
    for (const auto& other : plugins_) {
      if (other.name != p.name || other.consumer.empty()) continue;
      for (auto& user : users_of(other.consumer)) others.push_back(user);
    }
    if (others.empty()) return;
    need_user(rule, p.config.line());
    add("not: {user: " + written_list(others) + "}");
  }

  void add_key(limiting_plugin& p, policy_item& rule) {
    const auto by = p.config.text(p.name == "rate-limiting" ? "limit_by" : "identifier", "consumer");
    const auto header = p.config.text("header_name");
    if (by == "ip") {
      rule.set("key", "[client_ip]");
    } else if (by == "service") {
      rule.set("key", "[upstream]");
    } else if (by == "header" && !header.empty()) {
      rule.set("key", written_list({"header:" + header}))
          .set("missing", "fallback")
          .set("fallback", "[client_ip]");
    } else if (by == "path") {
      rule.set("key", written_list({"constant:" + p.config.text("path", "/")}));
      rule.notes.push_back(
          {p.config.line(), "`limit_by: path` counts one path for everybody; put it into the match"});
    } else {
      need_user(rule, p.config.line());
      rule.set("key", "[user]").set("missing", "fallback").set("fallback", "[client_ip]");
      if (by != "consumer")
        rule.notes.push_back({p.config.line(), fmt::format("`{}` is taken as the user", by)});
    }
  }

  void add_behaviour(limiting_plugin& p, policy_item& rule) {
    auto& config = p.config;
    const auto policy = config.text(p.name == "rate-limiting" ? "policy" : "strategy", "local");
    if (policy == "local") {
      rule.notes.push_back(
          {config.line(), "`local` counts in each node of Kong; weir counts in its store, for all replicas"});
    } else if (policy == "cluster") {
      rule.notes.push_back(
          {config.line(), "`cluster` counts in Kong's database; weir in its store: set `store.url`"});
    }
    if (policy == "redis") set_store(config);
    if (config.flag("hide_client_headers", false)) rule.set("headers", "retry_after");
    if (p.name == "rate-limiting" && config.flag("fault_tolerant", true)) rule.set("failure_mode", "allow");
    if (p.name == "rate-limiting" && !config.flag("fault_tolerant", true)) rule.set("failure_mode", "deny");
    if (const auto code = config.integer("error_code"); code && *code != 429)
      draft_.section("deny").set("status", std::to_string(*code));
  }

  void set_store(foreign_map& config) {
    auto redis = config.map("redis");
    const auto host = redis.text("host", config.text("redis_host"));
    const auto port = redis.text("port", config.text("redis_port", "6379"));
    const auto database = redis.text("database", config.text("redis_database"));
    if (host.empty() || draft_.has_section("store")) return;
    auto& store = draft_.section("store");
    store.set("url",
              written(fmt::format("redis://{}:{}{}", host, port, database.empty() ? "" : "/" + database)));
    for (const auto* secret : {"password", "username"}) {
      if (redis.text(secret).empty() && config.text(fmt::format("redis_{}", secret)).empty()) continue;
      store.notes.push_back(
          {redis.line(), fmt::format("the {} of Redis is not copied: see `store.password_file`", secret)});
    }
    redis.finish(store.notes);
  }

  /// Every period is a window of its own; a request counts in all of them.
  void write_windows(limiting_plugin& p, const policy_item& common, const std::string& base) {
    bool any = false;
    std::vector<policy_item> made;
    for (const std::string period : periods) {
      const auto number = p.config.integer(period);
      if (!number) continue;
      any = true;
      policy_item rule = made.empty() ? common : policy_item{common.fields, {}};
      rule.fields.insert(
          rule.fields.begin(),
          {"name", draft_.free_name("rules", fmt::format("{}-per-{}", base.empty() ? "all" : base, period))});
      rule.set("limit", fmt::format("{}/{}", *number, period == "year" ? "365d" : period))
          .set("algorithm", "fixed_window");
      if (period == "year")
        rule.notes.push_back({p.config.line(), "a year of Kong is a calendar year; this one has 365 days"});
      made.push_back(std::move(rule));
    }
    if (!any) draft_.note(p.config.line(), "this `rate-limiting` has no limit: there is no rule");
    finish(p, made);
  }

  void write_advanced(limiting_plugin& p, const policy_item& common, const std::string& base) {
    const auto limits = p.config.texts("limit");
    const auto sizes = p.config.texts("window_size");
    const bool sliding = p.config.text("window_type", "sliding") == "sliding";
    std::vector<policy_item> made;
    for (std::size_t i = 0; i < std::min(limits.size(), sizes.size()); ++i) {
      policy_item rule = made.empty() ? common : policy_item{common.fields, {}};
      rule.fields.insert(
          rule.fields.begin(),
          {"name",
           draft_.free_name("rules", fmt::format("{}-per-{}s", base.empty() ? "all" : base, sizes[i]))});
      rule.set("limit", fmt::format("{}/{}s", limits[i], sizes[i]));
      rule.set("algorithm", sliding ? "sliding_window_counter" : "fixed_window");
      made.push_back(std::move(rule));
    }
    if (made.empty()) {
      draft_.note(p.config.line(), "this `rate-limiting-advanced` has no limit: there is no rule");
    } else if (sliding && !p.config.flag("disable_penalty", false)) {
      made.front().notes.push_back({p.config.line(),
                                    "Kong also counts what it refuses (disable_penalty: false), so that a "
                                    "client that goes on stays refused; weir counts what it admits"});
    }
    finish(p, made);
  }

  void finish(limiting_plugin& p, std::vector<policy_item>& made) {
    p.config.finish(made.empty() ? draft_.notes : made.front().notes);
    std::move(made.begin(), made.end(), std::back_inserter(draft_.rules));
  }

  policy_draft draft_;
  std::map<std::string, std::vector<std::pair<std::string, std::int64_t>>> targets_;
  std::map<std::string, std::string> balance_;
  std::map<std::string, std::string> services_;
  std::vector<kong_route> routes_;
  std::map<std::string, std::vector<std::string>> keys_;  // consumer -> key-auth keys
  std::vector<std::string> key_names_;
  std::vector<limiting_plugin> plugins_;
};

}  // namespace

policy_draft convert_kong(const std::string& text) {
  return kong_converter{}.convert(text);
}

}  // namespace weir::config
