// SPDX-License-Identifier: Apache-2.0
// Answers what needs no round trip (denials that are certain, units leased in advance, rules that each
// process enforces for itself) and passes the rest to the store that all processes share.
#pragma once

#include "limiter/sharing/denial_cache.hpp"
#include "limiter/sharing/lease.hpp"
#include "limiter/sharing/local_share.hpp"
#include "limiter/store.hpp"

#include <boost/container/small_vector.hpp>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <vector>

namespace weir::limiter {

/// Told what the sharing store does with a rule; for metrics. Called on the worker's thread.
class sharing_observer {
 public:
  virtual void denied_from_cache(const rule& r) = 0;                ///< without asking the store
  virtual void leased(const rule& r, std::int64_t difference) = 0;  ///< units held in advance
  virtual void lease_answered(std::int64_t took_us) = 0;            ///< by the store, or it failed to

 protected:
  ~sharing_observer() = default;
};

/// One per worker, in front of the worker's connection to a shared store; never in front of the memory
/// store, which needs none of it. Pure: time, randomness and both stores are given. Not thread-safe.
class sharing_store final : public store {
 public:
  struct options {
    std::size_t max_denials = 65'536;  ///< remembered answers; about 150 bytes each
    std::size_t max_leases = 16'384;   ///< subjects whose demand is watched; about 400 bytes each
    std::size_t max_waiting = 4096;    ///< requests that wait for one lease; more ask the store themselves
    bool several_slots = false;        ///< a group of subjects may be refunded (Cluster)
    lease_tuning leases{};
    std::uint64_t seed = 1;  ///< of the jitter, and the secret of the tables
  };

  /// `clock` gives monotonic microseconds. `local` enforces `sharing: local`. All must outlive the object.
  /// Waiters may do anything in their answer but destroy this object.
  sharing_store(store& shared, local_share& local, std::function<std::int64_t()> clock, options o);
  ~sharing_store() override;

  void execute(operation op, std::span<const charge> charges, store_waiter& waiter) override;
  void cancel(store_waiter& waiter) noexcept override;
  bool heartbeat(std::string_view member, std::string_view fingerprint, heartbeat_waiter& waiter) override {
    return shared_.heartbeat(member, fingerprint, waiter);
  }
  [[nodiscard]] bool available() const noexcept override { return shared_.available(); }

  /// N, the processes that share each limit; >= 1.
  void set_members(std::int64_t members) noexcept { members_ = members; }
  void set_observer(sharing_observer* observer) noexcept { observer_ = observer; }

  /// Gives back units that were not used in time. Call it when next_wake_us() is due.
  void maintain();
  /// When maintain() has something to do; -1: nothing is held.
  [[nodiscard]] std::int64_t next_wake_us() const noexcept;

  /// Other rules apply from now on: forgets all answers and gives back all units.
  void reload();
  /// Somebody reset subjects: forgets all answers.
  void forget_answers() noexcept {
    denials_.clear();
    ++epoch_;
  }
  /// The process will end: gives back all units and takes no more in advance.
  void drain();
  /// After drain(): true when nothing is held and every unit given back was acknowledged or failed.
  [[nodiscard]] bool settled() const noexcept { return returning_ == 0 && granting_ == 0 && held_ == 0; }

  /// What the shared store said last about this charge, for a process that lost it. What came back to the
  /// subject within the last second is not counted: other processes, which asked later, may have taken it.
  [[nodiscard]] std::optional<rule_state> last_known(const charge& c) {
    constexpr std::int64_t others_took_us = 1'000'000;
    return denials_.recall(c, clock_() - others_took_us);
  }

 private:
  struct flight;
  struct lease;
  struct giving_back;
  enum class way : std::uint8_t { shared, leased, local };

  // requests
  [[nodiscard]] flight& new_flight(operation op, std::span<const charge> charges, store_waiter& waiter);
  void take_strictly(std::span<const charge> charges, store_waiter& waiter, std::int64_t now_us);
  [[nodiscard]] bool is_local(const charge& c) const noexcept;
  void settle_locally(flight& f);
  void choose_ways(flight& f, std::int64_t now_us);
  [[nodiscard]] bool denied_already(flight& f, std::int64_t now_us);
  void advance(flight& f);
  [[nodiscard]] bool take_locally(flight& f);
  void forward(flight& f, std::int64_t now_us);
  void on_shared_reply(flight& f, errc error, const store_reply& reply);
  void learn(std::span<const charge> charges, operation op, const store_reply& reply, std::int64_t sent_us);
  [[nodiscard]] std::int64_t life_of(std::span<const charge> charges, const charge& c) const noexcept;
  [[nodiscard]] rule_state last_answer(const charge& c, std::int64_t now_us);
  [[nodiscard]] const rule_state& recalled(flight& f, std::size_t i, std::int64_t now_us);
  void deny(flight& f, std::int64_t now_us);
  void put_back(flight& f);
  void finish(flight& f, errc error, const store_reply& reply);
  void release(flight& f) noexcept;

  // leases
  [[nodiscard]] lease* watch(const charge& c, std::int64_t now_us);
  [[nodiscard]] bool make_room();
  [[nodiscard]] const std::shared_ptr<const rule>& copy_of(const charge& c);
  [[nodiscard]] std::int64_t known_remaining(const lease& l, std::int64_t now_us) const noexcept;
  [[nodiscard]] rule_state lease_state(const lease& l, std::int64_t now_us) const noexcept;
  [[nodiscard]] rule_state refusal(const lease& l, const charge& c, const rule_state& known,
                                   std::int64_t now_us) const noexcept;
  void wait_for_grant(flight& f, lease& l, std::int64_t now_us);
  void ask_for_units(lease& l, std::int64_t now_us);
  void on_granted(lease& l, errc error, const store_reply& reply);
  void note_grant(lease& l, const store_reply& reply, std::int64_t now_us);
  void serve_waiting(lease& l, errc error, bool store_is_empty);
  void hold(lease& l, std::int64_t units);
  void expire(lease& l, std::int64_t now_us);
  void give_back(lease& l, std::int64_t units);
  void on_given_back(giving_back& g, errc error, const store_reply& reply);
  void give_back_all();

  store& shared_;
  local_share& local_;
  const std::function<std::int64_t()> clock_;
  const options options_;
  sharing_observer* observer_ = nullptr;
  std::minstd_rand random_;
  std::int64_t members_ = 1;
  std::uint32_t epoch_ = 0;  // answers to calls of an older one are not remembered, their units given back
  bool draining_ = false;

  denial_cache denials_;
  bounded_lru<std::unique_ptr<lease>> leases_;
  struct expiry {
    std::int64_t at_us;
    entry_key key;
  };
  std::deque<expiry> expiries_;                     // ascending: every lease lives equally long
  std::vector<std::shared_ptr<const rule>> rules_;  // by index; leases outlive the policy they came from
  std::vector<std::unique_ptr<flight>> flights_;    // all
  std::vector<flight*> idle_flights_;
  std::vector<std::unique_ptr<giving_back>> returns_;
  std::vector<giving_back*> idle_returns_;
  std::size_t returning_ = 0, granting_ = 0;  // calls under way
  std::int64_t held_ = 0;                     // by all leases
};

}  // namespace weir::limiter
