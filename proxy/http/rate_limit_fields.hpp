// SPDX-License-Identifier: Apache-2.0
// Retry-After, RateLimit / RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers-11) and the x-ratelimit
// triple, all rendered from one decision so that they agree with each other.
#pragma once

#include "limiter/decision.hpp"
#include "proxy/settings.hpp"

#include <cstdint>
#include <span>
#include <string>

namespace weir::http {

/// Appends complete field lines for the decision. Closest rule first, at most 8 items, hidden rules never.
/// Nothing is appended for an empty decision. Retry-After only on a denial whose wait is finite: seconds
/// rounded up, >= 1. Shadow charges show nothing: clients must not learn of limits that are not enforced.
/// Rules with `headers: retry_after` show nothing else; rules with `headers: hidden` nothing at all, not even
/// their wait.
void append_rate_limit_fields(std::string& out, std::span<const limiter::charge> charges,
                              const limiter::decision& decision,
                              std::span<const proxy::rate_limit_header> emitters);

/// Index of the charge whose rule is closest to its limit: the limiting one of a denial, else the one with
/// the smallest remaining share of its capacity (ties: file order). -1 for an empty decision. Hidden rules
/// take part, shadow ones do not.
[[nodiscard]] int closest_charge(std::span<const limiter::charge> charges,
                                 const limiter::decision& decision) noexcept;

/// The wait a client may be told, in whole seconds: what Retry-After says. -1 when there is none to tell.
[[nodiscard]] std::int64_t retry_after_seconds(std::span<const limiter::charge> charges,
                                               const limiter::decision& decision) noexcept;

/// ceil(us / 1e6), at least 1 when us > 0; 0 for us <= 0.
[[nodiscard]] std::int64_t whole_seconds(std::int64_t us) noexcept;

}  // namespace weir::http
