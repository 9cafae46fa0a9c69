// SPDX-License-Identifier: Apache-2.0
// nginx: limit_req, limit_conn, and the servers, locations and upstreams they belong to.
#include "config/addresses.hpp"
#include "config/convert/nginx_syntax.hpp"
#include "config/convert/policy_draft.hpp"
#include "config/units.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <optional>

namespace weir::config {
namespace {

using directive = nginx_directive;

/// limit_req_zone or limit_conn_zone.
struct zone {
  std::vector<std::string> key;  ///< selectors; empty: not known to weir
  bool can_be_absent = false;
  std::string rate;  ///< "5/second"
  int line = 0;
  notes about;
};

/// What a level says of limits; a level that says nothing has those around it.
struct limits_in_force {
  std::vector<const directive*> requests;
  std::vector<const directive*> connections;
  bool dry_run = false;
};

struct location {
  std::string path;  ///< template of weir's
  int order = 0;     ///< nginx' precedence, lowest first
  policy_item route;
  limits_in_force limits;
};

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

class nginx_converter {
 public:
  policy_draft convert(const std::string& text) {
    const auto file = parse_nginx(text);
    const auto* http = find(file, "http");
    const auto& level = http != nullptr ? http->children : file;  // a file of conf.d has no `http`
    if (http != nullptr) {
      for (const auto& d : file) {
        if (&d != http) no_equal(d, "");
      }
    }
    read_http(level);
    write_routes();
    write_rules();
    write_status();
    return std::move(draft_);
  }

 private:
  static const directive* find(const std::vector<directive>& in, std::string_view name) {
    const auto found = std::find_if(in.begin(), in.end(), [&](const auto& d) { return d.name == name; });
    return found == in.end() ? nullptr : &*found;
  }

  void no_equal(const directive& d, std::string_view more) {
    draft_.note(d.line, fmt::format("`{}` is not converted{}{}", d.name, more.empty() ? "" : ": ", more));
  }

  // ---- http

  void read_http(const std::vector<directive>& level) {
    for (const auto& d : level) {
      if (d.name == "map" || d.name == "geo") read_map(d);
    }
    for (const auto& d : level) {
      if (d.name == "limit_req_zone" || d.name == "limit_conn_zone") read_zone(d);
    }
    const auto limits = limits_of(level, {});
    for (const auto& d : level) {
      if (d.name == "upstream") {
        read_upstream(d);
      } else if (d.name == "server") {
        servers_.push_back(&d);
      } else if (!is_limit(d) && d.name != "map" && d.name != "geo" && !read_client_ip(d) &&
                 !read_body_size(d)) {
        no_equal(d, "");
      }
    }
    // a server with names is asked first; the first one, or `default_server`, answers for all other names
    for (const bool named : {true, false}) {
      for (const auto* server : servers_) {
        if (named != is_fallback(*server)) read_server(*server, limits);
      }
    }
  }

  static bool is_limit(const directive& d) {
    return d.name.starts_with("limit_req") || d.name.starts_with("limit_conn");
  }

  bool is_fallback(const directive& server) const {
    const auto is_default = [](const directive& s) {
      return std::any_of(s.children.begin(), s.children.end(),
                         [](const auto& d) { return d.name == "listen" && d.has("default_server"); });
    };
    const auto marked =
        std::find_if(servers_.begin(), servers_.end(), [&](const auto* s) { return is_default(*s); });
    return &server == (marked != servers_.end() ? *marked : servers_.front());
  }

  /// A variable that the map sets: the selector of its first value that is one, as the key of a zone.
  void read_map(const directive& d) {
    if (d.arguments.empty()) return no_equal(d, "");
    const auto variable = d.arguments.back();
    std::string value;
    bool some_are_free = d.name == "geo";
    for (const auto& line : d.children) {
      if (line.arguments.empty()) continue;
      some_are_free = some_are_free || line.arguments.back().empty();
      if (value.empty() && line.arguments.back().starts_with('$')) value = line.arguments.back();
    }
    if (value.empty()) return no_equal(d, fmt::format("weir has no variables such as `{}`", variable));
    maps_[variable] = value;
    no_equal(d,
             fmt::format("`{}` is taken as `{}`{}", variable, value,
                         some_are_free ? "; nginx does not count requests for which it is empty: list their "
                                         "clients under `exempt`"
                                       : ""));
  }

