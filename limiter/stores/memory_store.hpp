// SPDX-License-Identifier: Apache-2.0
// The embedded store: exact within one process, shared by all its workers, bounded by max_keys.
#pragma once

#include "limiter/store.hpp"

#include <cstdint>
#include <functional>
#include <memory>

namespace weir::limiter {

/// What happens to a new key while the table is full of live ones.
enum class when_full : std::uint8_t {
  evict,     ///< the key that knows least makes room, never one that denies; when all deny: share_overflow
  deny_new,  ///< it is denied until a place is free
  share_overflow,  ///< all new keys share one bucket per rule
};

/// The data, shared between workers. Thread-safe; sharded by subject, locked in shard order.
class memory_table {
 public:
  struct options {
    std::int64_t max_keys = 1'000'000;
    int shards = 64;
    limiter::when_full when_full = limiter::when_full::evict;
    /// Microseconds since the epoch. Empty: CLOCK_MONOTONIC anchored to the epoch at construction. Tests
    /// inject one.
    std::function<std::int64_t()> clock;
  };
  explicit memory_table(options o);
  ~memory_table();
  memory_table(const memory_table&) = delete;
  memory_table& operator=(const memory_table&) = delete;

  /// Applies `op` to all charges at one instant, all or none (refund and renew: each charge by itself). `k` >
  /// 1, only with take: k equal requests one after the other, see store_reply. Never fails.
  void execute(operation op, std::span<const charge> charges, store_reply& reply, std::int64_t k = 1);

  [[nodiscard]] std::int64_t keys() const noexcept;       ///< entries held now
  [[nodiscard]] std::int64_t evictions() const noexcept;  ///< live entries dropped at the bound

 private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

/// A worker's handle on the table: answers inside execute().
class memory_store final : public store {
 public:
  explicit memory_store(std::shared_ptr<memory_table> table) : table_(std::move(table)) {}
  void execute(operation op, std::span<const charge> charges, store_waiter& waiter) override;
  void cancel(store_waiter&) noexcept override {}
  [[nodiscard]] bool available() const noexcept override { return true; }

 private:
  std::shared_ptr<memory_table> table_;
};

}  // namespace weir::limiter
