// SPDX-License-Identifier: Apache-2.0
// Sends what is settled, released or given back to the store, without anybody waiting for it.
#pragma once

#include "limiter/store.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace weir::limiter {

/// What came of a settlement, in units of a rule.
struct settled {
  const rule* matched = nullptr;  ///< as it was decided; valid during the call
  subject_key subject;            ///< of slots: whose were released
  std::int64_t exact = 0;         ///< the reserve was the cost
  std::int64_t refunded = 0;      ///< given back
  std::int64_t extra = 0;         ///< taken after the response
  std::int64_t uncollected = 0;   ///< more was used than was left
  errc failure = errc::ok;        ///< the store gave no answer; nothing is repeated
  std::int64_t took_us = -1;      ///< to the store and back; -1: it was not asked
};

/// Told about every settlement that ended; on the worker's thread, possibly inside permit::settle().
class settlement_observer {
 public:
  virtual void on_settled(const settled& what) = 0;
  /// Steady microseconds, for settled::took_us.
  [[nodiscard]] virtual std::int64_t now_us() const noexcept = 0;

 protected:
  ~settlement_observer() = default;
};

/// One per worker. Each order is sent once: one whose outcome is unknown is not repeated. Orders beyond
/// `max_outstanding` are dropped (units stay taken until they return with time, a slot until its lease ends)
/// and reported as errc::overloaded.
class settler {
 public:
  static constexpr std::size_t max_outstanding = 4096;
  static constexpr std::size_t max_holder = 40;

  /// `observer` may be null.
  explicit settler(settlement_observer* observer = nullptr);
  settler(const settler&) = delete;
  settler& operator=(const settler&) = delete;
  ~settler();

  /// `what.matched` is the rule as `where` knows it, `reported` the rule as it was decided; both live as long
  /// as `keep` (of a store that answers inside execute(): during the call). The cost is what changes: how
  /// much is given back (refund) or taken (take_upto). `units` of `what` are one unit of `reported`.
  void send(store& where, operation op, const charge& what, const rule& reported,
            std::shared_ptr<const void> keep, std::int64_t units = 1) noexcept;
  /// Nothing changes: only told to the observer.
  void exact(const rule& reported, const subject_key& subject, std::int64_t units) noexcept;

  /// An order could not even be made: only told to the observer.
  void lost(const rule& reported, const subject_key& subject) noexcept;

  [[nodiscard]] std::size_t outstanding() const noexcept { return outstanding_; }
  void observe(settlement_observer* observer) noexcept { observer_ = observer; }

 private:
  class order;
  void finished(order& o, errc failure, const store_reply& reply) noexcept;
  void report(const settled& what) noexcept;
  [[nodiscard]] std::int64_t now_us() const noexcept {
    return observer_ != nullptr ? observer_->now_us() : 0;
  }

  settlement_observer* observer_;
  std::size_t outstanding_ = 0;
  std::vector<std::unique_ptr<order>> orders_;  // every one ever made
  std::vector<order*> idle_;
};

}  // namespace weir::limiter
