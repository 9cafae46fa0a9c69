// SPDX-License-Identifier: Apache-2.0
// Decisions without the shared store: each rule's failure_mode, and what is owed to the store afterwards.
#pragma once

#include "limiter/sharing/bounded_lru.hpp"
#include "limiter/sharing/local_share.hpp"
#include "limiter/sharing/own_calls.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <span>

namespace weir::limiter {

/// Pure: time and stores are given. One per worker; not thread-safe.
class degraded_mode {
 public:
  struct options {
    std::int64_t allow_grace_us = -1;          ///< how long `failure_mode: allow` admits; -1 = without end
    std::size_t max_usage = 16'384;            ///< subjects whose local usage is remembered for the store
    std::size_t max_reports = 256;             ///< reports under way at once
    std::int64_t longest_hold_us = 2'000'000;  ///< see hold(): in which all processes find the store again
    std::uint64_t seed = 1;
    std::function<std::int64_t()> clock{};  ///< monotonic microseconds; empty: the steady clock
    local_share::last_known last_known{};   ///< what the shared store said last; may be empty
  };

  /// `shared` takes what is reported; `local` answers inside execute(). Both must outlive the object.
  degraded_mode(store& shared, store& local, options o);

  /// N, the processes that share each limit; >= 1.
  void set_members(std::int64_t members) noexcept { members_ = members; }
  [[nodiscard]] std::int64_t members() const noexcept { return members_; }

  /// Decides the charges whose bit is set in `failed` by their rules' failure_mode, all or none; the others
  /// were answered by `result.states`, and are given back once when the request is denied here. True: what to
  /// judge is in `result.states`, one for each charge. False: the verdict is in `result`.
  [[nodiscard]] bool decide(std::span<const charge> charges, std::uint32_t failed, errc failure,
                            decision& result);

  /// What a charge that was decided here by `failure_mode: local` is called in the local store.
  [[nodiscard]] local_share::share_of_charge share_of(const charge& c) { return shares_.scaled(c, members_); }

  /// What was charged here by `failure_mode: local` turned out to be `units` more (or, negative, less): the
  /// store will be told so, unless it has been told already.
  void correct_usage(const charge& c, std::int64_t units);

  /// To be called after report(). The store is back, but other processes and workers may still use their
  /// shares: for as long again as a subject was decided here, at most `longest_hold_us`, it is charged here
  /// as well, so that all together stay within the limit. Which charges were is in `held`, one bit each.
  /// False: the share denies, nothing was charged, and what to judge is in `result`.
  [[nodiscard]] bool hold(std::span<const charge> charges, std::uint32_t& held, decision& result) {
    return usage_.size() == 0 || hold_to_share(charges, held, result);
  }
  /// Gives back what hold() charged, when the store denied or gave no answer.
  void put_back(std::span<const charge> charges, std::uint32_t held);

  /// The shared store answered.
  void answered() noexcept {
    if (failing_since_us_ >= 0) note_answer();
  }

  /// To be called before charges are taken from the shared store: tells it first what these subjects used
  /// while it was away, and something of what the others did.
  void report(std::span<const charge> charges) {
    if (usage_.size() > 0) report_usage(charges);
  }

 private:
  struct usage {
    std::shared_ptr<const rule> of;
    std::shared_ptr<const std::string> name;  // of the subject, see charge
    std::int64_t units = 0;                   // not told yet
    std::int64_t used_us = 0;
    std::int64_t first_us = -1;  // decision here ...
    std::int64_t last_us = 0;    // ... without the store
  };

  void note_failure();
  void note_answer() noexcept;
  [[nodiscard]] failure_mode mode_of(const rule& r) const noexcept;
  void note_usage(const charge& c, bool allowed);
  [[nodiscard]] std::int64_t held_until_us(const usage& u) const noexcept;
  [[nodiscard]] bool hold_to_share(std::span<const charge> charges, std::uint32_t& held, decision& result);
  void report_usage(std::span<const charge> charges);
  [[nodiscard]] bool report_one(const entry_key& key, usage& u);
  [[nodiscard]] bool forget(const entry_key& key, const usage& u);
  void give_back(std::span<const charge> charges, std::uint32_t failed, decision& result);

  store& shared_;
  options options_;
  local_share shares_;
  own_calls calls_;
  std::int64_t members_ = 1;
  std::int64_t failing_since_us_ = -1;    // first failure; -1 = none
  std::int64_t answering_since_us_ = -1;  // first answer after the last failure
  bool grace_over_ = false;
  errc last_failure_ = errc::ok;
  bounded_lru<usage> usage_;
};

}  // namespace weir::limiter
