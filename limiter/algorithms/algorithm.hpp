// SPDX-License-Identifier: Apache-2.0
// What every algorithm offers, and the registry of all of them. Each is the twin of the Lua file of the same
// name: same parameters, same integers, same answers.
#pragma once

#include "limiter/algorithms/state_word.hpp"
#include "limiter/decision.hpp"
#include "limiter/quota.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace weir::limiter {

/// What a rule remembers about one subject.
struct stored_state {
  /// X: after this instant the state means nothing. token_bucket: F, the instant the bucket is full. 0 =
  /// never used.
  std::int64_t expires_at_us = 0;
  std::int64_t pinned_until_us = 0;  ///< a take of cost 1 is denied before this instant
  /// token_bucket: f, in 1/base us beyond F. Windows: units of the current one, <= L <= 2^31.
  /// sliding_window_log: where the stamps lie in `extra`, see stamp_ring.
  std::uint32_t count = 0;
  /// token_bucket: the r that f was written with; r <= L <= 2^31. sliding_window_counter: units of the window
  /// before. sliding_window_log: W the stamps were written with, us; 0 = it does not fit.
  std::uint32_t base = 0;
  /// Windows: W the counts were written with, us. sliding_window_log: stamps, us. concurrency: slot_holders.
  state_word extra;

  [[nodiscard]] bool unused() const noexcept { return expires_at_us == 0; }
};

/// A quota in the integers its algorithm computes with; also the script's arguments, in this order.
/// token_bucket: r q cap, and the age of what is refunded (us), which is no argument. Windows and log: L W.
/// Calendar windows: L a b c, with a <= now < b for the instant they were made for. concurrency: L lease, and
/// the holder.
struct parameters {
  std::array<std::int64_t, 4> values{};
  int count = 0;
  std::string_view holder{};
};

/// What a commit does with a holder of concurrency.
enum class slot_change : std::uint8_t { none, hold, release };

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
  std::int64_t carried = 0;     ///< sliding_window_counter: units of the window before. Calendar: its end
  slot_change change = slot_change::none;  ///< concurrency
};

struct algorithm_functions {
  algorithm id;
  std::string_view name;  ///< as in the policy file
  char letter;            ///< as in the script's arguments
  char own_key;           ///< letter of the key of its own that holds the state; 0 = the subject's value does

  /// `now_us` matters for calendar windows only. Leaves the holder empty.
  parameters (*to_parameters)(const quota&, std::int64_t now_us) noexcept;

  /// Reads only. `cost` 0 ... 2^31.
  evaluation (*evaluate)(const stored_state&, const parameters&, operation, std::int64_t cost,
                         std::int64_t now_us);

  /// Start of what counts at now: a refund of an earlier charge gives nothing back. Null: no charge is too
  /// old.
  std::int64_t (*began)(const parameters&, std::int64_t now_us) noexcept;

  /// Second phase: writes the new (commit) or repaired state, if any, and answers. An emptied state is
  /// unused(). The answer is written where it stays: a copy of what was stored last waits for all stores
  /// before.
  void (*conclude)(stored_state&, const parameters&, const evaluation&, bool commit, std::int64_t now_us,
                   rule_state& answer);
};

/// Calendar windows are an algorithm of their own here, with the name fixed_window.
[[nodiscard]] const algorithm_functions& functions_of(const quota& q) noexcept;

/// By the name of the policy file.
[[nodiscard]] std::optional<algorithm> parse_algorithm(std::string_view name) noexcept;

}  // namespace weir::limiter
