// SPDX-License-Identifier: Apache-2.0
// What one worker's store counts. Written by that worker, read by any thread (relaxed).
#pragma once

#include "limiter/errc.hpp"

#include <array>
#include <atomic>
#include <cstdint>

namespace weir::limiter {

struct redis_counters {
  using counter = std::atomic<std::uint64_t>;
  using gauge = std::atomic<std::int64_t>;

  counter commands{0};                       ///< decisions sent, merged or packed ones once
  counter packed{0};                         ///< decisions that shared a command with different ones
  counter batches{0};                        ///< writes they left in
  counter merged{0};                         ///< decisions that left in another's command
  counter connects{0};                       ///< successful (re)connects
  std::array<counter, errc_count> errors{};  ///< answers by errc
  counter redirects{0};                      ///< MOVED and ASK followed
  counter retries{0};                        ///< sent again after TRYAGAIN, CLUSTERDOWN or LOADING
  counter refunds{0};           ///< charges given back because another part of the request denied
  counter topology_changes{0};  ///< new masters, new maps of slots
  counter breaker_opened{0};

  // Connections.
  gauge idle{0}, busy{0};  ///< connections without and with commands in flight
  gauge waiting{0};        ///< decisions that have not left yet
  counter created{0};      ///< connections dialled
  counter leaked{0};       ///< calls held a second beyond their deadline or longer
  enum close_reason : std::uint8_t {
    lost,
    timed_out,
    recycled,
    replaced,
    refused,
    shut_down,
    close_reason_count
  };
  std::array<counter, close_reason_count> closed{};
};

/// One writer: no locked instruction.
inline void add(std::atomic<std::uint64_t>& counter, std::uint64_t n = 1) noexcept {
  counter.store(counter.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
}
inline void add(std::atomic<std::int64_t>& gauge, std::int64_t n) noexcept {
  gauge.store(gauge.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
}

}  // namespace weir::limiter
