// SPDX-License-Identifier: Apache-2.0
// The books of a connection pool: who is idle, who is lent, who waits, and whether one more may be opened.
// Pure: no sockets, `now` is monotonic microseconds. `endpoint` does what the books say.
//
// Up to `size` connections are kept idle; `overflow` more may be open under load, and what comes back when
// `size` are idle is closed: under a steady load none is, since each is taken again. Beyond both, requests
// wait in a FIFO line of at most `max_pending`. Reuse is LIFO. Everything is O(1) but expired() and removing
// an idle connection, which walk at most `size` idle ones. Nothing allocates after the start.
#pragma once

#include "proxy/settings.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace weir::proxy {

/// Why a connection was closed.
enum class close_reason : std::uint8_t {
  idle,            ///< its idle time was over
  recycled,        ///< its age or its requests were
  overflow,        ///< `size` were idle when it came back
  address_gone,    ///< its name points elsewhere now
  peer,            ///< the upstream closed it, or sent what nobody had asked for
  not_reusable,    ///< an attempt did not end in a state that allows reuse
  connect_failed,  ///< it was never open
  cancelled,       ///< the request left before it was open
  shutdown,        ///< the pool is no longer configured
};
inline constexpr std::size_t close_reason_count = 9;
inline constexpr std::array<std::string_view, close_reason_count> upstream_close_names{
    "idle",         "recycled",       "overflow",  "address_gone", "peer",
    "not_reusable", "connect_failed", "cancelled", "shutdown"};

/// Base of a pooled connection.
class pool_member {
 public:
  enum class state : std::uint8_t { connecting, idle, lent };
  [[nodiscard]] state pool_place() const noexcept { return state_; }
  /// It served a request before the one it serves now.
  [[nodiscard]] bool reused() const noexcept { return requests_ > 1; }

 private:
  friend class pool_state;
  state state_ = state::connecting;
  bool retired_ = false;
  std::uint32_t requests_ = 0;
  std::int64_t expires_us_ = 0;     // recycle
  std::int64_t returned_us_ = 0;    // when it became idle
  std::int64_t idle_until_us_ = 0;  // when it must leave
};

/// Base of a request that may wait for a connection; out of the line when it is destroyed by contract.
class pool_waiter {
 public:
  [[nodiscard]] bool in_line() const noexcept { return in_line_; }

 private:
  friend class pool_state;
  pool_waiter* next_ = nullptr;
  pool_waiter* previous_ = nullptr;
  bool in_line_ = false;
};

class pool_state {
 public:
  static constexpr std::uint32_t max_requests_per_connection = 10'000;

  explicit pool_state(const pool_settings& settings) : settings_(settings) { idle_.reserve(settings.size); }

  // ---- taking ----

  /// The connection that was returned last; null: none is idle.
  [[nodiscard]] pool_member* newest_idle() const noexcept { return idle_.empty() ? nullptr : idle_.back(); }
  /// Why an idle connection must not be lent any more, or nothing. `repeatable`: the request may be sent
  /// again if the connection turns out to be dead; others also keep away from the time at which this upstream
  /// has been seen to close idle connections.
  [[nodiscard]] std::optional<close_reason> unfit(const pool_member& m, bool repeatable,
                                                  std::int64_t now_us) const noexcept;
  [[nodiscard]] bool may_open() const noexcept {
    return open() < std::size_t{settings_.size} + settings_.overflow;
  }
  /// False: max_pending wait already.
  [[nodiscard]] bool enqueue(pool_waiter& w) noexcept;
  void leave(pool_waiter& w) noexcept;  ///< does nothing for one that is not in the line
  /// The first of the line, who leaves it; null: nobody waits.
  [[nodiscard]] pool_waiter* next_waiter() noexcept;

  // ---- the life of a connection ----

  /// A connect has begun. `spread` 0 ... 200 shifts its greatest age by -10 ... +10 %, so that connections
  /// opened together do not close together.
  void opened(pool_member& m, std::int64_t now_us, std::uint32_t spread) noexcept;
  void lend(pool_member& m) noexcept;  ///< from connecting, idle, or another holder
  /// Why a returned connection must be closed, or nothing: then next_waiter() gets it, or park().
  [[nodiscard]] std::optional<close_reason> outworn(const pool_member& m, std::int64_t now_us) const noexcept;
  /// False: `size` are idle, close it. `keep_alive_us`: what the upstream promised, -1 = nothing.
  [[nodiscard]] bool park(pool_member& m, std::int64_t keep_alive_us, std::int64_t now_us);
  void removed(pool_member& m) noexcept;                       ///< it is being closed, from any state
  void retire(pool_member& m) noexcept { m.retired_ = true; }  ///< closed on return

  /// The upstream closed this idle connection by itself.
  void peer_closed(const pool_member& m, std::int64_t now_us) noexcept;

  /// An idle connection whose time is over, or null.
  [[nodiscard]] pool_member* expired(std::int64_t now_us) const noexcept;
  /// When expired() may next find one; -1: none is idle.
  [[nodiscard]] std::int64_t next_expiry_us() const noexcept;

  [[nodiscard]] std::size_t open() const noexcept { return idle_.size() + connecting_ + lent_; }
  [[nodiscard]] std::size_t idle() const noexcept { return idle_.size(); }
  [[nodiscard]] std::size_t busy() const noexcept { return connecting_ + lent_; }
  [[nodiscard]] std::size_t lent() const noexcept { return lent_; }
  [[nodiscard]] std::size_t waiting() const noexcept { return waiting_; }

 private:
  void unlink(pool_waiter& w) noexcept;

  /// A close that was seen counts for so long.
  static constexpr std::int64_t peer_memory_us = 60'000'000;

  pool_settings settings_;
  std::vector<pool_member*> idle_;  // newest last
  pool_waiter* first_ = nullptr;
  pool_waiter* last_ = nullptr;
  std::size_t waiting_ = 0, connecting_ = 0, lent_ = 0;
  std::int64_t peer_patience_us_ = 0;  // the shortest idle time after which the upstream closed
  std::int64_t peer_seen_us_ = 0;      // when; 0 = never
};

}  // namespace weir::proxy
