// SPDX-License-Identifier: Apache-2.0
// What an allowed request owes until it has ended: units whose final cost is not known yet, and slots it
// holds.
#pragma once

#include "limiter/decision.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

namespace weir::limiter {

class pending_decision;

/// How an allowed request ended.
struct outcome {
  int status = 0;         ///< of the response the client was given; 0 = none
  bool complete = false;  ///< the response reached its end
  /// The cost a rule's `response_cost` found, in its own measure (before `unit`); nothing when it found none.
  /// Called only for rules that have one, during settle().
  std::function<std::optional<std::int64_t>(const rule&)> actual{};
};

/// Units that stay charged of `reserved`. Pure; `actual` as in outcome.
/// - count: everything, or nothing when the status is not listed; no response keeps everything.
/// - response_cost: ceil(actual / unit) up to max; without it on_missing. A response that was cut short keeps
/// at
///   least the reserve (on_missing keep), whatever it had shown by then, or nothing (refund).
[[nodiscard]] std::int64_t final_cost(const rule& matched, std::int64_t reserved, const outcome& how);

/// Proof that `decide` allowed a request; forwarding requires one. Move-only, made only by the limiter. It
/// owns what must be settled or released, and does so exactly once: by settle(), or as a request that was
/// abandoned when it is destroyed. Belongs to one worker, and must go before its limiter.
class permit {
 public:
  permit(permit&&) noexcept;
  permit& operator=(permit&& other) noexcept;
  permit(const permit&) = delete;
  permit& operator=(const permit&) = delete;
  ~permit();

  /// The request is over: costs are settled and slots released. Never waits.
  void settle(const outcome& how) noexcept;
  /// Gives its slots back before the request is settled.
  void release_slots() noexcept;
  /// Prolongs the leases of its slots; one that has ended already is not taken again. Never waits.
  void renew() noexcept;
  /// A third of the shortest lease it holds: how often to call renew(). 0 = it holds none.
  [[nodiscard]] std::int64_t renew_every_us() const noexcept;

  /// False when the end of the request changes nothing.
  [[nodiscard]] bool owes() const noexcept { return debts_ != nullptr; }

 private:
  friend class pending_decision;
  struct debts;
  explicit permit(std::unique_ptr<debts> owed) noexcept;

  std::unique_ptr<debts> debts_;  // null: nothing to settle, which is most requests
};

}  // namespace weir::limiter
