// SPDX-License-Identifier: Apache-2.0
// Token, user and tier of a request, from its identity headers, cookies, query and claims. The identity
// headers are collected.
#pragma once

#include "proxy/decide/limited_request.hpp"

#include <array>
#include <cstdint>
#include <string_view>

namespace weir::proxy {

/// Fills token and claims. A token that is not valid at `wall_us` (Unix time) is none: nothing of it is
/// charged.
void find_token(limited_request& request, std::int64_t wall_us);

/// Fills user and where it is from: the first source that yields a value wins.
void find_user(limited_request& request);

/// What logs call the user: a keyed hash, or the id itself when its source has `hash: false`; empty: there is
/// none. The view is that of the id, or into `digits`.
[[nodiscard]] std::string_view shown_user(const limited_request& request, std::array<char, 16>& digits);

/// Fills tier: the first source that yields a value wins.
void find_tier(limited_request& request);

}  // namespace weir::proxy
