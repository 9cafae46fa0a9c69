// SPDX-License-Identifier: Apache-2.0
#include "proxy/slots/waiting_room.hpp"

#include <algorithm>
#include <string_view>

namespace weir::proxy::slots {

std::size_t waiting_room::key_hash::operator()(const slot_key& key) const noexcept {
  const std::hash<std::string_view> hash;  // subjects are hashes already: nobody can choose them alike
  return hash(key.subject.view()) ^ hash(key.rid.text());
}

std::uint64_t waiting_room::enter(const slot_key& key, std::size_t worker, std::size_t bound) {
  if (bound == 0) return 0;
  const std::scoped_lock lock(mutex_);
  std::deque<ticket>& line = lines_[key];
  if (line.size() >= bound) return 0;
  line.push_back({++last_number_, worker});
  return last_number_;
}

void waiting_room::leave(const slot_key& key, std::uint64_t number) {
  const std::scoped_lock lock(mutex_);
  const auto line = lines_.find(key);
  if (line == lines_.end()) return;
  std::deque<ticket>& waiting = line->second;
  const auto place =
      std::find_if(waiting.begin(), waiting.end(), [number](const ticket& t) { return t.number == number; });
  if (place == waiting.end()) return;
  const bool was_first = place == waiting.begin();
  waiting.erase(place);
  if (waiting.empty()) {
    lines_.erase(line);
  } else if (was_first) {
    call_(waiting.front());
  }
}

void waiting_room::freed(const slot_key& key) {
  const std::scoped_lock lock(mutex_);
  const auto line = lines_.find(key);
  if (line != lines_.end()) call_(line->second.front());
}

bool waiting_room::first(const slot_key& key, std::uint64_t number) const {
  const std::scoped_lock lock(mutex_);
  const auto line = lines_.find(key);
  return line != lines_.end() && line->second.front().number == number;
}

bool waiting_room::empty(const slot_key& key) const {
  const std::scoped_lock lock(mutex_);
  return !lines_.contains(key);
}

std::size_t waiting_room::lines() const {
  const std::scoped_lock lock(mutex_);
  return lines_.size();
}

}  // namespace weir::proxy::slots
