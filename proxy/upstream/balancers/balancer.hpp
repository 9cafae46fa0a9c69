// SPDX-License-Identifier: Apache-2.0
// Chooses an endpoint of an upstream. One file per method beside this one, plus registry.cpp. Pure.
#pragma once

#include "proxy/settings.hpp"

#include <cstdint>
#include <memory>
#include <span>

namespace weir::proxy {

/// What a balancer sees of one endpoint.
struct endpoint_view {
  int weight = 1;               ///< 1 ... 100
  std::uint32_t in_flight = 0;  ///< requests of this worker at this endpoint
  bool avoid = false;  ///< tried already by this request, or known bad: only when nothing else is left
};

/// Stateful (round robin), one per worker and upstream. Not thread-safe.
class balancer {
 public:
  virtual ~balancer() = default;
  /// Index into `endpoints` (never empty). `random` is a fresh uniform 64-bit number.
  [[nodiscard]] virtual std::size_t pick(std::span<const endpoint_view> endpoints, std::uint64_t random) = 0;
};

[[nodiscard]] std::unique_ptr<balancer> make_balancer(balance_method method);

}  // namespace weir::proxy
