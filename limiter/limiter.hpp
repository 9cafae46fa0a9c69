// SPDX-License-Identifier: Apache-2.0
// limiter::decide: the only place where failure_mode is applied.
#pragma once

#include "limiter/decision.hpp"
#include "limiter/rule.hpp"
#include "limiter/store.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace weir::limiter {

class pending_decision;

/// Proof that `decide` allowed a request; forwarding requires one. Move-only, made only by the limiter.
class permit {
 public:
  permit(permit&&) noexcept = default;
  permit& operator=(permit&&) noexcept = default;
  permit(const permit&) = delete;
  permit& operator=(const permit&) = delete;

 private:
  friend class pending_decision;
  permit() = default;
};

/// Per-worker front of a store: asks it, applies each rule's failure_mode when it fails, and never fails
/// itself.
class rate_limiter {
 public:
  /// `local` answers for rules with failure_mode local while `primary` is away; it holds this process' share
  /// of each quota (rate/N and burst/N with N = replicas >= 1). It must answer inside execute(), as the
  /// memory store does. Both must outlive the limiter.
  rate_limiter(store& primary, store& local, std::int64_t replicas);

  /// Decides all charges at once, all or none, in at most one store call. Calls `pending.on_decision()`
  /// exactly once, possibly before returning. No charges: allowed at once, without the store.
  void decide(pending_decision& pending);

  /// The caller left: on_decision() will not be called.
  void cancel(pending_decision& pending) noexcept;

 private:
  friend class pending_decision;

  /// This process' share of one rule, made when the rule is first decided locally.
  struct share {
    quota whole;  ///< of the rule it was made from
    rule part;    ///< name, rid and index of that rule, and its share of the quota
  };

  void apply_failure_modes(pending_decision& pending, errc failure);
  void decide_locally(pending_decision& pending);
  const rule& local_rule(const rule& matched);

  store& primary_;
  store& local_;
  std::int64_t replicas_;
  /// By rule index. Entries are compared by content, never by address, so a reload that puts another rule at
  /// an index (or another policy at an address) simply makes that share anew. Entries never move.
  std::vector<std::unique_ptr<share>> shares_;
};

/// The share of one of `replicas` processes: the same period stretched N times, floor(burst/N) but at least
/// one unit. Window algorithms become a token bucket: L of them at once in a fresh window is what B = L, P =
/// W allows. Slots stay slots, floor(L/N) of them but at least one.
[[nodiscard]] quota quota_share(const quota& whole, std::int64_t replicas) noexcept;

/// One request waiting for its decision. Derive, fill `charges`, call decide(), read `result` in
/// on_decision().
class pending_decision : private store_waiter {
 public:
  charge_list charges;
  decision result;

  /// The permit of an allowed decision; call at most once, only when result.verdict is allow.
  [[nodiscard]] permit take_permit() noexcept;

 protected:
  virtual ~pending_decision() = default;
  /// The decision is in `result`.
  virtual void on_decision() = 0;

 private:
  friend class rate_limiter;
  void on_store_reply(errc error, const store_reply& reply) final;
  rate_limiter* owner_ = nullptr;
};

}  // namespace weir::limiter
