// SPDX-License-Identifier: Apache-2.0
// A worker's view of the limits on requests at the same time: holder ids, its places in the waiting room, and
// the renewal of the leases its requests hold. One per worker, on its thread, except where it says so.
#pragma once

#include "limiter/permit.hpp"
#include "proxy/runtime/timer_wheel.hpp"
#include "proxy/slots/waiting_room.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

namespace weir::proxy::slots {

/// A request that waits for a slot.
class slot_waiter {
 public:
  /// It is first in its line and a slot may be free.
  virtual void on_slot_free() = 0;

 protected:
  ~slot_waiter() = default;
};

/// A request's place in a line; leaves when it is destroyed.
class waiting_place {
 public:
  waiting_place() = default;
  waiting_place(const waiting_place&) = delete;
  waiting_place& operator=(const waiting_place&) = delete;
  ~waiting_place() { leave(); }

  void leave() noexcept;
  [[nodiscard]] bool taken() const noexcept { return number_ != 0; }
  [[nodiscard]] const slot_key& key() const noexcept { return key_; }

 private:
  friend class slot_desk;
  class slot_desk* desk_ = nullptr;
  slot_key key_;
  std::uint64_t number_ = 0;
};

/// A permit whose leases are renewed while it is enrolled; leaves when it is destroyed.
class lease_entry {
 public:
  lease_entry() = default;
  lease_entry(const lease_entry&) = delete;
  lease_entry& operator=(const lease_entry&) = delete;
  ~lease_entry() { leave(); }
  void leave() noexcept;

 private:
  friend class slot_desk;
  class slot_desk* desk_ = nullptr;
  limiter::permit* permit_ = nullptr;
  std::size_t position_ = 0;
  std::int64_t due_us_ = 0;
};

class slot_desk final : private timer {
 public:
  /// A random number from 0 to the argument minus one.
  using random_below = std::function<std::uint64_t(std::uint64_t bound)>;
  slot_desk(waiting_room& room, std::size_t worker, timer_wheel& timers, random_below random);

  /// A new holder id: `<12 random letters of this worker>-<counter>`.
  void append_holder(std::string& out);

  // ---- waiting
  /// False: the line is full. `who` must outlive the place.
  [[nodiscard]] bool enter(waiting_place& place, const slot_key& key, std::size_t bound, slot_waiter& who);
  [[nodiscard]] bool first(const waiting_place& place) const {
    return room_.first(place.key_, place.number_);
  }
  [[nodiscard]] bool anybody_waits(const slot_key& key) const { return !room_.empty(key); }
  /// A slot of this key was released.
  void freed(const slot_key& key) { room_.freed(key); }
  /// Passes a call of the waiting room on; nobody is told who has left meanwhile.
  void deliver(std::uint64_t number);

  /// When the first of a line tries again although nobody told it of a free slot: other processes release
  /// too. Half to all of the shorter of `retry_us` and 50 ms.
  [[nodiscard]] std::int64_t poll_delay_us(std::int64_t retry_us);

  // ---- leases
  /// Renews what `permit` holds until the entry leaves; nothing when it holds no slot.
  void enrol(lease_entry& entry, limiter::permit& permit, std::int64_t now_us);
  [[nodiscard]] std::size_t leases() const noexcept { return entries_.size(); }
  /// Renews every lease that is due. Pure but for the permits.
  void renew_due(std::int64_t now_us);

 private:
  friend class waiting_place;
  friend class lease_entry;
  void on_timer() override;
  void arm();

  waiting_room& room_;
  const std::size_t worker_;
  timer_wheel& timers_;
  random_below random_;
  std::string prefix_;
  std::uint64_t holders_ = 0;
  std::unordered_map<std::uint64_t, slot_waiter*> waiting_;  // by number; bounded by the worker's sessions
  std::vector<lease_entry*> entries_;                        // bounded by the worker's sessions
};

}  // namespace weir::proxy::slots
