// SPDX-License-Identifier: Apache-2.0
// weir's own log, on stderr unless told otherwise: one line per event, text or JSON. Thread-safe; never on
// the request path above debug.
#pragma once

#include "proxy/settings.hpp"

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace weir::proxy {

struct log_field {
  std::string_view name;
  std::string value;
};

/// Sets level, format and destination for the process; called at start and on reload. Throws
/// std::system_error when a file cannot be opened, or is a FIFO that nobody reads: then the destination
/// stays.
void configure_own_log(const log_settings& settings);

/// SIGUSR1: opens the file again, under its name. When it cannot be opened the old one stays, and that is
/// logged.
void reopen_own_log();

/// Writes `ts level msg name=value ...` (text) or one JSON object. Lines of equal level and msg beyond 10 a
/// second are suppressed and counted in the next one (`suppressed=N`). Values are escaped. `message` is text
/// of the source code. Never blocks: while its destination takes nothing the line is lost and counted in the
/// next one
/// (`lost=N`).
void log_event(log_level level, std::string_view message, std::initializer_list<log_field> fields = {});

/// Says that memory ran out, if there is enough to say so.
void log_out_of_memory() noexcept;

// ---- The pure parts of it, without clock and destination ----

/// Lets 10 lines per second and (level, message) pass and counts the rest. Bounded: knows the 64 latest
/// messages.
class repeat_filter {
 public:
  static constexpr int lines_per_window = 10;
  static constexpr std::int64_t window_us = 1'000'000;
  static constexpr std::size_t max_messages = 64;

  struct outcome {
    bool pass = true;
    std::uint64_t suppressed = 0;  ///< lines held back since the last one that passed
  };
  /// `now_us` from a clock that does not go back.
  [[nodiscard]] outcome admit(log_level level, std::string_view message, std::int64_t now_us);

 private:
  struct entry {
    log_level level = log_level::debug;
    std::string message;  ///< empty = free
    std::int64_t window_start_us = 0;
    int lines = 0;
    std::uint64_t suppressed = 0;
  };
  [[nodiscard]] entry& entry_of(log_level level, std::string_view message, std::int64_t now_us);

  std::array<entry, max_messages> entries_;
};

/// Appends one line with its '\n'. Text values with spaces, quotes, `=` or special bytes are quoted as in
/// JSON.
void append_log_line(std::string& out, bool json, std::int64_t time_us, log_level level,
                     std::string_view message, std::initializer_list<log_field> fields,
                     std::uint64_t suppressed, std::uint64_t lost);

[[nodiscard]] std::string_view to_string(log_level level) noexcept;

}  // namespace weir::proxy
