// SPDX-License-Identifier: Apache-2.0
// What the store said last about each subject, and what therefore needs no question: a subject that was at
// its limit stays there until time gives units back, so an old answer denies exactly.
#pragma once

#include "limiter/sharing/bounded_lru.hpp"

#include <cstdint>
#include <optional>

namespace weir::limiter {

/// Pure; one per worker. All instants are microseconds of this process' monotonic clock, except `now_us` of
/// replies, which is the store's.
class denial_cache {
 public:
  /// An answer is forgotten after this time even when nothing shortens its life: clocks drift.
  static constexpr std::int64_t longest_life_us = 60'000'000;
  /// ... where units may come back (settled or refunded rules, groups of several slots): then an old answer
  /// may be wrong for that long.
  static constexpr std::int64_t refunded_life_us = 100'000;

  /// `capacity` >= 1 entries; `secret` keys the hash.
  denial_cache(std::size_t capacity, std::uint64_t secret) : entries_(capacity, secret) {}

  /// When a call was sent and answered.
  struct exchange {
    std::int64_t sent_us = 0;      ///< not later than the decision
    std::int64_t received_us = 0;  ///< not earlier than it
    std::int64_t store_now_us = 0;
  };

  /// The state a take of this charge would find, when that is known: `allowed` = false is certain, true is
  /// not (others may have taken since). Nothing: unknown.
  [[nodiscard]] std::optional<rule_state> ask(const charge& c, std::int64_t now_us);

  /// As ask(), but what is too old to deny counts as well, up to `longest_life_us`: the best that is known
  /// when the store is away.
  [[nodiscard]] std::optional<rule_state> recall(const charge& c, std::int64_t now_us);

  /// Notes an answer to `op`; the answer with the newest store clock wins. `life_us` bounds its life.
  void learn(const charge& c, operation op, const rule_state& answered, const exchange& when,
             std::int64_t life_us);

  void forget(const entry_key& key) noexcept { entries_.erase(key); }
  void clear() noexcept { entries_.clear(); }
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }

 private:
  struct entry {
    limiter::quota quota;  // a rule that changed since is unknown
    std::int64_t sent_us = 0;
    std::int64_t delay_us = 0;  // between sending and receiving
    std::int64_t store_now_us = 0;
    std::int64_t expires_at_us = 0;
    bool by_level = false;             // token_bucket without a penalty: `used` tells everything
    bool blocked = false;              // a penalty: nothing remains
    std::int64_t used = 0;             // by_level: D, credits
    std::int64_t cost = 0;             // else: the cost that was denied ...
    std::int64_t denied_until_us = 0;  // ... until then
    bool denies = false;               // a take of cost 1 was denied by this answer
  };

  [[nodiscard]] const entry* known_about(const charge& c) noexcept;
  [[nodiscard]] static std::optional<rule_state> state_of(const entry& known, const charge& c,
                                                          std::int64_t now_us);
  [[nodiscard]] entry* place_for(const charge& c, bool denies, std::int64_t now_us);

  bounded_lru<entry> entries_;
};

/// True for algorithms whose answers can be remembered at all: a slot of `concurrency` may be given back at
/// any moment.
[[nodiscard]] bool cacheable(algorithm a) noexcept;

}  // namespace weir::limiter
