// SPDX-License-Identifier: Apache-2.0
// nginx: limit_req, limit_conn, and the servers, locations and upstreams they belong to.
#include "config/addresses.hpp"
#include "config/convert/nginx_upstreams.hpp"
#include "config/convert/nginx_zones.hpp"
#include "config/units.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <optional>

namespace weir::config {
namespace {

using directive = nginx_directive;

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

class nginx_converter {
 public:
  policy_draft convert(const std::string& text) {
    const auto file = parse_nginx(text);
    const auto* http = find(file, "http");
    const auto& level = http != nullptr ? http->children : file;  // a file of conf.d has no `http`
    if (http != nullptr) {
      for (const auto& d : file) {
        if (&d != http) not_converted(draft_, d, "");
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

  // ---- http

  void read_http(const std::vector<directive>& level) {
    for (const auto& d : level) {
      if (d.name == "map" || d.name == "geo") zones_.read_map(d);
    }
    for (const auto& d : level) {
      if (d.name == "limit_req_zone" || d.name == "limit_conn_zone") zones_.read_zone(d);
    }
    const auto limits = limits_of(level, {});
    for (const auto& d : level) {
      if (d.name == "upstream") {
        upstreams_.read_upstream(d);
      } else if (d.name == "server") {
        servers_.push_back(&d);
      } else if (!is_limit(d) && d.name != "map" && d.name != "geo" && !read_client_ip(d) &&
                 !read_body_size(d)) {
        not_converted(draft_, d, "");
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

  // ---- limits

  limits_in_force limits_of(const std::vector<directive>& level, limits_in_force outer) {
    std::vector<const directive*> requests, connections;
    for (const auto& d : level) {
      if (d.name == "limit_req") requests.push_back(&d);
      if (d.name == "limit_conn") connections.push_back(&d);
      if (d.name == "limit_req_dry_run" || d.name == "limit_conn_dry_run") outer.dry_run = d.has("on");
      if (d.name == "limit_req_status" || d.name == "limit_conn_status") read_status(d);
      if (d.name == "limit_req_log_level" || d.name == "limit_conn_log_level") not_converted(draft_, d, "");
    }
    if (!requests.empty()) outer.requests = requests;
    if (!connections.empty()) outer.connections = connections;
    return outer;
  }

  void read_status(const directive& d) {
    auto& status = d.name == "limit_req_status" ? status_ : connection_status_;
    const auto value = d.arguments.empty() ? std::string{} : d.arguments.front();
    if (!is_number(value)) return not_converted(draft_, d, "");
    if (status && *status != value)
      return not_converted(draft_, d, fmt::format("all refusals are {}", *status));
    status = value;
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
        not_converted(draft_, d, "");
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
        not_converted(draft_, d, fmt::format("`{}`: weir knows only whole host names", name));
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
    if (!parse_bind_address(address).value) return not_converted(draft_, d, "its address is not readable");
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
    const auto upstream = upstreams_.upstream_of(*pass, l.route);
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
    const auto* found = zones_.find(name);
    if (found == nullptr)
      return not_converted(draft_, d, fmt::format("zone `{}` is not defined in this file", name));
    const auto& z = *found;
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

  void not_counted(const directive& d, const nginx_zone& z) {
    draft_.notes.insert(draft_.notes.end(), z.about.begin(), z.about.end());
    not_converted(draft_, d, "without a key there is no rule");
  }

  static void set_burst(policy_item& rule, const directive& d, const nginx_zone& z) {
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
    const auto* found = d.arguments.size() == 2 ? zones_.find(d.arguments[0]) : nullptr;
    if (found == nullptr || !is_number(d.arguments[1]))
      return not_converted(draft_, d, "its zone or number is not readable");
    const auto& z = *found;
    if (z.key.empty()) return not_counted(d, z);
    if (shadow) return not_converted(draft_, d, "weir has no dry run of concurrency limits");
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
  nginx_zones zones_{draft_};
  nginx_upstreams upstreams_{draft_};
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
