// SPDX-License-Identifier: Apache-2.0
// The HTTP-free view of one request that policies, selectors and descriptors read.
#pragma once

#include "limiter/address_set.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir::limiter {

/// Looks a header up by lower-case name. Implemented by the proxy over its head table.
class header_source {
 public:
  virtual ~header_source() = default;
  /// The trimmed value of the first line of that name; empty optional when absent or empty.
  [[nodiscard]] virtual std::optional<std::string_view> header(std::string_view lower_case_name) const = 0;
  /// True when the head has several lines of that name.
  [[nodiscard]] virtual bool repeated(std::string_view lower_case_name) const {
    static_cast<void>(lower_case_name);
    return false;
  }
};

/// Claims of a verified token. Implemented by the proxy.
class claim_source {
 public:
  virtual ~claim_source() = default;
  /// The text of a claim (an integer in decimal, a boolean as true or false); empty optional when it is
  /// absent, empty, or no text, integer or boolean.
  [[nodiscard]] virtual std::optional<std::string_view> claim(std::string_view name) const = 0;
};

/// All views are borrowed from the session's current request and live until its response is complete.
struct request_attributes {
  std::string_view method;
  std::string_view path;          ///< normalised, without query
  std::string_view query;         ///< raw, without '?'
  std::string_view host;          ///< lower case, without port; empty when the request has none
  std::string_view route;         ///< route name, "_none" when no route matched
  std::uint32_t route_index = 0;  ///< position in the file; number of routes = none
  std::string_view upstream;      ///< upstream name of the route
  const std::vector<std::string>* route_paths = nullptr;  ///< templates of the route; null: no route
  std::string_view
      client_ip;  ///< canonical text of the client's address *group*, e.g. 192.0.2.1 or 2001:db8::/64
  address_bytes client_address{};  ///< the client itself, for matches against networks
  std::optional<std::string_view> user;
  std::optional<std::string_view> tier;
  const header_source* headers = nullptr;  ///< never null while a policy reads it
  const claim_source* claims = nullptr;    ///< null: no verified token
  std::int64_t now_us = 0;  ///< wall clock, since the epoch; read by policies that expires() only
};

}  // namespace weir::limiter
