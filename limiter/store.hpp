// SPDX-License-Identifier: Apache-2.0
// A store owns the state of every subject and the clock that judges it.
#pragma once

#include "limiter/decision.hpp"

#include <cstdint>
#include <span>

namespace weir::limiter {

/// Receives the answer of one store call. Embedded in the caller's request; never owned by the store.
class store_waiter {
 public:
  /// Called exactly once per execute(), on the caller's thread: inside execute() (memory store, immediate
  /// errors) or later from the worker's loop. `error != ok`: `reply` is empty.
  virtual void on_store_reply(errc error, const store_reply& reply) = 0;

  /// Set by an asynchronous store while it holds this waiter; used by cancel().
  void* store_token = nullptr;

 protected:
  ~store_waiter() = default;
};

/// One per worker (the memory store's data is shared between workers behind it).
/// Not thread-safe: call from the owning worker only.
class store {
 public:
  virtual ~store() = default;

  /// Applies `op` to all charges at one instant, all or none: a take is committed only if every charge is
  /// allowed. `charges` must stay valid until the answer or cancel(). At least one charge, at most 32.
  virtual void execute(operation op, std::span<const charge> charges, store_waiter& waiter) = 0;

  /// Forgets a waiter whose answer has not come. A command not yet written is not sent; a written one is
  /// charged.
  virtual void cancel(store_waiter& waiter) noexcept = 0;

  /// True while commands are expected to be answered (gauge weir_store_up).
  [[nodiscard]] virtual bool available() const noexcept = 0;
};

}  // namespace weir::limiter
