// SPDX-License-Identifier: Apache-2.0
// What a configuration reads of requests, derived once from its settings: index of routes, header names,
// tokens.
#pragma once

#include "limiter/match_index.hpp"
#include "limiter/request_attributes.hpp"
#include "proxy/http/field_names.hpp"
#include "proxy/identity/keyed_hash.hpp"
#include "proxy/identity/token_cache.hpp"
#include "proxy/settings.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir::proxy {

/// A request field that the access log shows.
struct logged_header {
  std::string name;  ///< lower case
  bool redacted = false;
};

/// Immutable for requests. Belongs to one thread, for the sake of `tokens` and `hashes`.
struct compiled_policy {
  std::shared_ptr<const proxy::settings> settings;
  limiter::match_index routes;                 ///< numbers are indices into settings->routes
  http::field_names identity_headers;          ///< every header a selector or user source reads
  http::field_names discarded_headers;         ///< dropped unless the peer is trusted
  http::field_names reserved_headers;          ///< `_` must not make an alias of one of them
  std::vector<std::string> hidden_parameters;  ///< of the query: the log must not show their values
  std::vector<logged_header> logged_headers;
  std::vector<limiter::selector>
      single_values;  ///< of queries and cookies that identity, matches and lists read
  std::unique_ptr<identity::token_cache> tokens;   ///< null: no tokens are read
  std::unique_ptr<identity::keyed_hasher> hashes;  ///< what logs and clients see of users and partitions

  /// Index of the first route that matches, or nothing.
  /// `path` is normalised; the route of the attributes is not read.
  [[nodiscard]] std::optional<std::uint32_t> find_route(const limiter::request_attributes& request,
                                                        std::string_view path, std::string& scratch,
                                                        std::vector<std::uint32_t>& candidates) const;
};

/// Fills everything of `out` from `settings`. `secret` keys the table of verified tokens.
void compile_policy(std::shared_ptr<const settings> settings, std::uint64_t secret, compiled_policy& out);

}  // namespace weir::proxy
