// SPDX-License-Identifier: Apache-2.0
// A Redis store that is only looked at: what would be taken is peeked, and nothing is counted.
#pragma once

#include "limiter/store.hpp"
#include "limiter/stores/redis_store.hpp"

#include <boost/asio/io_context.hpp>
#include <chrono>

namespace weir::cli {

/// Answers inside execute(), as an evaluator needs it; waits for the store so long.
class peek_store final : public limiter::store {
 public:
  explicit peek_store(const limiter::redis_settings& settings);
  ~peek_store() override;

  /// False: the store was not reached in time.
  [[nodiscard]] bool connect(std::chrono::milliseconds patience);

  void execute(limiter::operation op, std::span<const limiter::charge> charges,
               limiter::store_waiter& waiter) override;
  void cancel(limiter::store_waiter&) noexcept override {}
  [[nodiscard]] bool available() const noexcept override { return redis_.available(); }
  /// ok, or why the last question has no answer.
  [[nodiscard]] limiter::errc failure() const noexcept { return failure_; }

 private:
  boost::asio::io_context io_{1};
  limiter::redis_store redis_;
  limiter::errc failure_ = limiter::errc::ok;
};

}  // namespace weir::cli
