// SPDX-License-Identifier: Apache-2.0
// A configured upstream as one worker sees it: endpoints, their health, balancer, retry budget.
#pragma once

#include "proxy/retry/retry_budget.hpp"
#include "proxy/upstream/balancers/balancer.hpp"
#include "proxy/upstream/endpoint.hpp"
#include "proxy/upstream/health/health_board.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace weir::proxy {

/// Endpoint numbers a request has tried, newest last; more than 11 attempts do not exist.
using tried_endpoints = std::span<const std::uint32_t>;

/// One attempt at one endpoint, from pick() to ended().
struct attempt_ticket {
  std::uint32_t endpoint = 0;
  bool probe = false;  ///< it decides whether the endpoint is used again
};

class upstream {
 public:
  upstream(services& worker, const upstream_settings& settings, upstream_counters& counters,
           std::vector<std::vector<resolved_address>> addresses,
           const std::shared_ptr<const tls::client_context>& tls);
  ~upstream();

  /// Chooses an endpoint in use, one not tried yet when there is one. `client` is the client's address group.
  /// Tell ended() how the attempt went, exactly once.
  [[nodiscard]] attempt_ticket pick(tried_endpoints tried, std::string_view client);
  void ended(attempt_ticket attempt, attempt_result how);

  /// The endpoint answered 429 or 503; `retry_after_us` -1: without a Retry-After.
  void refused(std::uint32_t endpoint, std::int64_t retry_after_us) {
    health_.refused(endpoint, retry_after_us, worker_.now_us);
  }
  /// How long every endpoint in use asked to be left alone.
  [[nodiscard]] std::int64_t retry_floor_us() const noexcept { return health_.wait_us(worker_.now_us); }
  /// The verdict of the active checks.
  void checked(std::uint32_t endpoint, bool healthy);

  [[nodiscard]] proxy::endpoint& endpoint(std::uint32_t index) noexcept { return *endpoints_[index]; }
  [[nodiscard]] std::size_t size() const noexcept { return endpoints_.size(); }

  const upstream_settings settings;
  upstream_counters& counters;
  retry_budget budget;

 private:
  void note(std::uint32_t endpoint, health_change change);

  services& worker_;
  std::unique_ptr<balancer> balancer_;
  std::vector<std::unique_ptr<proxy::endpoint>> endpoints_;
  std::vector<endpoint_view> views_;
  health_board health_;
};

}  // namespace weir::proxy
