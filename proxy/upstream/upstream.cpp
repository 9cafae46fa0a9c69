// SPDX-License-Identifier: Apache-2.0
#include "proxy/upstream/upstream.hpp"

#include <algorithm>

namespace weir::proxy {

upstream::upstream(services& worker, const upstream_settings& s, upstream_counters& c,
                   std::vector<std::vector<resolved_address>> addresses,
                   const std::shared_ptr<const tls::client_context>& tls)
    : settings(s),
      counters(c),
      budget(s.retry.budget_percent, s.retry.budget_min),
      worker_(worker),
      balancer_(make_balancer(s.balance)),
      views_(s.endpoints.size()) {
  for (std::size_t i = 0; i < s.endpoints.size(); ++i) {
    endpoints_.push_back(
        std::make_unique<proxy::endpoint>(worker, s.endpoints[i], s.pool, c, std::move(addresses[i]), tls));
  }
}

std::uint32_t upstream::pick(tried_endpoints tried) {
  if (endpoints_.size() == 1) return 0;
  for (std::size_t i = 0; i < endpoints_.size(); ++i) {
    const bool was_tried = std::find(tried.begin(), tried.end(), i) != tried.end();
    views_[i] = {endpoints_[i]->settings().weight, endpoints_[i]->in_flight(), was_tried};
  }
  return static_cast<std::uint32_t>(balancer_->pick(views_, worker_.random.next()));
}

}  // namespace weir::proxy
