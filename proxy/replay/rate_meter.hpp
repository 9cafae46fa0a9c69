// SPDX-License-Identifier: Apache-2.0
// How much the keys of a rule ask for at their busiest: what a limit would have to allow.
#pragma once

#include "limiter/descriptor.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

namespace weir::replay {

inline constexpr std::size_t max_metered_keys = 1 << 18;  ///< of one rule; of more, a sample is kept

/// Measures each key's peak: the most units in any window of the rule's length. A window is measured in 16
/// parts and counts the part it only touches, so a peak is never too small, and too large by at most what a
/// sixteenth of the window held. A limit of that many units per window denies the key nothing: no bucket with
/// that burst, fixed window or log.
///
/// Of more keys than the bound, those are kept whose hash ends in zeros, as many as needed: a fair sample.
class rate_meter {
 public:
  explicit rate_meter(std::int64_t window_us) noexcept;

  /// Times go forward.
  void add(const limiter::subject_key& subject, std::int64_t units, std::int64_t time_us);

  struct summary {
    std::uint64_t keys = 0;  ///< measured
    std::uint64_t sampled_one_in = 1;
    std::int64_t p50 = 0, p95 = 0, p99 = 0, p999 = 0, max = 0;  ///< units per window
    std::int64_t denies_1_percent = 0;    ///< smallest limit that at most 1 % of the keys exceed, >= 1
    std::int64_t denies_0_1_percent = 0;  ///< the same of 0.1 %
  };
  [[nodiscard]] summary summarize() const;

 private:
  static constexpr std::int64_t parts = 16;
  struct meter {
    std::array<std::uint32_t, parts + 1> units{};  // by part, a ring
    std::int64_t part = 0;                         // the newest
    std::int64_t peak = 0;
  };
  struct subject_hash {
    std::size_t operator()(const limiter::subject_key& subject) const noexcept;
  };

  void thin_out();

  std::int64_t part_us_;
  std::uint64_t sample_mask_ = 0;  // keys with one of these bits in their hash are not measured
  std::unordered_map<limiter::subject_key, meter, subject_hash> keys_;
};

}  // namespace weir::replay
