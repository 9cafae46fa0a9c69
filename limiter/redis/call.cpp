// SPDX-License-Identifier: Apache-2.0
#include "limiter/redis/call.hpp"

#include <algorithm>
#include <utility>

namespace weir::limiter::redis {
namespace {

std::uint64_t hash_of(const call& c) noexcept {
  std::uint64_t hash = 0xcbf29ce484222325;
  const auto mix = [&hash](std::uint64_t value) { hash = (hash ^ value) * 0x100000001b3; };
  for (const charge& one : c.charges) {
    for (const char character : one.subject.view()) mix(static_cast<unsigned char>(character));
    mix(reinterpret_cast<std::uintptr_t>(one.matched));
    mix(reinterpret_cast<std::uintptr_t>(one.special));
    mix(static_cast<std::uint64_t>(one.cost));
  }
  return hash ^ hash >> 32;
}

bool may_merge(const call& c) noexcept {
  return c.heartbeat == nullptr && c.op == operation::take && !c.asking && c.healed == 0 &&
         std::all_of(c.charges.begin(), c.charges.end(), [](const charge& one) {
           return one.holder.empty() && !one.shadow && one.matched->penalty_us == 0;
         });
}

}  // namespace

bool mergeable(const call& a, const call& b) noexcept {
  return may_merge(a) && may_merge(b) &&
         std::equal(a.charges.begin(), a.charges.end(), b.charges.begin(), b.charges.end(),
                    [](const charge& x, const charge& y) {
                      return x.matched == y.matched && x.special == y.special && x.cost == y.cost &&
                             x.subject == y.subject;
                    });
}

bool packable(const call_group& group) noexcept {
  constexpr std::size_t most_charges = 8;  // bounds what a pack holds
  if (group.members.size() != 1) return false;
  const call& only = *group.members.front();
  return only.heartbeat == nullptr && only.op == operation::take && !only.asking && only.healed == 0 &&
         !only.alone && !only.charges.empty() && only.charges.size() <= most_charges;
}

call* call_group::first() const noexcept {
  const auto found = std::find_if(members.begin(), members.end(), [](const call* c) { return c != nullptr; });
  return found == members.end() ? nullptr : *found;
}

std::optional<call::clock::time_point> call_group::deadline() const noexcept {
  std::optional<call::clock::time_point> earliest;
  for (const call* member : members) {
    if (member != nullptr && (!earliest || member->deadline < *earliest)) earliest = member->deadline;
  }
  return earliest;
}

bool call_group::withdraw(const call& gone) noexcept {
  const auto found = std::find(members.begin(), members.end(), &gone);
  if (found == members.end()) return false;
  *found = nullptr;
  return true;
}

void call_group::compact() noexcept {
  members.erase(std::remove(members.begin(), members.end(), nullptr), members.end());
}

void member_reply(const store_reply& whole, std::size_t position, std::size_t size, std::size_t admitted,
                  std::span<const charge> charges, store_reply& out) {
  out = whole;
  if (size == 1) return;
  out.admitted = 0;
  if (position >= admitted) return;
  const auto later = static_cast<std::int64_t>(admitted - position - 1);
  for (std::size_t i = 0; i < out.states.size(); ++i) {
    rule_state& state = out.states[i];
    state.allowed = true;
    state.retry_after_us = 0;
    state.remaining += later * charges[i].cost;
  }
  out.admitted = 1;
}

void call_queue::push(call& waiting) {
  ++calls_;
  if (may_merge(waiting)) {
    index_entry& place = index_[hash_of(waiting) % index_size];
    if (place.batch == batch_) {
      call_group& candidate = groups_[place.group];
      const call* const other = candidate.first();
      if (other != nullptr && candidate.members.size() < max_merged && mergeable(*other, waiting)) {
        join(candidate, waiting);
        return;
      }
    }
    place = {.batch = batch_, .group = static_cast<std::uint32_t>(groups_.size())};
  }
  groups_.emplace_back().members.push_back(&waiting);
}

void call_queue::join(call_group& group, call& waiting) {
  const bool full = group.members.size() == group.members.capacity();
  if (full && group.members.size() < usual_room) {
    call_group wide = roomy();
    wide.members.assign(group.members.begin(), group.members.end());
    group = std::move(wide);
  }
  group.members.push_back(&waiting);
}

void call_queue::push(call_group&& again) {
  again.compact();
  if (again.members.empty()) return;
  calls_ += again.members.size();
  groups_.push_back(std::move(again));
}

bool call_queue::withdraw(const call& gone) noexcept {
  for (call_group& group : groups_) {
    if (!group.withdraw(gone)) continue;
    --calls_;
    return true;
  }
  return false;
}

std::optional<call::clock::time_point> call_queue::deadline() const noexcept {
  std::optional<call::clock::time_point> earliest;
  for (const call_group& group : groups_) {
    const auto own = group.deadline();
    if (own && (!earliest || *own < *earliest)) earliest = own;
  }
  return earliest;
}

call* call_queue::take_expired(call::clock::time_point now) noexcept {
  for (call_group& group : groups_) {
    for (call*& member : group.members) {
      if (member == nullptr || member->deadline > now) continue;
      --calls_;
      return std::exchange(member, nullptr);
    }
  }
  return nullptr;
}

call* call_queue::take_any() noexcept {
  return take_expired(call::clock::time_point::max());
}

std::span<call_group> call_queue::take_all() {
  leaving_.clear();
  leaving_.swap(groups_);
  calls_ = 0;
  ++batch_;
  for (call_group& group : leaving_) group.compact();
  return leaving_;
}

call_group call_queue::roomy() {
  call_group group;
  if (!spares_.empty()) {
    group = std::move(spares_.back());
    spares_.pop_back();
  }
  group.members.reserve(usual_room);
  return group;
}

void call_queue::recycle(call_group&& done) noexcept {
  done.members.clear();
  if (done.members.capacity() >= usual_room && spares_.size() < most_spares)
    spares_.push_back(std::move(done));
}

}  // namespace weir::limiter::redis