  bool read_client_ip(const directive& d) {
    if (d.arguments.empty()) return false;
    if (d.name == "set_real_ip_from") {
      trusted_.push_back(d.arguments.front());
      draft_.section("client_ip").set("trusted_proxies", written_list(trusted_));
      return true;
    }
    if (d.name == "real_ip_recursive") {
      if (d.has("off")) {
        draft_.section("client_ip")
            .notes.push_back({d.line, "weir goes on to the rightmost address that is not a trusted proxy"});
      }
      return true;
    }
    if (d.name != "real_ip_header") return false;
    draft_.section("client_ip").set("header", written(d.arguments.front()));
    return true;
  }

  /// "10m" of nginx is 10MiB of weir.
  bool read_body_size(const directive& d) {
    if (d.name != "client_max_body_size" || d.arguments.empty()) return false;
    auto size = d.arguments.front();
    const char unit = static_cast<char>(size.back() | 0x20);
    if (unit == 'k' || unit == 'm' || unit == 'g') {
      size.pop_back();
      size += unit == 'k' ? "KiB" : unit == 'm' ? "MiB" : "GiB";
    } else {
      size += "B";
    }
    const bool none = parse_size(size).value == std::uint64_t{0};
    if (!parse_size(size).value) return false;
    draft_.section("limits").set("body_size", none ? "unlimited" : size);
    return true;
  }

  // ---- zones

  void read_zone(const directive& d) {
    const auto name = d.parameter("zone").substr(0, d.parameter("zone").find(':'));
    if (d.name == "limit_conn_zone" ? d.arguments.size() < 2 : d.arguments.size() < 3) return no_equal(d, "");
    zone z;
    z.line = d.line;
    read_key(z, d.arguments.front());
    if (d.name == "limit_req_zone") {
      const auto rate = d.parameter("rate");
      const auto number = rate.substr(0, rate.find("r/"));
      z.rate = number + (rate.ends_with("r/m") ? "/minute" : "/second");
      const auto readable = is_number(number) ? parse_rate(z.rate).value : std::nullopt;
      if (!readable || readable->limit == 0) return no_equal(d, "its rate is not readable");
    }
    zones_[name] = std::move(z);
  }

  /// "$binary_remote_addr$host": each variable is a selector, text between them means nothing.
  void read_key(zone& z, std::string text) {
    if (const auto mapped = maps_.find(text); mapped != maps_.end()) text = mapped->second;
    if (text.find('$') == std::string::npos) {
      z.key.push_back("constant:" + text);
      return;
    }
    for (auto at = text.find('$'); at != std::string::npos; at = text.find('$', at + 1)) {
      const auto begin = text.find_first_not_of("${", at);
      const auto end = begin == std::string::npos
                           ? begin
                           : text.find_first_not_of(
                                 "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_", begin);
      if (begin == std::string::npos || !add_selector(z, text.substr(begin, end - begin))) {
        z.key.clear();
        z.about.push_back({z.line, fmt::format("its key `{}` cannot be a key of weir", text)});
        return;
      }
    }
  }

  bool add_selector(zone& z, const std::string& variable) {
    const auto add = [&z](std::string selector, bool can_be_absent) {
      z.key.push_back(std::move(selector));
      z.can_be_absent = z.can_be_absent || can_be_absent;
      return true;
    };
    const auto dashed = [](std::string name) {
      std::replace(name.begin(), name.end(), '_', '-');
      return name;
    };
    if (variable == "binary_remote_addr" || variable == "remote_addr") {
      z.about.push_back({z.line,
                         "an IPv6 client is counted by its /64 network, in nginx by its address "
                         "(`client_ip.group`)"});
      return add("client_ip", false);
    }
    if (variable == "host" || variable == "http_host" || variable == "server_name") return add("host", false);
    if (variable == "request_method") return add("method", false);
    if (variable.starts_with("http_")) return add("header:" + dashed(variable.substr(5)), true);
    if (variable.starts_with("cookie_")) return add("cookie:" + variable.substr(7), true);
    if (variable.starts_with("arg_")) return add("query:" + variable.substr(4), true);
    if (variable == "uri" || variable == "request_uri") {
      z.about.push_back(
          {z.line, fmt::format("`${}` counts each path by itself; weir counts each route", variable)});
      return add("route", false);
    }
    return false;
  }

