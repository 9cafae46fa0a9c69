// SPDX-License-Identifier: Apache-2.0
#include "proxy/upstream/pool_state.hpp"

#include <algorithm>

namespace weir::proxy {
namespace {

std::int64_t microseconds_of(milliseconds d) noexcept {
  return std::chrono::microseconds(d).count();
}

}  // namespace

// ---- taking ----

std::optional<close_reason> pool_state::unfit(const pool_member& m, bool repeatable,
                                              std::int64_t now_us) const noexcept {
  if (now_us > m.idle_until_us_) return close_reason::idle;
  if (!repeatable && peer_seen_us_ > 0 && now_us - peer_seen_us_ < peer_memory_us) {
    // A quarter before the upstream's time is early enough for a slow path, and late enough to be of use.
    if (now_us - m.returned_us_ > peer_patience_us_ / 4 * 3) return close_reason::idle;
  }
  return outworn(m, now_us);
}

bool pool_state::enqueue(pool_waiter& w) noexcept {
  if (waiting_ >= settings_.max_pending) return false;
  w.previous_ = last_;
  w.next_ = nullptr;
  (last_ != nullptr ? last_->next_ : first_) = &w;
  last_ = &w;
  w.in_line_ = true;
  ++waiting_;
  return true;
}

void pool_state::leave(pool_waiter& w) noexcept {
  if (w.in_line_) unlink(w);
}

pool_waiter* pool_state::next_waiter() noexcept {
  pool_waiter* w = first_;
  if (w != nullptr) unlink(*w);
  return w;
}

void pool_state::unlink(pool_waiter& w) noexcept {
  (w.previous_ != nullptr ? w.previous_->next_ : first_) = w.next_;
  (w.next_ != nullptr ? w.next_->previous_ : last_) = w.previous_;
  w.next_ = w.previous_ = nullptr;
  w.in_line_ = false;
  --waiting_;
}

// ---- the life of a connection ----

void pool_state::opened(pool_member& m, std::int64_t now_us, std::uint32_t spread) noexcept {
  const std::int64_t age = microseconds_of(settings_.recycle);
  m.state_ = pool_member::state::connecting;
  m.expires_us_ = now_us + age + age / 1000 * (std::int64_t{spread} - 100);
  ++connecting_;
}

void pool_state::lend(pool_member& m) noexcept {
  switch (m.state_) {
    case pool_member::state::connecting:
      --connecting_;
      ++lent_;
      break;
    case pool_member::state::idle:
      idle_.pop_back();  // only the newest is lent
      ++lent_;
      break;
    case pool_member::state::lent:
      break;
  }
  m.state_ = pool_member::state::lent;
  ++m.requests_;
}

std::optional<close_reason> pool_state::outworn(const pool_member& m, std::int64_t now_us) const noexcept {
  if (m.retired_) return close_reason::address_gone;
  const bool worn = m.requests_ >= max_requests_per_connection || now_us > m.expires_us_;
  if (worn) return close_reason::recycled;
  return std::nullopt;
}

bool pool_state::park(pool_member& m, std::int64_t keep_alive_us, std::int64_t now_us) {
  if (idle_.size() >= settings_.size) return false;
  std::int64_t patience = microseconds_of(settings_.idle_timeout);
  if (keep_alive_us >= 0) patience = std::min(patience, keep_alive_us);
  idle_.push_back(&m);
  --lent_;
  m.state_ = pool_member::state::idle;
  m.returned_us_ = now_us;
  m.idle_until_us_ = now_us + patience;
  return true;
}

void pool_state::removed(pool_member& m) noexcept {
  switch (m.state_) {
    case pool_member::state::connecting:
      --connecting_;
      break;
    case pool_member::state::idle:
      idle_.erase(std::find(idle_.begin(), idle_.end(), &m));
      break;
    case pool_member::state::lent:
      --lent_;
      break;
  }
}

void pool_state::peer_closed(const pool_member& m, std::int64_t now_us) noexcept {
  const std::int64_t after = now_us - m.returned_us_;
  const bool forgotten = peer_seen_us_ == 0 || now_us - peer_seen_us_ >= peer_memory_us;
  peer_patience_us_ = forgotten ? after : std::min(after, peer_patience_us_);
  peer_seen_us_ = now_us;
}

pool_member* pool_state::expired(std::int64_t now_us) const noexcept {
  const auto found = std::find_if(idle_.begin(), idle_.end(),
                                  [now_us](const pool_member* m) { return m->idle_until_us_ <= now_us; });
  return found == idle_.end() ? nullptr : *found;
}

std::int64_t pool_state::next_expiry_us() const noexcept {
  std::int64_t next = -1;
  for (const pool_member* m : idle_) next = next < 0 ? m->idle_until_us_ : std::min(next, m->idle_until_us_);
  return next;
}

}  // namespace weir::proxy
