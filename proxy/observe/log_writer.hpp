// SPDX-License-Identifier: Apache-2.0
// The thread that moves access-log lines from the workers' rings to their destination, in batches, off the
// hot path.
#pragma once

#include "proxy/observe/log_ring.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace weir::proxy {

/// Owns the destination (stdout, stderr, a file, or none). A blocked destination blocks only this thread.
/// After a time of drops it writes one marker line `{"ts":...,"msg":"access log lines dropped","dropped":N}`.
class log_writer {
 public:
  /// `to` as access_log.to. Throws std::system_error when a file cannot be opened.
  log_writer(const std::string& to, std::vector<log_ring*> rings);
  ~log_writer();  ///< stop() with 0 ms if it was not called

  /// SIGUSR1: reopens a file destination. Any thread.
  void reopen() noexcept;

  /// Flushes what the rings hold for at most `patience`, then joins the thread, also when the destination is
  /// stuck. Lines that could not be written are added to dropped().
  void stop(std::chrono::milliseconds patience);

  /// Lines lost in all rings, plus lines lost by write errors or at stop(). Any thread.
  [[nodiscard]] std::uint64_t dropped() const noexcept;

 private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace weir::proxy
