// SPDX-License-Identifier: Apache-2.0
// Which requests a rule, a route or a list speaks about.
#pragma once

#include "limiter/address_set.hpp"
#include "limiter/selectors/selector.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace weir::limiter {

struct request_attributes;

/// One value of a request and what it may be.
struct value_match {
  selector from;
  std::vector<std::string> values;  ///< compared byte for byte; empty: any value, as long as there is one
  friend bool operator==(const value_match&, const value_match&) = default;
};

/// Empty list = everything; items of a list are ORed, members ANDed.
struct request_match {
  std::vector<std::string> methods;     ///< upper case
  std::vector<std::string> paths;       ///< templates of path_template.hpp
  std::vector<std::string> hosts;       ///< lower case, without port
  std::vector<std::string> routes;      ///< route names (not in a route)
  address_set clients;                  ///< networks of the client, ungrouped
  std::vector<value_match> values;      ///< user, tier, headers and query parameters: each must fit
  std::vector<request_match> excluded;  ///< `not`: none of these may match

  /// False: everything beside methods, paths, hosts and routes is open.
  [[nodiscard]] bool asks_who() const noexcept {
    return !clients.empty() || !values.empty() || !excluded.empty();
  }
  friend bool operator==(const request_match&, const request_match&) = default;
};

enum class match_part : std::uint8_t { none, methods, path, host, route, client_ip, value, excluded };

/// The first part of a match that a request does not fit.
struct mismatch {
  match_part part = match_part::none;  ///< none: it fits
  const value_match* value = nullptr;  ///< of match_part::value
};

/// The whole match with the reason why not. Reads templates one by one, as matches() does.
[[nodiscard]] mismatch find_mismatch(const request_match& match, const request_attributes& request,
                                     std::string& scratch);

/// The part that asks_who() speaks of. `scratch` holds decoded values, reused between calls.
[[nodiscard]] bool matches_who(const request_match& match, const request_attributes& request,
                               std::string& scratch);

/// The whole match. Reads templates one by one: for few of them; routes and rules have a match_index.
[[nodiscard]] bool matches(const request_match& match, const request_attributes& request,
                           std::string& scratch);

}  // namespace weir::limiter
