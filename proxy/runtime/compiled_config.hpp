// SPDX-License-Identifier: Apache-2.0
// One configuration as one worker uses it: settings plus the route trie, upstreams and metric slots derived
// from them.
#pragma once

#include "limiter/path_template.hpp"
#include "proxy/identity/token_cache.hpp"
#include "proxy/observe/metrics.hpp"
#include "proxy/settings.hpp"
#include "proxy/upstream/upstream.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace weir::proxy {

/// Addresses of every endpoint, resolved before the worker sees the configuration: [upstream][endpoint].
using resolved_endpoints = std::vector<std::vector<std::vector<resolved_address>>>;

/// A request field that the access log shows.
struct logged_header {
  std::string name;  ///< lower case
  bool redacted = false;
};

/// Immutable for sessions; a request holds a reference until its record is written.
struct compiled_config {
  std::shared_ptr<const proxy::settings> settings;
  limiter::path_trie route_paths;                    ///< values are indices into settings->routes
  std::vector<std::uint32_t> route_slots;            ///< metric slot by route; last = "_none"
  std::vector<std::uint32_t> rule_slots;             ///< metric slot by rule index
  std::vector<std::uint32_t> limit_slots;            ///< metric slot by index of a concurrency limit
  std::vector<std::shared_ptr<upstream>> upstreams;  ///< by settings->upstreams
  std::vector<std::string> identity_headers;   ///< lower case; every header a selector or user source reads
  std::vector<std::string> discarded_headers;  ///< lower case; dropped unless the peer is trusted
  std::vector<std::string> reserved_headers;   ///< lower case; `_` must not make an alias of one of them
  std::vector<std::string> hidden_parameters;  ///< of the query: the log must not show their values
  std::vector<logged_header> logged_headers;
  std::vector<limiter::selector>
      single_values;  ///< of queries and cookies that identity, matches and lists read
  std::vector<std::uint32_t> block_slots, exempt_slots;  ///< metric slot by position in the list
  std::unique_ptr<identity::token_cache> tokens;         ///< null: no tokens are read; this worker's own

  /// Index of the first route that matches, or nothing.
  /// `path` is normalised; the route of the attributes is not read.
  [[nodiscard]] std::optional<std::uint32_t> find_route(const limiter::request_attributes& request,
                                                        std::string_view path, std::string& scratch,
                                                        std::vector<std::uint32_t>& candidates) const;
};

/// `previous` may be null; upstreams with equal settings are taken over from it, with their connections.
[[nodiscard]] std::shared_ptr<const compiled_config> compile(std::shared_ptr<const settings> settings,
                                                             const compiled_config* previous,
                                                             services& worker, metric_names& names,
                                                             const resolved_endpoints& addresses,
                                                             const tls::context_set& tls);

}  // namespace weir::proxy
