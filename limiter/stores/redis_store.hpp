// SPDX-License-Identifier: Apache-2.0
// Decisions by the Lua script in Redis: one server, the master that sentinels name, or a cluster.
#pragma once

#include "limiter/redis/counters.hpp"
#include "limiter/redis/loop_turns.hpp"
#include "limiter/redis/settings.hpp"
#include "limiter/store.hpp"

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string_view>

namespace weir::limiter {

namespace redis {
class dial_limiter;
}

/// Lives on one worker's io_context. Connects by itself, reconnects with backoff (50 ms ... 1 s, full
/// jitter), follows masters and slots, heals NOSCRIPT, fails everything in flight on a timeout or protocol
/// violation and never replays an unknown outcome.
///
/// In a cluster the charges of one request may lie on several nodes. They are taken in parallel, and given
/// back, once, where they were taken when another node denies; a node that gives no answer is told by
/// store_reply::failures.
class redis_store final : public store {
 public:
  /// `log(level, message)` gets connection events, at most one per change of state; level is "info" or
  /// "warn".
  using log_function = std::function<void(std::string_view level, std::string_view message)>;

  /// `dials` bounds the failed dials of all stores that share it; null = one bound per server for the whole
  /// process. `turns`: of a loop that it shares, whose owner calls begin_turn() and end_turn().
  redis_store(boost::asio::io_context& io, redis_settings settings, log_function log,
              std::shared_ptr<redis::dial_limiter> dials = nullptr, redis::loop_turns turns = {});
  ~redis_store() override;

  /// What comes during a turn of the loop leaves in one write. While a connection waits for more than a few
  /// replies, what comes is collected, equal takes become one command, and all leaves when the replies are
  /// there. While a node is down: answers at once with why.
  void execute(operation op, std::span<const charge> charges, store_waiter& waiter) override;
  /// A command that has not left yet is withdrawn; the reply to one that has is dropped.
  void cancel(store_waiter& waiter) noexcept override;
  bool heartbeat(std::string_view member, std::string_view fingerprint, heartbeat_waiter& waiter) override;
  /// True while every node is up and not left alone for its failures. Callable from any thread.
  [[nodiscard]] bool available() const noexcept override;
  [[nodiscard]] const redis_counters& counters() const noexcept;

  /// Takes over username, password and TLS files, nothing else: new connections use them and replace the old
  /// ones, which first get their answers.
  void update(const redis_settings& settings);

  /// Between the two, decisions are collected; the latter sends them. No nesting.
  void begin_turn() noexcept;
  void end_turn();

  /// Cancels everything; pending waiters are forgotten. Call before the io_context stops.
  void shutdown();

 private:
  class impl;
  std::shared_ptr<impl> impl_;
};

}  // namespace weir::limiter
