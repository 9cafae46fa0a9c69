// SPDX-License-Identifier: Apache-2.0
#include "config/convert/nginx_upstreams.hpp"

#include "config/addresses.hpp"

#include <fmt/format.h>

namespace weir::config {
namespace {

std::string url_of(std::string_view scheme, const std::string& address) {
  return address.starts_with("unix:") ? address : fmt::format("{}://{}", scheme, address);
}

void add_endpoint(std::string& endpoints, policy_item& item, const nginx_directive& server) {
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

}  // namespace

void nginx_upstreams::read_upstream(const nginx_directive& d) {
  if (d.arguments.empty()) return not_converted(draft_, d, "");
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
  if (endpoints.empty()) return not_converted(draft_, d, "it has no usable server");
  item.fields.insert(item.fields.begin(), {"endpoints", "[" + endpoints + "]"});
  if (item.fields.size() == 1) item.set("balance", "round_robin");
  names_[d.arguments.front()] = draft_.free_name("upstreams", d.arguments.front());
  draft_.upstreams.emplace_back(names_[d.arguments.front()], std::move(item));
}

std::optional<std::string> nginx_upstreams::upstream_of(const nginx_directive& proxy_pass,
                                                        policy_item& route) {
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
  if (const auto known = names_.find(target); known != names_.end()) {
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
  return names_[target] = name;
}

}  // namespace weir::config
