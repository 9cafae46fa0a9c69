// SPDX-License-Identifier: Apache-2.0
#include "proxy/runtime/compiled_config.hpp"

namespace weir::proxy {

namespace {

std::shared_ptr<upstream> inherit(const compiled_config* previous, const upstream_settings& wanted) {
  if (previous == nullptr) return nullptr;
  for (const std::shared_ptr<upstream>& candidate : previous->upstreams) {
    if (candidate->settings == wanted) return candidate;
  }
  return nullptr;
}

}  // namespace

std::shared_ptr<const compiled_config> compile(std::shared_ptr<const settings> s,
                                               const compiled_config* previous, services& worker,
                                               metric_names& names, const resolved_endpoints& addresses,
                                               const tls::context_set& tls) {
  auto result = std::make_shared<compiled_config>();
  for (const route_settings& route : s->routes) result->route_slots.push_back(names.route_slot(route.name));
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
  for (const listed_requests& item : s->block) result->block_slots.push_back(names.list_slot(item.reason));
  for (const listed_requests& item : s->exempt) result->exempt_slots.push_back(names.list_slot(item.reason));
  compile_policy(std::move(s), worker.random.next(), *result);
  return result;
}

}  // namespace weir::proxy