  limits_in_force limits_of(const std::vector<directive>& level, limits_in_force outer) {
    std::vector<const directive*> requests, connections;
    for (const auto& d : level) {
      if (d.name == "limit_req") requests.push_back(&d);
      if (d.name == "limit_conn") connections.push_back(&d);
      if (d.name == "limit_req_dry_run" || d.name == "limit_conn_dry_run") outer.dry_run = d.has("on");
      if (d.name == "limit_req_status" || d.name == "limit_conn_status") read_status(d);
      if (d.name == "limit_req_log_level" || d.name == "limit_conn_log_level") no_equal(d, "");
    }
    if (!requests.empty()) outer.requests = requests;
    if (!connections.empty()) outer.connections = connections;
    return outer;
  }

  void read_status(const directive& d) {
    auto& status = d.name == "limit_req_status" ? status_ : connection_status_;
    const auto value = d.arguments.empty() ? std::string{} : d.arguments.front();
    if (!is_number(value)) return no_equal(d, "");
    if (status && *status != value) return no_equal(d, fmt::format("all refusals are {}", *status));
    status = value;
  }

  // ---- upstreams

  void read_upstream(const directive& d) {
    if (d.arguments.empty()) return no_equal(d, "");
    policy_item item;
    std::string endpoints;
    for (const auto& child : d.children) {
      if (child.name == "server" && !child.arguments.empty()) {
        add_endpoint(endpoints, item, child);
      } else if (child.name == "least_conn") {
        item.set("balance", "least_requests");
      } else if (child.name == "random") {
        item.set("balance", "random_two");
      } else if (child.name == "ip_hash") {
        item.set("balance", "client_hash");
      } else {
        item.notes.push_back({child.line, fmt::format("`{}` is not converted", child.name)});
      }
    }
    if (endpoints.empty()) return no_equal(d, "it has no usable server");
    item.fields.insert(item.fields.begin(), {"endpoints", "[" + endpoints + "]"});
    if (item.fields.size() == 1) item.set("balance", "round_robin");
    upstreams_[d.arguments.front()] = draft_.free_name("upstreams", d.arguments.front());
    draft_.upstreams.emplace_back(upstreams_[d.arguments.front()], std::move(item));
  }

  static std::string url_of(std::string_view scheme, const std::string& address) {
    return address.starts_with("unix:") ? address : fmt::format("{}://{}", scheme, address);
  }

  void add_endpoint(std::string& endpoints, policy_item& item, const directive& server) {
    const auto url = url_of("http", server.arguments.front());
    if (server.has("down") || server.has("backup") || !parse_endpoint_url(url).value) {
      item.notes.push_back({server.line, fmt::format("server `{}` is left out: {}", server.arguments.front(),
                                                     server.has("backup") ? "weir has no backup endpoints"
                                                     : server.has("down") ? "it is down"
                                                                          : "its address is not readable")});
      return;
    }
    for (std::size_t i = 1; i < server.arguments.size(); ++i) {
      if (server.arguments[i].starts_with("weight=")) continue;
      item.notes.push_back(
          {server.line, fmt::format("`{}` is not converted; see `outlier`", server.arguments[i])});
    }
    const auto weight = server.parameter("weight");
    endpoints += fmt::format("{}{{url: {}{}}}", endpoints.empty() ? "" : ", ", written(url),
                             is_number(weight) ? ", weight: " + weight : "");
  }

