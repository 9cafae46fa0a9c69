// SPDX-License-Identifier: Apache-2.0
// Clients that keep their connections: each asks as soon as it has its answer (closed loop), or requests are
// due at fixed times whether or not earlier ones were answered (open loop).
#pragma once

#include "tests/bench/load/loop.hpp"

#include <deque>

namespace weir::bench {

struct load {
  std::uint16_t port = 0;
  std::size_t connections = 1;
  double rate = 0;             ///< requests per second; 0 = closed loop
  std::size_t users = 10'000;  ///< asked for in turn by X-User-Id
  std::size_t first = 0;       ///< the user that begins
  std::size_t body = 0;        ///< bytes of a POST; 0 = GET
};

/// What was answered since clear().
struct tally {
  std::uint64_t ok = 0, limited = 0, other = 0,
                lost = 0;  ///< 2xx, 429, any other status, connections that closed
  std::vector<float>
      latencies_us;  ///< open loop: from the time a request was due, not from when it could be sent

  [[nodiscard]] std::uint64_t answered() const noexcept { return ok + limited + other; }
  void clear();
};

class client;

class clients {
 public:
  /// Connects; nothing is asked yet.
  clients(loop& where, const load& what);
  ~clients();

  void start();
  /// Sends what is due; returns how long nothing will be.
  nanoseconds advance(nanoseconds now);
  /// Nothing is asked any more.
  void stop() noexcept { asking_ = false; }
  tally& result() noexcept { return tally_; }

 private:
  friend class client;
  void answered(client& by, int status);
  void lost(client& by);
  void ask(client& by, nanoseconds due);
  client& open();

  loop& where_;
  load load_;
  tally tally_;
  std::vector<client*> all_;
  std::deque<client*> idle_;
  bool asking_ = false;
  std::uint64_t asked_ = 0;
  nanoseconds started_ = 0;
  std::string prefix_, suffix_, request_;
};

}  // namespace weir::bench
