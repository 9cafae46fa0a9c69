// SPDX-License-Identifier: Apache-2.0
#include "proxy/replay/denied_keys.hpp"

#include <algorithm>
#include <cstring>

namespace weir::replay {

/// Subjects are hashes already.
std::size_t denied_keys::id_hash::operator()(const id& i) const noexcept {
  std::uint64_t head = 0;
  std::memcpy(&head, i.subject.text.data(), sizeof head);
  return static_cast<std::size_t>((head + i.rule) * 0x9e3779b97f4a7c15u >> 7);
}

denied_keys::counted* denied_keys::find(std::uint32_t rule, const limiter::subject_key& subject) {
  const auto place = keys_.find({rule, subject});
  return place == keys_.end() ? nullptr : &place->second;
}

std::size_t denied_keys::keys_of(std::uint32_t rule) const {
  return static_cast<std::size_t>(
      std::count_if(keys_.begin(), keys_.end(), [rule](const auto& key) { return key.first.rule == rule; }));
}

std::vector<denied_keys::counted> denied_keys::top(std::uint32_t rule, std::size_t most) const {
  std::vector<counted> found;
  for (const auto& [key, count] : keys_) {
    if (key.rule == rule) found.push_back(count);
  }
  std::sort(found.begin(), found.end(), [](const counted& a, const counted& b) {
    return a.times != b.times ? a.times > b.times : a.name < b.name;
  });
  found.resize(std::min(found.size(), most));
  return found;
}

}  // namespace weir::replay
