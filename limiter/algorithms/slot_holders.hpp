// SPDX-License-Identifier: Apache-2.0
// Who holds the slots of a concurrency rule, and until when.
#pragma once

#include "limiter/algorithms/state_word.hpp"

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace weir::limiter {

/// Leases by holder and by their end. Its owner never lets it hold more than the largest L there was.
class slot_holders final : public owned_state {
 public:
  /// End of the holder's lease; 0 = none.
  [[nodiscard]] std::int64_t lease_of(std::string_view holder) const noexcept;
  /// Number of leases that end after `now_us`. Passes over those that have ended.
  [[nodiscard]] std::int64_t held(std::int64_t now_us) const noexcept;
  /// Latest end of a lease; 0 = there is none.
  [[nodiscard]] std::int64_t latest() const noexcept;
  /// The i-th earliest end, from 0, of those after `now_us`; i < held(now_us).
  [[nodiscard]] std::int64_t end_of(std::int64_t i, std::int64_t now_us) const noexcept;

  void hold(std::string_view holder, std::int64_t until_us);
  void release(std::string_view holder) noexcept;
  void drop_ended(std::int64_t now_us) noexcept;
  void shorten(std::int64_t latest_us);  ///< no lease ends later

 private:
  using by_end = std::set<std::pair<std::int64_t, std::string>>;
  [[nodiscard]] by_end::const_iterator first_after(std::int64_t now_us) const noexcept;

  std::map<std::string, std::int64_t, std::less<>> ends_;
  by_end order_;
};

}  // namespace weir::limiter
