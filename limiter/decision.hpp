// SPDX-License-Identifier: Apache-2.0
// What one request asks of the rules (charges) and what the limiter answered (decision).
#pragma once

#include "limiter/descriptor.hpp"
#include "limiter/errc.hpp"
#include "limiter/rule.hpp"

#include <boost/container/small_vector.hpp>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace weir::limiter {

/// One request's demand of one rule. `matched` lives in the policy snapshot the request holds.
struct charge {
  const rule* matched = nullptr;
  subject_key subject;
  std::int64_t cost = 1;  ///< 0 ... 2^31
  /// refund: the store's clock at the charge that is given back. Windows that have closed since then stay as
  /// they are; 0 = unknown, give back at once.
  std::int64_t charged_at_us = 0;
  /// concurrency: who holds the slot, 1 ... 40 characters of A-Za-z0-9._-; must live as long as the charge.
  std::string_view holder{};
  /// With `key_form: readable`: names the subject in the store instead of its hash; null = the hash does.
  std::shared_ptr<const std::string> name{};
  /// Of the tier or the override that applies; null = that of the rule. Lives as long as `matched`.
  const limiter::quota* special = nullptr;
  /// Only where `admits(operation)`: evaluated like any other, charged when it and all that are enforced
  /// allow, and never a reason to deny.
  bool shadow = false;
  /// refund of a token_bucket: give back only what has not flowed in by itself since `charged_at_us`, which
  /// is known. Then nobody is admitted beyond the limit for units that others charged and gave back.
  bool aged = false;

  /// What the charge is measured by.
  [[nodiscard]] const limiter::quota& quota() const noexcept {
    return special != nullptr ? *special : matched->quota;
  }

  /// The name in the store.
  [[nodiscard]] std::string_view subject_name() const noexcept {
    return name ? std::string_view(*name) : subject.view();
  }
};

/// The rule of a charge for whoever keeps it longer than its policy: as far as a store reads it, with the
/// quota of this charge as its own.
[[nodiscard]] rule as_charged(const charge& c);

/// Requests rarely match more than four rules; more spill to the heap.
using charge_list = boost::container::small_vector<charge, 4>;

/// Clears a list, which is often empty already: that costs a comparison.
inline void forget(charge_list& list) noexcept {
  if (!list.empty()) list.clear();
}

/// Of concurrency rules, take acquires a slot for the charge's holder, refund releases it and renew (only for
/// them) prolongs its lease. refund and renew act on each charge by itself; all others on all charges or
/// none.
enum class operation : std::uint8_t { take, peek, refund, take_upto, renew };

/// State of one rule after the operation. Never -1 but where said.
struct rule_state {
  bool allowed = true;  ///< this rule alone would allow; false of a shadow charge: it is not charged
  /// Largest m such that take(m) right after is allowed; -1 = unknown(), then clients and logs are told
  /// nothing of the rule.
  std::int64_t remaining = 0;
  /// 0 when allowed; -1 = never (cost above capacity). 0 also when a slot to release or renew is not held.
  std::int64_t retry_after_us = 0;
  std::int64_t reset_after_us = 0;  ///< until the key equals a never-used one
  std::int64_t granted = 0;         ///< take_upto only
  std::int64_t used = 0;            ///< D: used credits (token_bucket), units or held slots

  /// Of a rule that was not asked since another one denied, or that was not answered and lets the request
  /// pass.
  [[nodiscard]] static rule_state unknown() noexcept {
    rule_state state;
    state.remaining = -1;
    return state;
  }
  [[nodiscard]] bool known() const noexcept { return remaining >= 0; }
};

/// The operations in which a charge may be shadow and a penalty speaks: those that ask whether a request may
/// pass.
[[nodiscard]] constexpr bool admits(operation op) noexcept {
  return op == operation::take || op == operation::peek;
}

/// True when the request may pass as far as this charge goes.
[[nodiscard]] inline bool passes(const charge& c, const rule_state& state) noexcept {
  return state.allowed || c.shadow;
}

/// Bit i: `op` regards charge i as shadow. At most 32 charges.
[[nodiscard]] inline std::uint32_t shadow_bits(operation op, std::span<const charge> charges) noexcept {
  std::uint32_t bits = 0;
  if (!admits(op)) return bits;
  for (std::size_t i = 0; i < charges.size(); ++i) bits |= std::uint32_t{charges[i].shadow} << i;
  return bits;
}

/// Answer of a store: one state per charge, in the order of the charges. Of k equal requests asked about at
/// once the first `admitted` pass, and the numbers are those after them; when some do not, the verdicts and
/// waits are those of the first that does not. Request j of them, from 1, is told remaining + (admitted - j)
/// * cost.
///
/// A store of several servers may answer for some charges only (`failures`). Then what the others say holds:
/// when one of them denies, nothing stays charged; when all of them allow, they are charged, and whoever
/// denies the request for the sake of the silent ones gives them back.
struct store_reply {
  std::int64_t now_us = 0;    ///< the store's clock at the decision, microseconds since the Unix epoch
  std::int64_t admitted = 0;  ///< 0 ... k; with k = 1: every rule allows
  boost::container::small_vector<rule_state, 4> states;
  /// By charge, errc::ok = answered, its state is in `states`; empty: all were.
  boost::container::small_vector<errc, 4> failures;
};

/// shadow_deny: admitted like allow, but a shadow rule would have denied.
enum class verdict : std::uint8_t { allow, deny, shadow_deny };

/// Why a decision is what it is. Written to the log as `reason`.
enum class decision_reason : std::uint8_t {
  within_limits,          ///< every rule allows (or no rule matched)
  over_limit,             ///< the store denied
  cost_exceeds_capacity,  ///< the store denied and no wait helps
  unauthenticated,        ///< a rule with `missing: deny` had no value
  store_failed,           ///< the store gave no answer; failure_mode decided (see failure)
};

/// The limiter's answer. `states` is empty when the store did not answer (failure_mode allow or deny).
struct decision {
  limiter::verdict verdict = verdict::allow;
  decision_reason reason = decision_reason::within_limits;
  errc failure = errc::ok;  ///< set when reason is store_failed, or when `local` decided
  limiter::failure_mode mode = limiter::failure_mode::allow;  ///< meaningful when failure != ok
  std::uint32_t failed = 0;                                   ///< bit i: charge i had no answer of the store
  int limiting = -1;  ///< index into charges of the denying rule with the longest wait; -1 = none
  std::int64_t retry_after_us = 0;  ///< largest of the denying rules; -1 = never
  std::uint32_t shadow_denied = 0;  ///< bit i: charge i is shadow and would have denied
  std::int64_t now_us = 0;          ///< clock of the store that decided; 0 = none did
  /// The limit without a free slot, when that is the only reason of a denial; its states are not reported.
  const rule* no_slot = nullptr;
  boost::container::small_vector<rule_state, 4> states;

  [[nodiscard]] bool admitted() const noexcept { return verdict != verdict::deny; }
};

}  // namespace weir::limiter
