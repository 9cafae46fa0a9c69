// SPDX-License-Identifier: Apache-2.0
#include "limiter/algorithms/slot_holders.hpp"

#include <algorithm>

namespace weir::limiter {

std::size_t slot_holders::find(std::string_view holder) const noexcept {
  const std::string_view name = holder.substr(0, longest_name);
  std::size_t i = 0;
  while (i < slots_.size() && slots_[i].name() != name) ++i;
  return i;
}

std::int64_t slot_holders::lease_of(std::string_view holder) const noexcept {
  const std::size_t i = find(holder);
  return i < slots_.size() ? slots_[i].until_us : 0;
}

std::int64_t slot_holders::held(std::int64_t now_us) const noexcept {
  return std::count_if(slots_.begin(), slots_.end(), [now_us](const slot& s) { return s.until_us > now_us; });
}

std::int64_t slot_holders::latest() const noexcept {
  std::int64_t latest = 0;
  for (const slot& s : slots_) latest = std::max(latest, s.until_us);
  return latest;
}

std::int64_t slot_holders::end_of(std::int64_t i, std::int64_t now_us) const {
  std::vector<std::int64_t> ends;
  for (const slot& s : slots_) {
    if (s.until_us > now_us) ends.push_back(s.until_us);
  }
  std::nth_element(ends.begin(), ends.begin() + i, ends.end());
  return ends[static_cast<std::size_t>(i)];
}

void slot_holders::hold(std::string_view holder, std::int64_t until_us) {
  const std::size_t i = find(holder);
  if (i == slots_.size()) {
    slot fresh;
    fresh.length = static_cast<std::uint8_t>(std::min(holder.size(), longest_name));
    std::copy_n(holder.data(), fresh.length, fresh.text.data());
    slots_.push_back(fresh);
  }
  slots_[i].until_us = until_us;
}

void slot_holders::release(std::string_view holder) noexcept {
  const std::size_t i = find(holder);
  if (i == slots_.size()) return;
  slots_[i] = slots_.back();
  slots_.pop_back();
}

void slot_holders::drop_ended(std::int64_t now_us) noexcept {
  const auto ended = [now_us](const slot& s) { return s.until_us <= now_us; };
  slots_.erase(std::remove_if(slots_.begin(), slots_.end(), ended), slots_.end());
}

void slot_holders::shorten(std::int64_t latest_us) noexcept {
  for (slot& s : slots_) s.until_us = std::min(s.until_us, latest_us);
}

}  // namespace weir::limiter
