// SPDX-License-Identifier: Apache-2.0
#include "config/convert/nginx_zones.hpp"

#include "config/units.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace weir::config {
namespace {

bool add_selector(nginx_zone& z, const std::string& variable) {
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

}  // namespace

void nginx_zones::read_map(const nginx_directive& d) {
  if (d.arguments.empty()) return not_converted(draft_, d, "");
  const auto variable = d.arguments.back();
  std::string value;
  bool some_are_free = d.name == "geo";
  for (const auto& line : d.children) {
    if (line.arguments.empty()) continue;
    some_are_free = some_are_free || line.arguments.back().empty();
    if (value.empty() && line.arguments.back().starts_with('$')) value = line.arguments.back();
  }
  if (value.empty())
    return not_converted(draft_, d, fmt::format("weir has no variables such as `{}`", variable));
  maps_[variable] = value;
  not_converted(
      draft_, d,
      fmt::format("`{}` is taken as `{}`{}", variable, value,
                  some_are_free ? "; nginx does not count requests for which it is empty: list their "
                                  "clients under `exempt`"
                                : ""));
}

void nginx_zones::read_zone(const nginx_directive& d) {
  const auto name = d.parameter("zone").substr(0, d.parameter("zone").find(':'));
  if (d.name == "limit_conn_zone" ? d.arguments.size() < 2 : d.arguments.size() < 3)
    return not_converted(draft_, d, "");
  nginx_zone z;
  z.line = d.line;
  read_key(z, d.arguments.front());
  if (d.name == "limit_req_zone") {
    const auto rate = d.parameter("rate");
    const auto number = rate.substr(0, rate.find("r/"));
    z.rate = number + (rate.ends_with("r/m") ? "/minute" : "/second");
    const auto readable = is_number(number) ? parse_rate(z.rate).value : std::nullopt;
    if (!readable || readable->limit == 0) return not_converted(draft_, d, "its rate is not readable");
  }
  zones_[name] = std::move(z);
}

/// "$binary_remote_addr$host": each variable is a selector, text between them means nothing.
void nginx_zones::read_key(nginx_zone& z, std::string text) {
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

const nginx_zone* nginx_zones::find(const std::string& name) const {
  const auto found = zones_.find(name);
  return found != zones_.end() ? &found->second : nullptr;
}

}  // namespace weir::config
