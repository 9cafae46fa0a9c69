// SPDX-License-Identifier: Apache-2.0
// What a replay found, as text for people and as JSON for machines.
#pragma once

#include "proxy/replay/log_replay.hpp"

#include <string>

namespace weir::replay {

struct report_options {
  std::string log;  ///< names as given
  std::string policy;
  std::string against;   ///< empty: none
  bool unicode = false;  ///< bars of block elements; else of characters
};

/// Sections: the log, the rules, when, which keys, what differs, limits to paste, what was not replayed.
[[nodiscard]] std::string text_report(const log_replay& replay, const report_options& options);

/// One object with the same content.
[[nodiscard]] std::string json_report(const log_replay& replay, const report_options& options);

/// `{"line":7,"time":…,"decision":"deny","rule":"per-ip","retry_after_ms":600}` and a line feed. `time` and
/// the rules that would deny (`over`) included.
void append_decision(std::string& out, const held_line& line, const judgement& j, const replayer& by);

/// `100/minute`, `5/15m`, `1000/month`.
[[nodiscard]] std::string rate_text(std::int64_t limit, const limiter::quota& quota);

/// False: no key can show in this log what it asks for in a window.
[[nodiscard]] bool covers_a_window(const log_replay& replay, const limiter::rule& rule) noexcept;

}  // namespace weir::replay
