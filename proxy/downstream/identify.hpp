// SPDX-License-Identifier: Apache-2.0
// Stage "identify": from a validated head to the attributes that policies read.
#pragma once

#include "proxy/downstream/active_request.hpp"
#include "proxy/http/error_response.hpp"
#include "proxy/identity/address.hpp"
#include "proxy/runtime/random.hpp"

#include <optional>
#include <string_view>

namespace weir::proxy {

/// Appends a fresh request id: 128 random bits as 32 lower-case hex digits.
void append_random_id(std::string& out, random_source& random);

/// What to answer instead of going on; `reason` is static text for the log.
struct identify_refusal {
  http::local_error error;
  std::string_view reason;
};

/// Fills everything of `request` that depends on its head alone: target, host, client address, identity
/// headers, token, user, tier, request id, route. A refusal: 400 (a path without one reading, or an identity
/// value that occurs twice), or 405 for a method that `http.methods` does not list.
[[nodiscard]] std::optional<identify_refusal> identify(active_request& request, std::string_view buffer,
                                                       const identity::address& peer,
                                                       std::string_view peer_text, random_source& random);

}  // namespace weir::proxy
