// SPDX-License-Identifier: Apache-2.0
#include "proxy/downstream/connection_places.hpp"

namespace weir::proxy {

connection_places::answer connection_places::take(const std::string& group, std::uint32_t per_group) {
  if (open_.fetch_add(1, std::memory_order_relaxed) >= total_) {
    open_.fetch_sub(1, std::memory_order_relaxed);
    return {{}, refusal::total};
  }
  place taken(*this, nullptr);
  if (group.empty()) return {std::move(taken), refusal::none};
  const std::scoped_lock lock(mutex_);
  const auto found = groups_.try_emplace(group, 0).first;
  if (found->second >= per_group) return {{}, refusal::address};
  ++found->second;
  taken.group_ = &*found;
  return {std::move(taken), refusal::none};
}

void connection_places::give_back(place::counted* group) noexcept {
  open_.fetch_sub(1, std::memory_order_relaxed);
  if (group == nullptr) return;
  const std::scoped_lock lock(mutex_);
  if (--group->second == 0) groups_.erase(groups_.find(group->first));
}

}  // namespace weir::proxy
