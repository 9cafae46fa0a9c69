// SPDX-License-Identifier: Apache-2.0
#include "limiter/override_list.hpp"

#include "limiter/request_attributes.hpp"

#include <algorithm>
#include <utility>

namespace weir::limiter {

void override_list::add(const selector& from, std::string_view value, item what) {
  auto place = std::find_if(groups_.begin(), groups_.end(), [&](const group& g) { return g.from == from; });
  if (place == groups_.end()) place = groups_.insert(place, group{from, {}, {}});
  place->added.push_back(value_table::make_entry(value, static_cast<std::uint32_t>(items_.size())));
  expires_ = expires_ || what.until_us != 0;
  items_.push_back(std::move(what));
  next_.push_back(none);
}

void override_list::finish() {
  for (group& g : groups_) {
    link_equal_values(g);
    g.values = value_table{std::exchange(g.added, {})};
  }
}

/// Of equal values the table keeps the first; the others hang behind it, in their order.
void override_list::link_equal_values(group& g) {
  std::stable_sort(g.added.begin(), g.added.end(),
                   [](const auto& a, const auto& b) { return a.digest < b.digest; });
  for (std::size_t i = 1; i < g.added.size(); ++i) {
    if (g.added[i].digest == g.added[i - 1].digest) next_[g.added[i - 1].number] = g.added[i].number;
  }
}

const override_list::item* override_list::find(const request_attributes& request, std::int64_t now_us,
                                               std::string& scratch) const {
  const auto expired = [&](std::uint32_t i) {
    return items_[i].until_us != 0 && items_[i].until_us <= now_us;
  };
  std::uint32_t first = none;
  for (const group& g : groups_) {
    const auto value = select(g.from, request, scratch);
    if (!value) continue;
    std::uint32_t i = g.values.find(*value).value_or(none);
    while (i != none && expired(i)) i = next_[i];
    first = std::min(first, i);
  }
  return first == none ? nullptr : &items_[first];
}

std::vector<selector> override_list::selectors() const {
  std::vector<selector> all;
  all.reserve(groups_.size());
  for (const group& g : groups_) all.push_back(g.from);
  return all;
}

}  // namespace weir::limiter
