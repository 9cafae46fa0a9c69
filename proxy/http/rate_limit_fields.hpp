// SPDX-License-Identifier: Apache-2.0
// Retry-After, RateLimit / RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers-11) and the x-ratelimit triple,
// all rendered from one decision so that they agree with each other.
#pragma once

#include <span>
#include <string>

#include "limiter/decision.hpp"
#include "proxy/settings.hpp"

namespace weir::http {

/// Appends complete field lines for the decision. Closest rule first, at most 8 items, hidden rules never. Nothing is
/// appended for an empty decision. Retry-After only on a denial whose wait is finite: seconds rounded up, >= 1.
void append_rate_limit_fields(std::string& out, std::span<const limiter::charge> charges,
                              const limiter::decision& decision, std::span<const proxy::rate_limit_header> emitters);

/// ceil(us / 1e6), at least 1 when us > 0.
[[nodiscard]] std::int64_t whole_seconds(std::int64_t us) noexcept;

}  // namespace weir::http
