// SPDX-License-Identifier: Apache-2.0
// A configured upstream as one worker sees it: endpoints, balancer, retry budget.
#pragma once

#include "proxy/retry/retry_budget.hpp"
#include "proxy/upstream/balancers/balancer.hpp"
#include "proxy/upstream/endpoint.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace weir::proxy {

/// Endpoint numbers a request has tried, newest last; more than 11 attempts do not exist.
using tried_endpoints = std::span<const std::uint32_t>;

class upstream {
 public:
  upstream(services& worker, const upstream_settings& settings, upstream_counters& counters,
           std::vector<std::vector<resolved_address>> addresses,
           const std::shared_ptr<const tls::client_context>& tls);

  /// Chooses an endpoint, one not tried yet when there is one.
  [[nodiscard]] std::uint32_t pick(tried_endpoints tried);
  [[nodiscard]] proxy::endpoint& endpoint(std::uint32_t index) noexcept { return *endpoints_[index]; }
  [[nodiscard]] std::size_t size() const noexcept { return endpoints_.size(); }

  const upstream_settings settings;
  upstream_counters& counters;
  retry_budget budget;

 private:
  services& worker_;
  std::unique_ptr<balancer> balancer_;
  std::vector<std::unique_ptr<proxy::endpoint>> endpoints_;
  std::vector<endpoint_view> views_;
};

}  // namespace weir::proxy
