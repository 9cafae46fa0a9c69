// SPDX-License-Identifier: Apache-2.0
// Who waits for a slot of which limit, in the order of arrival, over all workers of the process. Decides
// nothing: it only says whose turn it is. No sockets, no clock.
#pragma once

#include "limiter/descriptor.hpp"
#include "limiter/rule.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <unordered_map>

namespace weir::proxy::slots {

/// One limit for one subject.
struct slot_key {
  limiter::rule_id rid;
  limiter::subject_key subject;
  friend bool operator==(const slot_key&, const slot_key&) = default;
};

/// Somebody's place in a line. `number` is unique in the process while it waits.
struct ticket {
  std::uint64_t number = 0;
  std::size_t worker = 0;
};

/// Thread-safe. A line exists while somebody waits in it, so there are at most as many as waiting requests.
class waiting_room {
 public:
  /// Tells worker `t.worker` that it is the turn of `t.number`; called under the lock, from any worker's
  /// thread: it must only post. Set before the workers start.
  using caller = std::function<void(const ticket& t)>;
  explicit waiting_room(caller call) : call_(std::move(call)) {}

  /// Takes a place at the end; 0: there are `bound` already.
  [[nodiscard]] std::uint64_t enter(const slot_key& key, std::size_t worker, std::size_t bound);
  /// Gives a place up, with or without a slot. Whoever comes first by it is called.
  void leave(const slot_key& key, std::uint64_t number);
  /// A slot may be free: calls the first.
  void freed(const slot_key& key);

  [[nodiscard]] bool first(const slot_key& key, std::uint64_t number) const;
  [[nodiscard]] bool empty(const slot_key& key) const;
  [[nodiscard]] std::size_t lines() const;

 private:
  struct key_hash {
    std::size_t operator()(const slot_key& key) const noexcept;
  };

  mutable std::mutex mutex_;
  caller call_;
  std::uint64_t last_number_ = 0;
  std::unordered_map<slot_key, std::deque<ticket>, key_hash> lines_;
};

}  // namespace weir::proxy::slots
