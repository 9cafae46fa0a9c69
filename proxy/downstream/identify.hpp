// SPDX-License-Identifier: Apache-2.0
// Stage "identify": from a validated head to the attributes that policies read.
#pragma once

#include "proxy/downstream/active_request.hpp"
#include "proxy/identity/address.hpp"
#include "proxy/runtime/random.hpp"

#include <string_view>

namespace weir::proxy {

/// Appends a fresh request id: 128 random bits as 32 lower-case hex digits.
void append_random_id(std::string& out, random_source& random);

/// Fills everything of `request` that depends on its head alone: target, host, client address, identity
/// headers, user, request id, route. False: the request must be refused with 400 (a path without one reading,
/// or an identity header that occurs twice).
[[nodiscard]] bool identify(active_request& request, std::string_view buffer, const identity::address& peer,
                            std::string_view peer_text, random_source& random);

}  // namespace weir::proxy
