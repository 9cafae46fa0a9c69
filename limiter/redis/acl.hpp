// SPDX-License-Identifier: Apache-2.0
// What a Redis user of weir may and has to do. Pure.
#pragma once

#include <string>
#include <string_view>

namespace weir::limiter::redis {

/// The rules of ACL SETUSER that suffice for everything weir asks, with this key prefix.
[[nodiscard]] std::string acl_rules(std::string_view key_prefix);

}  // namespace weir::limiter::redis
