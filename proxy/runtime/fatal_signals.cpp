// SPDX-License-Identifier: Apache-2.0
#include "proxy/runtime/fatal_signals.hpp"

#include <array>
#include <cstring>
#include <execinfo.h>
#include <unistd.h>

namespace weir::proxy {

namespace {

constexpr int max_frames = 48;
constexpr std::size_t stack_size = 64 * 1024;
constexpr std::array<int, 5> fatal{SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};

const char* running_version = "";

// Below only what signal-safety(7) allows, and backtrace(), which allocates in its first call alone.

void say(const char* text) noexcept {
  [[maybe_unused]] const ssize_t n = ::write(STDERR_FILENO, text, std::strlen(text));
}

const char* name_of(int signal) noexcept {
  switch (signal) {
    case SIGSEGV:
      return "SIGSEGV";
    case SIGBUS:
      return "SIGBUS";
    case SIGFPE:
      return "SIGFPE";
    case SIGILL:
      return "SIGILL";
    default:
      return "SIGABRT";
  }
}

void last_words(int signal) {
  say("weir ");
  say(running_version);
  say(" ends by ");
  say(name_of(signal));
  say("; addresses for addr2line:\n");
  std::array<void*, max_frames> frames;
  const int depth = ::backtrace(frames.data(), max_frames);
  ::backtrace_symbols_fd(frames.data(), depth, STDERR_FILENO);
  // SA_RESETHAND restored the default action: on return the fault happens again, or this delivers it
  ::raise(signal);
}

bool is_default(int signal) noexcept {
  struct sigaction now {};
  return ::sigaction(signal, nullptr, &now) == 0 && (now.sa_flags & SA_SIGINFO) == 0 &&
         now.sa_handler == SIG_DFL;
}

}  // namespace

void report_fatal_signals(const char* version) {
  running_version = version;
  std::array<void*, 1> frame;
  (void)::backtrace(frame.data(), 1);  // loads what it needs now
  struct sigaction action {};
  action.sa_handler = last_words;
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_ONSTACK);
  ::sigemptyset(&action.sa_mask);
  for (const int signal : fatal) {
    if (is_default(signal)) ::sigaction(signal, &action, nullptr);
  }
}

sigset_t all_but_fatal_signals() noexcept {
  sigset_t set;
  ::sigfillset(&set);
  for (const int signal : fatal) ::sigdelset(&set, signal);
  return set;
}

signal_stack::signal_stack() {
  stack_t present{};
  if (::sigaltstack(nullptr, &present) != 0 || (present.ss_flags & SS_DISABLE) == 0) return;  // a sanitizer's
  memory_.reset(new char[stack_size]);
  stack_t own{};
  own.ss_sp = memory_.get();
  own.ss_size = stack_size;
  ::sigaltstack(&own, nullptr);
}

signal_stack::~signal_stack() {
  if (!memory_) return;
  stack_t none{};
  none.ss_flags = SS_DISABLE;
  ::sigaltstack(&none, nullptr);
}

}  // namespace weir::proxy
