// SPDX-License-Identifier: Apache-2.0
#include "limiter/algorithms/slot_holders.hpp"

#include <iterator>
#include <vector>

namespace weir::limiter {

slot_holders::by_end::const_iterator slot_holders::first_after(std::int64_t now_us) const noexcept {
  auto lease = order_.begin();
  while (lease != order_.end() && lease->first <= now_us) ++lease;
  return lease;
}

std::int64_t slot_holders::lease_of(std::string_view holder) const noexcept {
  const auto found = ends_.find(holder);
  return found != ends_.end() ? found->second : 0;
}

std::int64_t slot_holders::held(std::int64_t now_us) const noexcept {
  return static_cast<std::int64_t>(order_.size()) - std::distance(order_.begin(), first_after(now_us));
}

std::int64_t slot_holders::latest() const noexcept {
  return order_.empty() ? 0 : order_.rbegin()->first;
}

std::int64_t slot_holders::end_of(std::int64_t i, std::int64_t now_us) const noexcept {
  return std::next(first_after(now_us), i)->first;
}

void slot_holders::hold(std::string_view holder, std::int64_t until_us) {
  release(holder);
  ends_.emplace(holder, until_us);
  order_.emplace(until_us, holder);
}

void slot_holders::release(std::string_view holder) noexcept {
  const auto found = ends_.find(holder);
  if (found == ends_.end()) return;
  order_.erase({found->second, found->first});
  ends_.erase(found);
}

void slot_holders::drop_ended(std::int64_t now_us) noexcept {
  while (!order_.empty() && order_.begin()->first <= now_us) {
    ends_.erase(order_.begin()->second);
    order_.erase(order_.begin());
  }
}

void slot_holders::shorten(std::int64_t latest_us) {
  std::vector<std::string> late;
  for (auto lease = order_.rbegin(); lease != order_.rend() && lease->first > latest_us; ++lease) {
    late.push_back(lease->second);
  }
  for (const std::string& holder : late) hold(holder, latest_us);
}

}  // namespace weir::limiter
