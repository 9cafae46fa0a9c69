// SPDX-License-Identifier: Apache-2.0
// limiter::decide: the only place where failure_mode is applied.
#pragma once

#include "limiter/decision.hpp"
#include "limiter/permit.hpp"
#include "limiter/rule.hpp"
#include "limiter/settlement.hpp"
#include "limiter/sharing/degraded.hpp"
#include "limiter/store.hpp"

#include <cstdint>

namespace weir::limiter {

class pending_decision;

/// Per-worker front of a store: asks it, applies each rule's failure_mode when it fails, and never fails
/// itself.
class rate_limiter {
 public:
  /// `local` answers for rules with failure_mode local while `primary` is away; it holds this process' share
  /// of each quota (see local_share). It must answer inside execute(), as the memory store does. Both must
  /// outlive the limiter. `replicas` >= 1: the processes that share each limit, until set_members().
  rate_limiter(store& primary, store& local, std::int64_t replicas, degraded_mode::options degraded = {});

  void set_members(std::int64_t members) noexcept { degraded_.set_members(members); }

  /// Decides all charges at once, all or none, in at most one store call. Calls `pending.on_decision()`
  /// exactly once, possibly before returning. No charges: allowed at once, without the store.
  void decide(pending_decision& pending);

  /// The caller left: on_decision() will not be called. Slots that the call may take are released behind it.
  void cancel(pending_decision& pending) noexcept;

  /// What permits have ordered and the store has not answered.
  [[nodiscard]] settler& settlements() noexcept { return settlements_; }

 private:
  friend class pending_decision;
  friend class permit;

  // permit.cpp
  [[nodiscard]] bool take_here(pending_decision& pending);
  void release_here(const pending_decision& pending) noexcept;
  void release_unknown(const pending_decision& pending) noexcept;

  void put_back_held(pending_decision& pending);
  void apply_failure_modes(pending_decision& pending, std::uint32_t failed, errc failure);

  store& primary_;
  store& local_;
  settler settlements_;
  degraded_mode degraded_;
};

/// One request waiting for its decision. Derive, fill `charges`, call decide(), read `result` in
/// on_decision().
class pending_decision : private store_waiter {
 public:
  charge_list charges;
  /// Slots counted in this process (`scope: local`): taken before the store is asked, released when it
  /// denies.
  charge_list here;
  decision result;

  /// The permit of an allowed decision; call exactly once for each, and only when result.admitted():
  /// until then nobody releases its slots.
  [[nodiscard]] permit take_permit();

 protected:
  virtual ~pending_decision() = default;
  /// The decision is in `result`.
  virtual void on_decision() = 0;
  /// Keeps alive what charges[].matched points at, for settlements that outlive the request.
  [[nodiscard]] virtual std::shared_ptr<const void> rules_owner() const { return {}; }

 private:
  friend class rate_limiter;
  void on_store_reply(errc error, const store_reply& reply) final;
  void prefer_rules() noexcept;
  rate_limiter* owner_ = nullptr;
  std::uint32_t held_ = 0;  // charges that this process' share was charged as well; see degraded_mode::hold
};

}  // namespace weir::limiter
