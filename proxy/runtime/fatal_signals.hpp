// SPDX-License-Identifier: Apache-2.0
// The last words of a crash.
#pragma once

#include <csignal>
#include <memory>

namespace weir::proxy {

/// From now on a fatal signal (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT) first writes its name and a
/// backtrace of addresses to stderr, then ends the process as it would have, core file included. Nothing of
/// the process' memory is written: no request, no secret. `version` must live on. A handler that is there
/// already, a sanitizer's, stays.
void report_fatal_signals(const char* version);

/// What a thread blocks that handles no signals: a fault of its own must still reach the handler.
[[nodiscard]] sigset_t all_but_fatal_signals() noexcept;

/// A stack for the handler on this thread, while it lives: a thread that overflowed its own has no other.
class signal_stack {
 public:
  signal_stack();
  ~signal_stack();
  signal_stack(const signal_stack&) = delete;
  signal_stack& operator=(const signal_stack&) = delete;

 private:
  std::unique_ptr<char[]> memory_;
};

}  // namespace weir::proxy
