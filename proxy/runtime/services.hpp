// SPDX-License-Identifier: Apache-2.0
// What a worker lends to its sessions and upstreams. Everything here outlives them and lives on one thread.
#pragma once

#include "proxy/runtime/buffer_pool.hpp"
#include "proxy/runtime/clock.hpp"
#include "proxy/runtime/random.hpp"
#include "proxy/runtime/readiness_set.hpp"
#include "proxy/runtime/timer_wheel.hpp"
#include "proxy/runtime/turn_queue.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace weir::limiter {
class rate_limiter;
}

namespace weir::proxy::slots {
class slot_desk;
}

namespace weir::proxy {

class log_ring;
class metric_shard;
struct compiled_config;
struct socket_address;

/// An object that may end while its own member functions are on the stack: it is handed to the graveyard and
/// destroyed after the current batch of events.
class mortal {
 public:
  virtual ~mortal() = default;

 private:
  friend class graveyard;
  std::unique_ptr<mortal> next_;  // in the graveyard
};

class graveyard {
 public:
  graveyard() = default;
  ~graveyard() { clear(); }
  graveyard(const graveyard&) = delete;
  graveyard& operator=(const graveyard&) = delete;
  /// Allocates nothing: an end must always be possible.
  void bury(std::unique_ptr<mortal> body) noexcept {
    body->next_ = std::move(last_);
    last_ = std::move(body);
  }
  void clear() noexcept {
    while (last_ != nullptr) {
      const std::unique_ptr<mortal> body = std::move(last_);
      last_ = std::move(body->next_);
    }
  }

 private:
  std::unique_ptr<mortal> last_;
};

/// What a turn of the loop has time for besides the sockets that have something to say, so that no crowd
/// holds up the requests of others.
struct turn_queues {
  turn_queue next;  ///< long transfers between their windows, connections to accept: all of them, every turn
  /// Clients that come in small pieces, are late or leave. A drip costs 3 us, a 408 or a close up to 25 us.
  turn_queue patient{8};
  turn_queue handshakes{4};  ///< steps; one costs as much as ten requests or more
  [[nodiscard]] bool empty() const noexcept { return next.empty() && patient.empty() && handshakes.empty(); }
};

struct services {
  readiness_set& sockets;
  timer_wheel& timers;
  buffer_pool& buffers;
  graveyard& dead;
  turn_queues& turns;
  random_source& random;
  limiter::rate_limiter* limiter = nullptr;
  metric_shard& metrics;
  log_ring* access_log = nullptr;                 ///< null: access_log.to is none
  std::shared_ptr<const compiled_config> config;  ///< swapped by a reload; requests in flight keep theirs
  /// Runs the end-of-turn work (timers, destruction, yielded sessions) soon; for callbacks outside a socket
  /// batch.
  std::function<void()> settle_soon;
  bool leaving = false;          ///< the process will end: every response says Connection: close
  bool draining = false;         ///< the listeners are closed: idle connections close, too
  std::int64_t now_us = 0;       ///< steady clock, read once per loop turn
  std::int64_t date_second = 0;  ///< Unix second of `date`
  std::string date;              ///< IMF-fixdate, refreshed once a second
  slots::slot_desk* slots = nullptr;
  /// A named endpoint could not be reached: its name is looked up again soon. Empty: nobody looks names up.
  std::function<void(const socket_address&)> unreachable{};
  std::int64_t wall_ahead_us = 0;  ///< Unix time minus steady clock, when a turn last began

  /// Unix time of a moment that is now.
  [[nodiscard]] std::int64_t wall_us(std::int64_t steady_us) const noexcept {
    return steady_us + wall_ahead_us;
  }
};

}  // namespace weir::proxy
