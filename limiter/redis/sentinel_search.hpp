// SPDX-License-Identifier: Apache-2.0
// Which sentinel to ask next, and what to do with what it says. Pure: the caller asks and keeps the time.
#pragma once

#include "limiter/redis/reply_scanner.hpp"
#include "limiter/redis/settings.hpp"

#include <chrono>
#include <cstddef>
#include <optional>
#include <vector>

namespace weir::limiter::redis {

/// The reply to SENTINEL GET-MASTER-ADDR-BY-NAME; nothing when the sentinel does not know the name or says
/// something else.
[[nodiscard]] std::optional<redis_address> parse_master_address(const scanned_reply& reply);

/// Sentinels are asked in order; the one that knew is asked first the next time.
class sentinel_search {
 public:
  using clock = std::chrono::steady_clock;
  /// Between two rounds in which nobody knew the master, or the one they named was not.
  static constexpr clock::duration first_pause = std::chrono::milliseconds(50);
  static constexpr clock::duration last_pause = std::chrono::milliseconds(500);

  explicit sentinel_search(std::vector<redis_address> sentinels) : sentinels_(std::move(sentinels)) {}

  /// The sentinel to ask now.
  [[nodiscard]] const redis_address& sentinel() const noexcept { return sentinels_[at_]; }

  /// It knew the master. Stays first.
  void answered() noexcept { tried_ = 0; }
  /// It did not answer in time, or did not know. Returns the pause before the next question: zero, or longer
  /// after a whole round. `random` is uniform in [0, 1).
  [[nodiscard]] clock::duration failed(double random) noexcept;
  /// The node it named is no master or cannot be reached. Returns the pause before the next question.
  [[nodiscard]] clock::duration disproved(double random) noexcept;
  /// A master was found and answers.
  void settled() noexcept { pause_ = first_pause; }

 private:
  clock::duration next_pause(double random) noexcept;

  std::vector<redis_address> sentinels_;
  std::size_t at_ = 0;
  std::size_t tried_ = 0;  // of this round
  clock::duration pause_ = first_pause;
};

}  // namespace weir::limiter::redis
