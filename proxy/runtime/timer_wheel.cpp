// SPDX-License-Identifier: Apache-2.0
#include "proxy/runtime/timer_wheel.hpp"

#include <algorithm>
#include <bit>
#include <limits>

namespace weir::proxy {
namespace {

constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();

std::int64_t tick_at_or_after(std::int64_t us) noexcept {
  return us / timer_wheel::tick_us + (us % timer_wheel::tick_us > 0 ? 1 : 0);
}

/// How many slots after `start`, going round, the first occupied one comes; -1 when none is.
template <std::size_t Words>
int distance_to_occupied(const std::array<std::uint64_t, Words>& words, std::int64_t start) noexcept {
  const auto first = static_cast<std::size_t>(start) % (Words * 64);
  const std::size_t word = first / 64;
  const int bit = static_cast<int>(first % 64);
  // the word of `start` is looked at twice: first its upper bits, after the round its lower ones
  for (std::size_t i = 0; i <= Words; ++i) {
    std::uint64_t bits = words[(word + i) % Words];
    if (i == 0) bits &= ~std::uint64_t{0} << bit;
    if (i == Words) bits &= ~(~std::uint64_t{0} << bit);
    if (bits != 0) return static_cast<int>(i) * 64 + std::countr_zero(bits) - bit;
  }
  return -1;
}

}  // namespace

timer::~timer() {
  if (armed()) wheel_->disarm(*this);
}

timer_wheel::timer_wheel(std::int64_t now_us) noexcept : tick_(now_us / tick_us), horizon_(tick_) {}

timer_wheel::~timer_wheel() {
  const auto release = [this](node_list& list) {
    while (list.first != nullptr) unlink(*list.first);
  };
  std::for_each(near_.begin(), near_.end(), release);
  std::for_each(far_.begin(), far_.end(), release);
  release(beyond_);
}

timer_wheel::node_list& timer_wheel::list_of(const timer& t) noexcept {
  if (t.level_ == near_level) return near_[static_cast<std::size_t>(t.slot_time_ % slots)];
  if (t.level_ == far_level) return far_[static_cast<std::size_t>(t.slot_time_ / slots % slots)];
  return beyond_;
}

void timer_wheel::mark(const timer& t, bool occupied) noexcept {
  if (t.level_ == beyond_level) return;
  const std::int64_t slot = (t.level_ == near_level ? t.slot_time_ : t.slot_time_ / slots) % slots;
  std::uint64_t& word =
      (t.level_ == near_level ? near_occupied_ : far_occupied_)[static_cast<std::size_t>(slot / 64)];
  const std::uint64_t bit = std::uint64_t{1} << (slot % 64);
  word = occupied ? word | bit : word & ~bit;
}

/// `tick` > tick_.
void timer_wheel::file(timer& t, std::int64_t tick) noexcept {
  const std::int64_t block = tick / slots;
  const std::int64_t blocks_ahead = block - (tick_ + 1) / slots;
  t.slot_time_ = tick;
  // 256 consecutive ticks after tick_ have 256 different slots, and so have the blocks
  t.level_ = tick - tick_ <= slots ? near_level : blocks_ahead < slots ? far_level : beyond_level;
  if (t.level_ == beyond_level)
    beyond_block_ = beyond_.first == nullptr ? block : std::min(beyond_block_, block);

  node_list& list = list_of(t);
  if (list.first == nullptr) {
    t.next_ = t.previous_ = list.first = &t;
  } else {
    t.next_ = list.first;
    t.previous_ = list.first->previous_;
    t.previous_->next_ = t.next_->previous_ = &t;
  }
  t.wheel_ = this;
  mark(t, true);
  ++size_;
}

void timer_wheel::unlink(timer& t) noexcept {
  node_list& list = list_of(t);
  if (t.next_ == &t) {
    list.first = nullptr;
    mark(t, false);
  } else {
    t.previous_->next_ = t.next_;
    t.next_->previous_ = t.previous_;
    if (list.first == &t) list.first = t.next_;
  }
  t.next_ = t.previous_ = nullptr;
  --size_;
}

void timer_wheel::arm(timer& t, std::int64_t deadline_us) noexcept {
  const std::int64_t tick = std::max(tick_at_or_after(deadline_us), horizon_ + 1);
  t.deadline_us_ = deadline_us;
  if (t.armed()) {
    if (t.slot_time_ <= tick) return;  // its slot comes up first and looks at the deadline
    unlink(t);
  }
  file(t, tick);
}

void timer_wheel::disarm(timer& t) noexcept {
  if (t.armed()) unlink(t);
}

/// The next tick at which there is something to fire or to file nearer; `never` when no timer is armed.
std::int64_t timer_wheel::next_tick() const noexcept {
  std::int64_t next = never;
  const std::int64_t first = tick_ + 1;
  if (const int d = distance_to_occupied(near_occupied_, first); d >= 0) next = first + d;
  if (const int d = distance_to_occupied(far_occupied_, first / slots); d >= 0) {
    next = std::min(next, (first / slots + d) * slots);
  }
  if (beyond_.first != nullptr) next = std::min(next, beyond_block_ * slots);
  return next;
}

std::int64_t timer_wheel::next_wake_us() const noexcept {
  const std::int64_t tick = next_tick();
  return tick == never ? -1 : tick * tick_us;
}

/// Files every timer of `list` by its present deadline.
void timer_wheel::refile(node_list& list) noexcept {
  timer* pending = list.first;
  if (pending == nullptr) return;
  pending->previous_->next_ = nullptr;  // a plain chain now
  mark(*pending, false);
  list.first = nullptr;
  while (pending != nullptr) {
    timer& t = *pending;
    pending = t.next_;
    --size_;
    file(t, std::max(tick_at_or_after(t.deadline_us_), t.slot_time_));
  }
}

/// Everything filed under `tick`, the next one in time. A callback may change any list: always take the
/// first.
void timer_wheel::fire(std::int64_t tick) {
  tick_ = tick - 1;  // so that what is due now is filed under `tick`
  if (beyond_.first != nullptr && beyond_block_ * slots <= tick) refile(beyond_);
  if (tick % slots == 0) refile(far_[static_cast<std::size_t>(tick / slots % slots)]);
  node_list& due = near_[static_cast<std::size_t>(tick % slots)];
  while (due.first != nullptr) {
    timer& t = *due.first;
    unlink(t);
    const std::int64_t deadline_tick = tick_at_or_after(t.deadline_us_);
    if (deadline_tick > tick) {
      file(t, deadline_tick);  // pushed back since
    } else {
      t.on_timer();
    }
  }
  tick_ = tick;
}

void timer_wheel::advance(std::int64_t now_us) {
  horizon_ = std::max(horizon_, now_us / tick_us);
  for (std::int64_t tick = next_tick(); tick <= horizon_; tick = next_tick()) fire(tick);
  tick_ = horizon_;
}

}  // namespace weir::proxy