  /// The upstream that proxy_pass names; a new one for an address.
  std::optional<std::string> upstream_of(const directive& proxy_pass, policy_item& route) {
    auto url = proxy_pass.arguments.empty() ? std::string{} : proxy_pass.arguments.front();
    const auto scheme = url.substr(0, url.find("://"));
    auto target = url.size() > scheme.size() ? url.substr(scheme.size() + 3) : std::string{};
    if (const auto slash = target.find('/'); slash != std::string::npos && !target.starts_with("unix:")) {
      if (target.size() > slash + 1 || slash + 1 == target.size()) {
        route.notes.push_back(
            {proxy_pass.line, fmt::format("nginx replaces the location by `{}`; weir forwards the path "
                                          "as it came",
                                          target.substr(slash))});
      }
      target.resize(slash);
    }
    if (target.find('$') != std::string::npos) return std::nullopt;
    if (const auto known = upstreams_.find(target); known != upstreams_.end()) {
      if (scheme == "https") {
        route.notes.push_back(
            {proxy_pass.line, fmt::format("`{}` is reached over TLS: write its urls with https://", target)});
      }
      return known->second;
    }
    const auto address = url_of(scheme, target);
    if (!parse_endpoint_url(address).value) return std::nullopt;
    const auto name = draft_.free_name("upstreams", target.substr(0, target.rfind(':')));
    policy_item item;
    item.set("url", written(address));
    draft_.upstreams.emplace_back(name, std::move(item));
    return upstreams_[target] = name;
  }

  // ---- servers and locations

  void read_server(const directive& server, const limits_in_force& outer) {
    const auto limits = limits_of(server.children, outer);
    server_hosts_.clear();
    const bool fallback = is_fallback(server);
    for (const auto& d : server.children) {
      if (d.name == "server_name") read_server_name(d, fallback);
      if (d.name == "listen") read_listen(d);
    }
    std::vector<location> found;
    for (const auto& d : server.children) {
      if (d.name == "location") {
        read_location(d, limits, found);
      } else if (!is_limit(d) && d.name != "server_name" && d.name != "listen" && !read_client_ip(d) &&
                 !read_body_size(d)) {
        no_equal(d, "");
      }
    }
    std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
      return std::pair{a.order, b.path.size()} < std::pair{b.order, a.path.size()};
    });
    std::move(found.begin(), found.end(), std::back_inserter(locations_));
  }

  void read_server_name(const directive& d, bool fallback) {
    for (const auto& name : d.arguments) {
      if (name == "_" || name.empty()) continue;
      if (fallback) continue;  // it answers for every other name, too
      if (is_host(name)) {
        server_hosts_.push_back(name);
      } else {
        no_equal(d, fmt::format("`{}`: weir knows only whole host names", name));
      }
    }
  }

  void read_listen(const directive& d) {
    if (d.arguments.empty()) return;
    auto address = d.arguments.front();
    if (is_number(address)) address = "0.0.0.0:" + address;
    if (address.starts_with("*:")) address = "0.0.0.0" + address.substr(1);
    if (d.has("ssl") || d.has("quic") || d.has("http2")) {
      draft_.note(
          d.line,
          fmt::format("listener {}: TLS is not converted; give it `tls: {{certificate: FILE, key: FILE}}`",
                      address));
    }
    if (!parse_bind_address(address).value) return no_equal(d, "its address is not readable");
    if (std::find(listeners_.begin(), listeners_.end(), address) == listeners_.end())
      listeners_.push_back(address);
    draft_.section("listen").fields = {{"", written_list(listeners_)}};
    if (listeners_.size() == 2) draft_.note(d.line, "weir answers on every listener with the same routes");
  }

  /// Of a literal path or of all paths that begin with it.
  static std::optional<std::string> template_of(const std::string& pattern, bool exact) {
    if (!pattern.starts_with('/') || pattern.find_first_of("{}*") != std::string::npos) return std::nullopt;
    return usable_template(exact ? pattern : below(pattern));
  }

