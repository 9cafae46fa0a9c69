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
/// `key_prefix` e.g. "rl:"; keys become `<prefix>1:{<subject>}`, `...:l<rid>` for logs, `...:c<rid>` for
/// slots. Charges of one subject share one key; a log with a penalty names the key of its subject as well.
struct decide_options {
  std::int64_t k = 1;  ///< > 1, only with take: k equal requests, see store_reply
  /// What the caller believes the store's clock to show; only rules with calendar windows need it, and an
  /// estimate that is off by more than a window costs one more round trip (errc::window: estimate anew from
  /// window_error_now() and send again).
  std::int64_t estimate_us = 0;
  std::int64_t clock_us =
      -1;  ///< >= 0 is appended for the preludes that take the time as argument; -1: the server's clock
  std::int64_t since_us = 0;  ///< > 0: what the store does not know was used up at that instant
};
void append_decide(std::string& out, std::string_view command, std::string_view script,
                   std::string_view key_prefix, operation op, std::span<const charge> charges,
                   const decide_options& options = {});

/// Whether a store that has data since `since_us` (0 = unknown) may not know some of these subjects although
/// they are in use: one that was used up then would not be as good as new at `now_us`.
[[nodiscard]] bool may_be_cold(std::span<const charge> charges, std::int64_t since_us,
                               std::int64_t now_us) noexcept;

/// Number of integers in the reply to a call with `charges` charges.
[[nodiscard]] std::size_t decide_reply_size(std::size_t charges) noexcept;

/// Flat integers -> reply to a call with this op, number of charges and k; `shadow` as of shadow_bits().
/// False when the count or a value is impossible.
[[nodiscard]] bool parse_decide(std::span<const std::int64_t> integers, operation op, std::size_t charges,
                                store_reply& reply, std::int64_t k = 1, std::uint32_t shadow = 0);

/// What such a reply says behind `now`: m and the integers of each rule, 1 + 5 for each of `charges`.
[[nodiscard]] bool parse_decision(std::int64_t now_us, std::span<const std::int64_t> integers, operation op,
                                  std::size_t charges, store_reply& reply, std::int64_t k,
                                  std::uint32_t shadow);

}  // namespace weir::limiter::redis
