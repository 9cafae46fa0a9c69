// SPDX-License-Identifier: Apache-2.0
// What a response says when the upstream limits too: nothing is told that is more permissive than what the
// upstream said (draft-ietf-httpapi-ratelimit-headers-11, section on intermediaries).
#pragma once

#include "proxy/http/header_set.hpp"

#include <string>
#include <string_view>

namespace weir::http {

/// The upstream sent a field that an emitter of ours may send too.
[[nodiscard]] bool tells_limits(const response_head& head) noexcept;

/// Turns `ours`, the lines of our own emitters, into what stands for both, and answers the upstream's fields
/// that it replaces. RateLimit and RateLimit-Policy of draft 11 are joined: its items stay, with the smaller
/// `r` and the larger `t` where both speak of a name, ours follow. Of two sets with a single value (older
/// drafts, X-RateLimit) the one with less remaining goes out whole. A field of the upstream that does not
/// parse stays as it is, without ours, and so does its Retry-After, always.
[[nodiscard]] header_set merge_rate_limit_fields(std::string& ours, const response_head& head,
                                                 std::string_view buffer);

}  // namespace weir::http