  void read_location(const directive& d, const limits_in_force& outer, std::vector<location>& found) {
    const auto limits = limits_of(d.children, outer);
    const auto modifier = d.arguments.size() > 1 ? d.arguments.front() : std::string{};
    const auto path = d.arguments.empty() ? std::string{} : d.arguments.back();
    location l;
    l.limits = limits;
    const directive* pass = nullptr;
    for (const auto& child : d.children) {
      if (child.name == "proxy_pass") {
        pass = &child;
      } else if (child.name == "location") {
        read_location(child, limits, found);
      } else if (!is_limit(child)) {
        l.route.notes.push_back({child.line, fmt::format("`{}` is not converted", child.name)});
      }
    }
    const auto path_template = template_of(path, modifier == "=");
    if (pass == nullptr)
      return left_out(d, l, "it forwards nothing: weir answers 404, or as the route behind it");
    if (modifier.starts_with('~') || !path_template)
      return left_out(d, l,
                      "it is no path template of weir (no regular expressions); its requests go to the "
                      "routes that follow");
    const auto upstream = upstream_of(*pass, l.route);
    if (!upstream) return left_out(d, l, "its proxy_pass has no fixed address");
    if (modifier.empty() && !path.ends_with('/'))
      l.route.notes.push_back(
          {d.line, fmt::format("nginx takes everything that begins with `{0}`, also `{0}x`; weir whole "
                               "segments",
                               path)});
    l.path = *path_template;
    l.order = modifier == "=" ? 0 : 1;
    const auto name = draft_.free_name("routes", path == "/" ? "rest" : path);
    std::string match = "{path: " + written(l.path);
    if (!server_hosts_.empty()) match += ", host: " + written_list(server_hosts_);
    l.route.fields.insert(l.route.fields.begin(),
                          {{"name", name}, {"match", match + "}"}, {"upstream", *upstream}});
    found.push_back(std::move(l));
  }

  void left_out(const directive& d, const location& l, std::string_view why) {
    draft_.note(d.line, fmt::format("location `{}` is left out: {}", fmt::join(d.arguments, " "), why));
    draft_.notes.insert(draft_.notes.end(), l.route.notes.begin(), l.route.notes.end());
  }

  // ---- What it becomes

  void write_routes() {
    for (const auto& l : locations_) draft_.routes.push_back(l.route);
  }

  static const std::string& name_of(const location& l) { return l.route.fields.front().second; }

  /// One rule for each use of a zone, however many locations share it.
  void write_rules() {
    std::map<std::string, policy_item*> done;
    std::map<std::string, std::vector<std::string>> routes;
    std::vector<std::pair<std::string, const directive*>> uses;
    for (const auto& l : locations_) {
      for (const auto* list : {&l.limits.requests, &l.limits.connections}) {
        for (const auto* d : *list) {
          const auto key = fmt::format("{} {} {}", d->name, fmt::join(d->arguments, " "), l.limits.dry_run);
          if (routes.find(key) == routes.end()) uses.emplace_back(key, d);
          routes[key].push_back(name_of(l));
        }
      }
    }
    std::map<std::string, int> used;
    for (const auto& [key, d] : uses) {
      const bool shadow = key.ends_with("true");
      if (d->name == "limit_req") {
        write_rule(*d, routes[key], shadow, ++used[d->parameter("zone")] > 1);
      } else {
        write_slots(*d, routes[key], shadow);
      }
    }
  }

  void set_match(policy_item& item, const std::vector<std::string>& routes) {
    if (routes.size() < locations_.size()) item.set("match", "{route: " + written_list(routes) + "}");
  }

  void write_rule(const directive& d, const std::vector<std::string>& routes, bool shadow, bool again) {
    const auto name = d.parameter("zone");
    const auto found = zones_.find(name);
    if (found == zones_.end()) return no_equal(d, fmt::format("zone `{}` is not defined in this file", name));
    const auto& z = found->second;
    if (z.key.empty()) return not_counted(d, z);
    policy_item rule;
    rule.notes = z.about;
    rule.set("name", draft_.free_name("rules", name));
    set_match(rule, routes);
    rule.set("key", written_list(z.key));
    if (z.can_be_absent) rule.set("missing", "skip");
    rule.set("limit", z.rate);
    set_burst(rule, d, z);
    if (shadow) rule.set("mode", "shadow");
    if (again) {
      rule.notes.push_back(
          {d.line, fmt::format("nginx counts all uses of zone `{}` together; this rule counts its own "
                               "routes",
                               name)});
    }
    draft_.rules.push_back(std::move(rule));
  }

