// SPDX-License-Identifier: Apache-2.0
// Token, user and tier of a request, from its identity headers, cookies, query and claims.
#pragma once

#include "proxy/downstream/active_request.hpp"

namespace weir::proxy {

/// Fills token, user, user_hash and tier. The identity headers are collected. A token that is not valid is
/// none: nothing of it is charged.
void find_user_and_tier(active_request& request);

}  // namespace weir::proxy
