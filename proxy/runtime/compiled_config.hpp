// SPDX-License-Identifier: Apache-2.0
// One configuration as one worker uses it: what it reads of requests, plus upstreams and metric slots.
#pragma once

#include "proxy/decide/compiled_policy.hpp"
#include "proxy/observe/metrics.hpp"
#include "proxy/upstream/upstream.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace weir::proxy {

/// Addresses of every endpoint, resolved before the worker sees the configuration: [upstream][endpoint].
using resolved_endpoints = std::vector<std::vector<std::vector<resolved_address>>>;

/// Immutable for sessions; a request holds a reference until its record is written. Its `tokens` are this
/// worker's own.
struct compiled_config : compiled_policy {
  std::vector<std::uint32_t> route_slots;                ///< metric slot by route; last = "_none"
  std::vector<std::uint32_t> rule_slots;                 ///< metric slot by rule index
  std::vector<std::uint32_t> limit_slots;                ///< metric slot by index of a concurrency limit
  std::vector<std::shared_ptr<upstream>> upstreams;      ///< by settings->upstreams
  std::vector<std::uint32_t> block_slots, exempt_slots;  ///< metric slot by position in the list
};

/// `previous` may be null; upstreams with equal settings are taken over from it, with their connections.
[[nodiscard]] std::shared_ptr<const compiled_config> compile(std::shared_ptr<const settings> settings,
                                                             const compiled_config* previous,
                                                             services& worker, metric_names& names,
                                                             const resolved_endpoints& addresses,
                                                             const tls::context_set& tls);

}  // namespace weir::proxy
