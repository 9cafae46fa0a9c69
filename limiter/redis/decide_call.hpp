// SPDX-License-Identifier: Apache-2.0
// The wire form of one decision: charges -> EVALSHA arguments, flat integer reply -> states. Pure; the
// contract is lua/README.md.
#pragma once

#include "limiter/decision.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace weir::limiter::redis {

/// Appends the complete RESP command (EVALSHA sha numkeys keys args) for these charges to `out`.
/// `command` is "EVALSHA" with the script's SHA-1, or "EVAL" with its text.
/// `key_prefix` e.g. "rl:"; keys become `<prefix>1:{<subject>}` and `...:l<rid>` for logs.
/// Charges of one subject share one key. `clock_us` >= 0 is appended for the test prelude; -1 in production.
void append_decide(std::string& out, std::string_view command, std::string_view script,
                   std::string_view key_prefix, operation op, std::span<const charge> charges,
                   std::int64_t clock_us = -1);

/// Number of integers in the reply to a call with `charges` charges.
[[nodiscard]] std::size_t decide_reply_size(std::size_t charges) noexcept;

/// Flat integers -> reply. False when the count or a value is impossible.
[[nodiscard]] bool parse_decide(std::span<const std::int64_t> integers, std::size_t charges,
                                store_reply& reply);

}  // namespace weir::limiter::redis
