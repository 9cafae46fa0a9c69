// SPDX-License-Identifier: Apache-2.0
// Chooses an endpoint of an upstream. One file per method beside this one, plus registry.cpp. Pure.
#pragma once

#include "proxy/settings.hpp"

#include <cstdint>
#include <memory>
#include <span>

namespace weir::proxy {

/// Why an endpoint should not be chosen, the better reason later. Only the best standing there is gets
/// picked from, so when every endpoint is out, all are in: somebody must answer.
enum class standing : std::uint8_t {
  fine,
  tried,     ///< by this request
  refusing,  ///< it asked to be left alone for a while
  out,       ///< known bad
};

/// What a balancer sees of one endpoint.
struct endpoint_view {
  int weight = 1;               ///< 1 ... 100
  std::uint32_t in_flight = 0;  ///< requests of this worker at this endpoint
  proxy::standing standing = proxy::standing::fine;
  std::uint64_t identity = 0;  ///< hash of its address, the same in every process
};

/// What decides between equals.
struct lot {
  std::uint64_t random = 0;  ///< fresh and uniform
  std::uint64_t client = 0;  ///< hash of the client's address group
};

/// Stateful (round robin), one per worker and upstream. Not thread-safe.
class balancer {
 public:
  virtual ~balancer() = default;
  /// Index into `endpoints` (never empty).
  [[nodiscard]] virtual std::size_t pick(std::span<const endpoint_view> endpoints, const lot& by) = 0;
};

[[nodiscard]] std::unique_ptr<balancer> make_balancer(balance_method method);

}  // namespace weir::proxy
