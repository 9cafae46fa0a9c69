// SPDX-License-Identifier: Apache-2.0
#include "proxy/runtime/compiled_config.hpp"

#include <algorithm>

namespace weir::proxy {

namespace {

bool contains(const std::vector<std::string>& list, std::string_view value) {
  return list.empty() || std::find(list.begin(), list.end(), value) != list.end();
}

void add_header(std::vector<std::string>& names, std::string_view name) {
  if (std::find(names.begin(), names.end(), name) == names.end()) names.emplace_back(name);
}

void add_selector_headers(std::vector<std::string>& names, const std::vector<limiter::selector>& selectors) {
  for (const limiter::selector& s : selectors) {
    if (s.text.starts_with("header:")) add_header(names, s.argument);
    if (s.text.starts_with("cookie:")) add_header(names, "cookie");
  }
}

std::vector<std::string> collect_identity_headers(const settings& s) {
  std::vector<std::string> names;
  for (const user_source& source : s.users) add_header(names, source.header);
  for (const limiter::rule& rule : s.policy.rules()) {
    add_selector_headers(names, rule.key);
    add_selector_headers(names, rule.fallback);
    if (rule.cost_from && !rule.cost_from->header.empty()) add_header(names, rule.cost_from->header);
  }
  for (const limiter::rule& limit : s.concurrency.rules()) add_selector_headers(names, limit.key);
  return names;
}

std::shared_ptr<upstream> inherit(const compiled_config* previous, const upstream_settings& wanted) {
  if (previous == nullptr) return nullptr;
  for (const std::shared_ptr<upstream>& candidate : previous->upstreams) {
    if (candidate->settings == wanted) return candidate;
  }
  return nullptr;
}

}  // namespace

std::optional<std::uint32_t> compiled_config::find_route(std::string_view method, std::string_view path,
                                                         std::string_view host,
                                                         std::vector<std::uint32_t>& scratch) const {
  scratch.clear();
  route_paths.match(path, scratch);
  for (const std::uint32_t index : scratch) {
    const limiter::request_match& match = settings->routes[index].match;
    if (contains(match.methods, method) && contains(match.hosts, host)) return index;
  }
  return std::nullopt;
}

std::shared_ptr<const compiled_config> compile(std::shared_ptr<const settings> s,
                                               const compiled_config* previous, services& worker,
                                               metric_names& names, const resolved_endpoints& addresses,
                                               const tls::context_set& tls) {
  auto result = std::make_shared<compiled_config>();
  for (std::uint32_t i = 0; i < s->routes.size(); ++i) {
    const route_settings& route = s->routes[i];
    if (route.match.paths.empty()) result->route_paths.insert("/**", i);
    for (const std::string& path : route.match.paths) result->route_paths.insert(path, i);
    result->route_slots.push_back(names.route_slot(route.name));
  }
  result->route_slots.push_back(names.route_slot("_none"));
  for (const limiter::rule& rule : s->policy.rules())
    result->rule_slots.push_back(names.rule_slot(rule.name));
  for (const limiter::rule& limit : s->concurrency.rules())
    result->limit_slots.push_back(names.concurrency_slot(limit.name));
  for (std::size_t i = 0; i < s->upstreams.size(); ++i) {
    std::shared_ptr<upstream> kept = inherit(previous, s->upstreams[i]);
    if (!kept) {
      upstream_counters& counters = worker.metrics.upstream(names.upstream_slot(s->upstreams[i].name));
      kept = std::make_shared<upstream>(worker, s->upstreams[i], counters, addresses[i], tls.upstreams[i]);
    }
    result->upstreams.push_back(std::move(kept));
  }
  result->identity_headers = collect_identity_headers(*s);
  result->settings = std::move(s);
  return result;
}

}  // namespace weir::proxy
