// SPDX-License-Identifier: Apache-2.0
// Stage "identify": from a validated head to the attributes that policies read.
#pragma once

#include "proxy/decide/limited_request.hpp"
#include "proxy/http/error_response.hpp"
#include "proxy/identity/address.hpp"

#include <boost/container/static_vector.hpp>
#include <cstdint>
#include <optional>
#include <string_view>

namespace weir::proxy {

/// What to answer instead of going on; `reason` is static text for the log.
struct identify_refusal {
  http::local_error error;
  std::string_view reason;
};

/// Fills everything of `request` that depends on its head alone: target, host, client address, identity
/// headers, token, user, tier, route. Views into `buffer` and `peer_text` stay in it. `wall_us` (Unix time)
/// judges a token. A refusal: 400 (a path without
/// one reading, or an identity value that occurs twice), or 405 for a method that `http.methods` does not
/// list.
[[nodiscard]] std::optional<identify_refusal> identify(limited_request& request, std::string_view buffer,
                                                       const identity::address& peer,
                                                       std::string_view peer_text, std::int64_t wall_us);

/// The lines of the field that names clients (`client_ip.header`), in order; lines beyond the bound are not
/// read.
using client_lines = boost::container::static_vector<std::string_view, 64>;
[[nodiscard]] client_lines find_client_lines(const limited_request& request, std::string_view buffer);

// The two parts of it that surround token, user and tier (identify_user.hpp), for whoever knows these
// otherwise.
[[nodiscard]] std::optional<identify_refusal> read_request(limited_request& request, std::string_view buffer,
                                                           const identity::address& peer,
                                                           std::string_view peer_text);
[[nodiscard]] std::optional<identify_refusal> find_route(limited_request& request);

}  // namespace weir::proxy
