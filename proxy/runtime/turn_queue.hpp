// SPDX-License-Identifier: Apache-2.0
// Who wants another go after others had theirs. Pure, allocates nothing.
#pragma once

#include <cstddef>
#include <limits>

namespace weir::proxy {

/// A place in a ring; leaves it when it is destroyed.
class ring_place {
 public:
  ring_place() = default;
  ~ring_place() { leave(); }
  ring_place(const ring_place&) = delete;
  ring_place& operator=(const ring_place&) = delete;

 protected:
  [[nodiscard]] bool linked() const noexcept { return next_ != nullptr; }
  void leave() noexcept {
    if (next_ == nullptr) return;
    previous_->next_ = next_;
    next_->previous_ = previous_;
    next_ = previous_ = nullptr;
  }

 private:
  friend class turn_queue;
  ring_place* next_ = nullptr;
  ring_place* previous_ = nullptr;
};

/// Something that gives up its turn and wants another. Waits in one turn_queue at most.
class yielding : private ring_place {
 public:
  /// Called by the queue, in which it waits no more; may wait again, for a later turn, or destroy itself.
  virtual void on_turn() = 0;

 protected:
  ~yielding() = default;
  void leave_turns() noexcept { leave(); }

 private:
  friend class turn_queue;
};

/// A line of those who yielded; the worker runs it once per turn of its loop, after the sockets. First come,
/// first served.
class turn_queue {
 public:
  static constexpr std::size_t everybody = std::numeric_limits<std::size_t>::max();

  /// `per_turn`: how many a run() serves; the others go on waiting.
  explicit turn_queue(std::size_t per_turn = everybody) noexcept : per_turn_(per_turn) {
    line_.next_ = line_.previous_ = &line_;
  }

  /// Who waits already, in whatever queue, keeps that place.
  void add(yielding& who) noexcept {
    if (!who.linked()) append(who);
  }
  [[nodiscard]] bool empty() const noexcept { return line_.next_ == &line_; }

  /// Nobody is served twice in one run.
  void run() {
    if (empty()) return;
    ring_place end;
    append(end);
    for (std::size_t served = 0; served < per_turn_ && line_.next_ != &end; ++served) {
      auto& who = static_cast<yielding&>(*line_.next_);
      who.leave();
      who.on_turn();
    }
  }

 private:
  void append(ring_place& who) noexcept {
    who.next_ = &line_;
    who.previous_ = line_.previous_;
    line_.previous_->next_ = &who;
    line_.previous_ = &who;
  }

  ring_place line_;  // its neighbours are the first and the last
  const std::size_t per_turn_;
};

}  // namespace weir::proxy
