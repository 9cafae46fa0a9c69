// SPDX-License-Identifier: Apache-2.0
// What one of N processes enforces for itself: 1/N of each quota, to the last credit.
#pragma once

#include "limiter/store.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <vector>

namespace weir::limiter {

/// Decides by shares, in a store that answers inside execute(). Used for `sharing: local` and, while the
/// shared store is away, for `failure_mode: local`. Not thread-safe.
class local_share {
 public:
  /// What the shared store said last about a charge's subject and rule; nothing: unknown.
  using last_known = std::function<std::optional<rule_state>(const charge&)>;

  local_share(store& table, std::uint64_t seed) : table_(table), random_(seed) {}

  /// Takes from the shares of `members` >= 1 processes, all charges or none. No share holds more than
  /// 1/members of what `known` (may be empty) says is left, so that losing the shared store gives nobody a
  /// fresh burst. Where a share is below one unit it becomes one unit that is there with probability burst /
  /// members. `reply.states` speak of this process' share. Never fails unless the table does.
  errc take(std::span<const charge> charges, std::int64_t members, const last_known& known,
            store_reply& reply);

  /// Gives back what take() took.
  void put_back(std::span<const charge> charges, std::int64_t members);

  /// Any operation but take, on the share of one rule.
  errc settle(operation op, const charge& c, std::int64_t members, store_reply& reply);

  /// A charge as the table knows it, until the next call for the same rule.
  struct share_of_charge {
    charge what;
    std::int64_t units = 1;  ///< of the share per unit of the rule
  };
  [[nodiscard]] share_of_charge scaled(const charge& c, std::int64_t members);

 private:
  struct part {
    limiter::quota whole;
    std::int64_t members = 0;
    std::int64_t units = 1;  // of the share per unit of the rule
    rule share;
  };

  [[nodiscard]] const part& part_for(const charge& c, std::int64_t members);
  void lower(const charge& whole, const charge& share, const rule_state& before, std::int64_t members,
             const last_known& known);

  store& table_;
  std::minstd_rand random_;
  /// By rule index, rules and limits of slots in turn; compared by content, so a reload makes an entry anew.
  /// Entries never move.
  std::vector<std::unique_ptr<part>> parts_;
};

/// 1/members of a quota, in smaller units, so that neither rate nor burst is rounded.
struct quota_part {
  limiter::quota quota;
  std::int64_t units = 1;  ///< of `quota` per unit of the whole: a charge of n costs n * units
};

/// `units` = members, and the quota's numbers are those of the whole. A window becomes a token bucket: its
/// limit at once is what a fresh window allows. A burst of less than one whole unit becomes one unit. Where
/// that cannot be computed exactly, `units` is as large as it can. Slots are divided and rounded down, also
/// to 0.
[[nodiscard]] quota_part part_of(const quota& whole, std::int64_t members) noexcept;

}  // namespace weir::limiter
