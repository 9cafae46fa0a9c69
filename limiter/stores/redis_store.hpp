// SPDX-License-Identifier: Apache-2.0
// Decisions by the Lua script in one Redis, over one pipelined connection per worker.
#pragma once

#include "limiter/store.hpp"

#include <array>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace weir::limiter {

namespace redis {
class dial_limiter;
}

/// Defaults are those of the policy file. All durations > 0.
struct redis_settings {
  std::string host = "127.0.0.1";  ///< name or address; empty when unix_path is set
  std::uint16_t port = 6379;
  std::string unix_path;  ///< non-empty: unix domain socket
  std::string username;   ///< ACL user; empty = default user
  std::string password;   ///< empty = no AUTH; never logged
  int database = 0;
  std::string key_prefix = "rl:";
  std::chrono::milliseconds connect_timeout{100};  ///< DNS, connect, AUTH, SELECT and SCRIPT LOAD together
  std::chrono::milliseconds command_timeout{50};   ///< from execute() to the answer
  std::size_t max_in_flight = 4096;                ///< beyond: errc::overloaded at once

  friend bool operator==(const redis_settings&, const redis_settings&) = default;
};

/// Written by the owning worker, read by any thread (relaxed).
struct redis_counters {
  std::atomic<std::uint64_t> commands{0};                       ///< decisions sent
  std::atomic<std::uint64_t> batches{0};                        ///< writes they left in
  std::atomic<std::uint64_t> connects{0};                       ///< successful (re)connects
  std::array<std::atomic<std::uint64_t>, errc_count> errors{};  ///< by errc
};

/// Lives on one worker's io_context. Connects by itself, reconnects with backoff (50 ms ... 1 s, full
/// jitter), heals NOSCRIPT, fails everything in flight on a timeout or protocol violation and never replays
/// an unknown outcome.
class redis_store final : public store {
 public:
  /// `log(level, message)` gets connection events, at most one per change of state; level is "info" or
  /// "warn".
  using log_function = std::function<void(std::string_view level, std::string_view message)>;

  /// `dials` bounds the failed dials of all stores that share it; null = one bound for the whole process.
  redis_store(boost::asio::io_context& io, redis_settings settings, log_function log,
              std::shared_ptr<redis::dial_limiter> dials = nullptr);
  ~redis_store() override;

  /// All commands of one loop turn leave in one write. While the connection is down: answers at once with
  /// why.
  void execute(operation op, std::span<const charge> charges, store_waiter& waiter) override;
  /// A command that has not left yet is withdrawn; the reply to one that has is dropped.
  void cancel(store_waiter& waiter) noexcept override;
  bool heartbeat(std::string_view member, std::string_view fingerprint, heartbeat_waiter& waiter) override;
  /// True while the connection is up and its last command was answered. Callable from any thread.
  [[nodiscard]] bool available() const noexcept override;
  [[nodiscard]] const redis_counters& counters() const noexcept;

  /// Cancels everything; pending waiters are forgotten. Call before the io_context stops.
  void shutdown();

 private:
  class impl;
  std::shared_ptr<impl> impl_;
};

}  // namespace weir::limiter
