// SPDX-License-Identifier: Apache-2.0
#include "proxy/observe/own_log.hpp"

#include "proxy/observe/json_writer.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <climits>
#include <fcntl.h>
#include <mutex>
#include <new>
#include <poll.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace weir::proxy {
namespace {

constexpr std::size_t max_value = 1024;  // bytes of one field; a longer one is cut

struct own_log {
  std::atomic<log_level> level{log_level::info};
  std::atomic<bool> json{false};
  std::mutex mutex;  // guards the rest and keeps lines whole
  repeat_filter filter;
  std::uint64_t lost = 0;
  std::string to = "stderr";
  int fd = STDERR_FILENO;
};

own_log& the_log() {
  static own_log log;
  return log;
}

template <class Clock>
std::int64_t now_us() {
  return std::chrono::duration_cast<std::chrono::microseconds>(Clock::now().time_since_epoch()).count();
}

/// A pipe with room takes PIPE_BUF bytes without blocking, so asking first and writing that much at a time
/// never stops the caller, and the file status flags that other processes share with us stay as they are.
bool write_without_blocking(int fd, std::string_view line) noexcept {
  while (!line.empty()) {
    pollfd out{fd, POLLOUT, 0};
    if (::poll(&out, 1, 0) != 1 || (out.revents & POLLOUT) == 0) return false;
    const ssize_t n = ::write(fd, line.data(), std::min<std::size_t>(line.size(), PIPE_BUF));
    if (n <= 0) return false;
    line.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

/// A FIFO that nobody reads is refused (ENXIO) instead of waited for.
int open_destination(const std::string& to) {
  if (to == "stderr") return STDERR_FILENO;
  if (to == "stdout") return STDOUT_FILENO;
  const int fd = ::open(to.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0640);
  if (fd < 0) throw std::system_error(errno, std::generic_category(), "log.to: cannot open " + to);
  return fd;
}

/// The log's mutex is held.
void move_log(own_log& log, int fd) noexcept {
  if (log.fd > STDERR_FILENO) ::close(log.fd);
  log.fd = fd;
}

bool is_bare(std::string_view value) noexcept {
  return !value.empty() && std::all_of(value.begin(), value.end(), [](char c) {
    return c > ' ' && c < 0x7f && c != '"' && c != '\\' && c != '=';
  });
}

void append_text_value(std::string& out, std::string_view value) {
  if (is_bare(value)) {
    out += value;
  } else {
    append_json_string(out, value);
  }
}

void append_field(std::string& out, bool json, std::string_view name, std::string_view value) {
  value = value.substr(0, max_value);
  if (json) {
    out += ",\"";
    out += name;
    out += "\":";
    append_json_string(out, value);
  } else {
    out += ' ';
    out += name;
    out += '=';
    append_text_value(out, value);
  }
}

void append_count(std::string& out, bool json, std::string_view name, std::uint64_t count) {
  if (count == 0) return;
  out += json ? ",\"" : " ";
  out += name;
  out += json ? "\":" : "=";
  out += std::to_string(count);
}

}  // namespace

std::string_view to_string(log_level level) noexcept {
  switch (level) {
    case log_level::debug:
      return "debug";
    case log_level::info:
      return "info";
    case log_level::warn:
      return "warn";
    case log_level::error:
      break;
  }
  return "error";
}

repeat_filter::entry& repeat_filter::entry_of(log_level level, std::string_view message,
                                              std::int64_t now_us) {
  entry* oldest = &entries_.front();
  for (entry& e : entries_) {
    if (e.message == message && e.level == level) return e;
    if (e.message.empty() || e.window_start_us < oldest->window_start_us) oldest = &e;
    if (e.message.empty()) break;  // entries fill up from the front
  }
  *oldest = {level, std::string(message), now_us, 0, 0};
  return *oldest;
}

repeat_filter::outcome repeat_filter::admit(log_level level, std::string_view message, std::int64_t now_us) {
  entry& e = entry_of(level, message, now_us);
  if (now_us - e.window_start_us >= window_us) {
    e.window_start_us = now_us;
    e.lines = 0;
  }
  if (e.lines == lines_per_window) {
    ++e.suppressed;
    return {false, 0};
  }
  ++e.lines;
  return {true, std::exchange(e.suppressed, 0)};
}

void append_log_line(std::string& out, bool json, std::int64_t time_us, log_level level,
                     std::string_view message, std::initializer_list<log_field> fields,
                     std::uint64_t suppressed, std::uint64_t lost) {
  if (json) {
    out += "{\"ts\":";
    append_json_time(out, time_us);
    append_field(out, json, "level", to_string(level));
    append_field(out, json, "msg", message);
  } else {
    const std::size_t at = out.size();
    append_json_time(out, time_us);
    out.pop_back();  // the time without its quotes
    out.erase(at, 1);
    out += ' ';
    out += to_string(level);
    out += ' ';
    out += message;
  }
  for (const log_field& f : fields) append_field(out, json, f.name, f.value);
  append_count(out, json, "suppressed", suppressed);
  append_count(out, json, "lost", lost);
  out += json ? "}\n" : "\n";
}

void configure_own_log(const log_settings& settings) {
  own_log& log = the_log();
  log.level.store(settings.level, std::memory_order_relaxed);
  log.json.store(settings.json, std::memory_order_relaxed);
  const std::scoped_lock lock(log.mutex);
  if (settings.to == log.to) return;
  move_log(log, open_destination(settings.to));
  log.to = settings.to;
}

void reopen_own_log() {
  std::string cause;
  {
    own_log& log = the_log();
    const std::scoped_lock lock(log.mutex);
    try {
      move_log(log, open_destination(log.to));
    } catch (const std::system_error& error) {
      cause = error.code().message();
    }
  }
  if (!cause.empty()) log_event(log_level::error, "log not reopened, the old file stays", {{"cause", cause}});
}

void log_event(log_level level, std::string_view message, std::initializer_list<log_field> fields) {
  own_log& log = the_log();
  if (level < log.level.load(std::memory_order_relaxed)) return;
  const std::scoped_lock lock(log.mutex);
  const auto [pass, suppressed] = log.filter.admit(level, message, now_us<std::chrono::steady_clock>());
  if (!pass) return;
  std::string line;
  append_log_line(line, log.json.load(std::memory_order_relaxed), now_us<std::chrono::system_clock>(), level,
                  message, fields, suppressed, log.lost);
  if (write_without_blocking(log.fd, line)) {
    log.lost = 0;
  } else {
    log.lost += 1 + suppressed;
  }
}

void log_out_of_memory() noexcept {
  try {
    log_event(log_level::error, "out of memory");
  } catch (const std::bad_alloc&) {
    return;  // then not even that
  }
}

}  // namespace weir::proxy
