// SPDX-License-Identifier: Apache-2.0
#include "limiter/sharing/members.hpp"

#include <algorithm>
#include <utility>

namespace weir::limiter {

void members::heard(const heartbeat_answer& answer, std::int64_t now_us) noexcept {
  const std::int64_t number = now_us / beat_us;
  last_ = std::clamp<std::int64_t>(answer.members, 1, most_members);
  second& slot = heard_[static_cast<std::size_t>(number) % slots];
  slot.largest = slot.number == number ? std::max(slot.largest, last_) : last_;
  slot.number = number;
  reset_ = reset_ || (resets_ >= 0 && answer.resets != resets_);
  resets_ = answer.resets;
  const bool differ = answer.configurations > 1;
  mismatch_ = mismatch_ || (differ && !mismatched_);
  mismatched_ = differ;
}

/// A store that is away tells nothing: then what was heard last still holds.
std::int64_t members::count(std::int64_t now_us) const noexcept {
  if (fixed_ > 0) return fixed_;
  const std::int64_t oldest = (now_us - memory_us) / beat_us;
  std::int64_t largest = last_;
  for (const second& s : heard_) {
    if (s.number >= oldest) largest = std::max(largest, s.largest);
  }
  return largest;
}

bool members::take_reset() noexcept {
  return std::exchange(reset_, false);
}

bool members::take_mismatch() noexcept {
  return std::exchange(mismatch_, false);
}

}  // namespace weir::limiter
