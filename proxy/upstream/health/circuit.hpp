// SPDX-License-Identifier: Apache-2.0
// The circuit breaker of one endpoint: what real requests met there decides whether it gets more of them.
// Pure; one per worker and endpoint; `now` is monotonic microseconds.
#pragma once

#include "proxy/settings.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace weir::proxy {

/// Why an endpoint was put out of use.
enum class eject_reason : std::uint8_t { consecutive_failures, failure_ratio, probe_failed, health_check };
inline constexpr std::size_t eject_reason_count = 4;
inline constexpr std::array<std::string_view, eject_reason_count> eject_reason_names{
    "consecutive_failures", "failure_ratio", "probe_failed", "health_check"};

/// Attempts of the last ten seconds and how many of them failed. O(1), no allocation.
class failure_window {
 public:
  void add(bool failed, std::int64_t now_us) noexcept;
  [[nodiscard]] std::uint64_t attempts() const noexcept { return attempts_; }  ///< as of the last add()
  [[nodiscard]] std::uint64_t failures() const noexcept { return failures_; }
  void clear() noexcept { *this = {}; }

 private:
  static constexpr std::int64_t seconds = 10;
  struct bucket {
    std::uint32_t attempts = 0, failures = 0;
  };
  void forget_until(std::int64_t second) noexcept;

  std::array<bucket, seconds> buckets_{};
  std::int64_t second_ = 0;  // of the newest bucket
  std::uint64_t attempts_ = 0, failures_ = 0;
};

/// closed: in use. open: ejected until its time is over. Then one attempt, the probe, may pass (half-open):
/// it closes the circuit or opens it for twice as long. What other attempts meet while the circuit is not
/// closed changes nothing. An endpoint that then stays in use for as long as it was out last begins at
/// `ejection` again.
class circuit {
 public:
  explicit circuit(const outlier_settings& settings) noexcept;

  [[nodiscard]] bool closed() const noexcept { return state_ == state::closed; }
  /// An attempt may begin: the circuit is closed, or this would be the probe.
  [[nodiscard]] bool may_pass(std::int64_t now_us) const noexcept {
    return state_ == state::closed || (state_ == state::open && now_us >= open_until_us_);
  }
  /// An attempt begins; true: it is the probe, and tell probe_ended() how it went, exactly once.
  [[nodiscard]] bool begin(std::int64_t now_us) noexcept;

  /// An attempt other than the probe ended. A reason: the endpoint deserves eject(), now or, when others may
  /// not be spared, at its next failure.
  [[nodiscard]] std::optional<eject_reason> ended(bool failed, std::int64_t now_us) noexcept;
  void eject(std::int64_t now_us) noexcept;

  enum class probe : std::uint8_t { good, bad, abandoned /* says nothing: another one may pass */ };
  void probe_ended(probe how, std::int64_t now_us) noexcept;

  [[nodiscard]] std::int64_t open_until_us() const noexcept { return open_until_us_; }

 private:
  enum class state : std::uint8_t { closed, open, half_open };

  void open(std::int64_t now_us) noexcept;

  std::int64_t first_us_, longest_us_;  // ejections
  std::uint64_t consecutive_limit_, ratio_percent_, ratio_minimum_;
  std::uint64_t consecutive_ = 0;
  failure_window window_;
  state state_ = state::closed;
  std::int64_t open_until_us_ = 0;
  std::int64_t last_us_ = 0;    // how long it was open the last time; 0 = never
  std::int64_t closed_us_ = 0;  // when it closed again
};

}  // namespace weir::proxy
