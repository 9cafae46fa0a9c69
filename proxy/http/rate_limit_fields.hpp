// SPDX-License-Identifier: Apache-2.0
// The rate-limit fields of one response, all rendered from one decision so that they agree with each other.
#pragma once

#include "proxy/http/rate_limit_emitters.hpp"

namespace weir::http {

/// Appends complete field lines for the decision. Closest rule first, at most 8 items, hidden rules never.
/// Nothing is appended for an empty decision. Retry-After only on a denial whose wait is finite: seconds
/// rounded up, >= 1. Shadow charges show nothing: clients must not learn of limits that are not enforced.
/// Rules with `headers: retry_after` show nothing else; rules with `headers: hidden` nothing at all, not even
/// their wait.
void append_rate_limit_fields(std::string& out, std::span<const limiter::charge> charges,
                              const limiter::decision& decision, const emitter_list& emitters,
                              const item_options& options = {});

/// Makes the waits of a denial longer by the same share of 0 ... `percent` percent, so that clients do not
/// come back together; `random` is 0 ... 2^32 - 1. Never shorter.
void spread_waits(limiter::decision& denial, int percent, std::uint32_t random) noexcept;

}  // namespace weir::http
