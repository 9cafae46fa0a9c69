// SPDX-License-Identifier: Apache-2.0
// What every algorithm offers, and the registry of all of them. Each is the twin of the Lua file of the same
// name: same parameters, same integers, same answers.
#pragma once

#include "limiter/algorithms/stamp_ring.hpp"
#include "limiter/decision.hpp"
#include "limiter/quota.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

namespace weir::limiter {

/// What a rule remembers about one subject.
struct stored_state {
  /// X: after this instant the state means nothing. token_bucket: F, the instant the bucket is full. 0 =
  /// never used.
  std::int64_t expires_at_us = 0;
  std::int64_t pinned_until_us = 0;  ///< a take of cost 1 is denied before this instant
  std::uint32_t fraction = 0;        ///< token_bucket: f, in 1/fraction_base us beyond F
  std::uint32_t fraction_base = 0;   ///< token_bucket: the r that `fraction` was written with; r <= L <= 2^31
  std::unique_ptr<stamp_ring> stamps;  ///< sliding_window_log

  [[nodiscard]] bool unused() const noexcept { return expires_at_us == 0; }
};

/// A quota in the integers its algorithm computes with; also the script's arguments, in this order.
/// token_bucket: r q cap. sliding_window_log: L W.
struct parameters {
  std::array<std::int64_t, 3> values{};
  int count = 0;
};

/// First phase: what one operation would do to one rule, before it is known whether the others allow.
struct evaluation {
  bool allowed = true;
  bool repair =
      false;  ///< the stored state lies beyond the clock: it is corrected even if nothing is committed
  std::int64_t retry_after_us = 0;
  std::int64_t granted = 0;     ///< take_upto
  std::int64_t used = 0;        ///< credits or units as read
  std::int64_t used_after = 0;  ///< after a commit
  std::int64_t expired = 0;     ///< sliding_window_log: units at the head that no longer count
};

struct algorithm_functions {
  algorithm id;
  std::string_view name;  ///< as in the policy file
  char letter;            ///< as in the script's arguments
  bool own_key;           ///< state lies in a key of its own, not in the subject's value

  parameters (*to_parameters)(const quota&) noexcept;

  /// Reads only. `cost` 0 ... 2^31.
  evaluation (*evaluate)(const stored_state&, const parameters&, operation, std::int64_t cost,
                         std::int64_t now_us);

  /// Second phase: writes the new (commit) or repaired state, if any, and answers. An emptied state is
  /// unused().
  rule_state (*conclude)(stored_state&, const parameters&, const evaluation&, bool commit,
                         std::int64_t now_us);
};

[[nodiscard]] const algorithm_functions& functions_of(algorithm a) noexcept;

/// By the name of the policy file.
[[nodiscard]] std::optional<algorithm> parse_algorithm(std::string_view name) noexcept;

}  // namespace weir::limiter
