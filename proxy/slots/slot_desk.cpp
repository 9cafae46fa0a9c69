// SPDX-License-Identifier: Apache-2.0
#include "proxy/slots/slot_desk.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace weir::proxy::slots {

void waiting_place::leave() noexcept {
  if (number_ == 0) return;
  desk_->waiting_.erase(number_);
  desk_->room_.leave(key_, number_);
  number_ = 0;
}

void lease_entry::leave() noexcept {
  if (permit_ == nullptr) return;
  permit_ = nullptr;
  auto& entries = desk_->entries_;
  entries[position_] = entries.back();
  entries[position_]->position_ = position_;
  entries.pop_back();
}

slot_desk::slot_desk(waiting_room& room, std::size_t worker, timer_wheel& timers, random_below random)
    : room_(room), worker_(worker), timers_(timers), random_(std::move(random)) {
  constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyz234567";
  for (int i = 0; i < 12; ++i) prefix_ += letters[random_(letters.size())];
  prefix_ += '-';
}

void slot_desk::append_holder(std::string& out) {
  std::array<char, 20> number;
  const auto end = std::to_chars(number.data(), number.data() + number.size(), ++holders_).ptr;
  out += prefix_;
  out.append(number.data(), end);
}

// ---- waiting

bool slot_desk::enter(waiting_place& place, const slot_key& key, std::size_t bound, slot_waiter& who) {
  place.leave();
  const std::uint64_t number = room_.enter(key, worker_, bound);
  if (number == 0) return false;
  place.desk_ = this;
  place.key_ = key;
  place.number_ = number;
  waiting_.emplace(number, &who);
  return true;
}

void slot_desk::deliver(std::uint64_t number) {
  const auto found = waiting_.find(number);
  if (found != waiting_.end()) found->second->on_slot_free();
}

std::int64_t slot_desk::poll_delay_us(std::int64_t retry_us) {
  constexpr std::int64_t longest = 50'000;
  const std::int64_t bound = retry_us > 0 ? std::min(retry_us, longest) : longest;
  return bound / 2 + static_cast<std::int64_t>(random_(static_cast<std::uint64_t>(bound / 2 + 1)));
}

// ---- leases

void slot_desk::enrol(lease_entry& entry, limiter::permit& permit, std::int64_t now_us) {
  entry.leave();
  const std::int64_t every = permit.renew_every_us();
  if (every == 0) return;
  entries_.push_back(&entry);
  entry.desk_ = this;
  entry.permit_ = &permit;
  entry.position_ = entries_.size() - 1;
  entry.due_us_ = now_us + every;
  if (!armed() || timer::deadline_us() > entry.due_us_) timers_.arm(*this, entry.due_us_);
}

void slot_desk::renew_due(std::int64_t now_us) {
  for (lease_entry* entry : entries_) {
    const std::int64_t every = entry->permit_->renew_every_us();
    if (entry->due_us_ - every / 8 > now_us) continue;  // a little early, so that neighbours go together
    entry->permit_->renew();
    entry->due_us_ = now_us + every;
  }
  arm();
}

void slot_desk::arm() {
  if (entries_.empty()) return;
  const auto earliest = std::min_element(
      entries_.begin(), entries_.end(), [](const auto* a, const auto* b) { return a->due_us_ < b->due_us_; });
  timers_.arm(*this, (*earliest)->due_us_);
}

void slot_desk::on_timer() {
  renew_due(timer::deadline_us());
}

}  // namespace weir::proxy::slots