  void not_counted(const directive& d, const zone& z) {
    draft_.notes.insert(draft_.notes.end(), z.about.begin(), z.about.end());
    no_equal(d, "without a key there is no rule");
  }

  static void set_burst(policy_item& rule, const directive& d, const zone& z) {
    const auto written_burst = d.parameter("burst");
    const auto burst = is_number(written_burst) ? parse_integer(written_burst).value.value_or(0) : 0;
    rule.set("burst", std::to_string(burst + 1));
    const auto rate = *parse_rate(z.rate).value;
    const auto interval = rate.period / std::max<std::int64_t>(rate.limit, 1);
    if (burst == 0) {
      rule.notes.push_back(
          {d.line, fmt::format("without `burst` nginx refuses the second request within {}, and so does "
                               "this rule; leave `burst` out to allow {} at once",
                               format_duration(interval), rate.limit)});
    } else if (!d.has("nodelay")) {
      rule.notes.push_back(
          {d.line, fmt::format("nginx delays requests beyond the rate, up to {} of them; weir never "
                               "delays: it forwards {} at once and refuses the next",
                               burst, burst + 1)});
    }
  }

  void write_slots(const directive& d, const std::vector<std::string>& routes, bool shadow) {
    const auto found = d.arguments.size() == 2 ? zones_.find(d.arguments[0]) : zones_.end();
    if (found == zones_.end() || !is_number(d.arguments[1]))
      return no_equal(d, "its zone or number is not readable");
    const auto& z = found->second;
    if (z.key.empty()) return not_counted(d, z);
    if (shadow) return no_equal(d, "weir has no dry run of concurrency limits");
    policy_item item;
    item.notes = z.about;
    item.set("name", draft_.free_name("rules", d.arguments[0]));
    set_match(item, routes);
    item.set("key", written_list(z.key));
    if (z.can_be_absent) item.set("missing", "skip");
    item.set("max", d.arguments[1]);
    item.set("scope", "local");
    const auto status = connection_status_.value_or("503");
    item.set("status", status == "429" ? "429" : "503");
    if (status != "429" && status != "503")
      item.notes.push_back({d.line, fmt::format("it is refused with 503; weir has no {} here", status)});
    draft_.concurrency.push_back(std::move(item));
  }

  /// nginx refuses with 503 unless told otherwise.
  void write_status() {
    if (draft_.rules.empty()) return;
    auto status = status_.value_or("503");
    auto& deny = draft_.section("deny");
    if (!status_)
      deny.notes.push_back({0,
                            "nginx refuses with 503 unless `limit_req_status` says otherwise; 429 tells "
                            "clients what happened"});
    if (status < "400" || status > "599" || status.size() != 3) {
      deny.notes.push_back(
          {0, fmt::format("`limit_req_status {}` is no status of a refusal: 429 is", status)});
      status = "429";
    }
    deny.set("status", status);
    draft_.note(
        0, "nginx counts in each of its machines; weir counts in the store, for all processes that share it");
  }

  policy_draft draft_;
  std::map<std::string, zone> zones_;
  std::map<std::string, std::string> maps_;
  std::map<std::string, std::string> upstreams_;  // name in nginx -> ours
  std::vector<const directive*> servers_;
  std::vector<std::string> trusted_;
  std::vector<std::string> listeners_;
  std::vector<std::string> server_hosts_;
  std::vector<location> locations_;
  std::optional<std::string> status_;
  std::optional<std::string> connection_status_;
};

}  // namespace

policy_draft convert_nginx(const std::string& text) {
  return nginx_converter{}.convert(text);
}

}  // namespace weir::config
