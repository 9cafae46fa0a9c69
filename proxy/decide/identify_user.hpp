// SPDX-License-Identifier: Apache-2.0
// Token, user and tier of a request, from its identity headers, cookies, query and claims. The identity
// headers are collected.
#pragma once

#include "proxy/decide/limited_request.hpp"

#include <cstdint>

namespace weir::proxy {

/// Fills token and claims. A token that is not valid at `wall_us` (Unix time) is none: nothing of it is
/// charged.
void find_token(limited_request& request, std::int64_t wall_us);

/// Fills user and user_hash: the first source that yields a value wins.
void find_user(limited_request& request);

/// Fills tier: the first source that yields a value wins.
void find_tier(limited_request& request);

}  // namespace weir::proxy
