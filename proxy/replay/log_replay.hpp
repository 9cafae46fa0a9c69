// SPDX-License-Identifier: Apache-2.0
// The whole of a replay: lines in, numbers out.
#pragma once

#include "proxy/replay/log_format.hpp"
#include "proxy/replay/rate_meter.hpp"
#include "proxy/replay/reorder_window.hpp"
#include "proxy/replay/replayer.hpp"
#include "proxy/replay/tally.hpp"
#include "proxy/replay/verdict_changes.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir::replay {

inline constexpr std::size_t max_named_lines = 5;  ///< bad lines that a report names

struct bad_line {
  std::uint64_t number = 0;
  std::string problem;
};

/// One policy on the log.
struct replayed_policy {
  replayed_policy(const proxy::settings& policy, const log_contents& log)
      : requests(policy, log), numbers(requests.rule_names()) {}
  replayer requests;
  tally numbers;
};

class log_replay {
 public:
  /// `against`: an older policy to compare with; null: none. `measure`: find the peak of every key, too.
  log_replay(log_format format, const proxy::settings& policy, const proxy::settings* against, bool measure);

  /// One line of the log, without its end. Of lines longer than a reader holds, what it holds.
  void add_line(std::string_view line);
  /// The log has ended.
  void finish();

  /// Called with every request, in the order of their arrival, and what the policy says. May be empty.
  std::function<void(const held_line&, const judgement&)> on_request;

  [[nodiscard]] const log_format& format() const noexcept { return format_; }
  [[nodiscard]] std::uint64_t lines() const noexcept { return lines_; }
  [[nodiscard]] std::uint64_t no_requests() const noexcept { return no_requests_; }
  [[nodiscard]] std::uint64_t bad_lines() const noexcept { return bad_lines_; }
  [[nodiscard]] const std::vector<bad_line>& first_bad_lines() const noexcept { return first_bad_; }
  [[nodiscard]] std::uint64_t late_lines() const noexcept { return window_.late(); }
  /// Coarsest of the log's times.
  [[nodiscard]] std::int64_t resolution_us() const noexcept { return resolution_us_; }

  [[nodiscard]] const replayed_policy& policy() const noexcept { return policy_; }
  [[nodiscard]] const replayed_policy* against() const noexcept { return against_ ? &*against_ : nullptr; }
  [[nodiscard]] const verdict_changes& changes() const noexcept { return changes_; }
  /// By rule; empty unless measured.
  [[nodiscard]] const std::vector<rate_meter>& meters() const noexcept { return meters_; }

 private:
  void judge_next();
  void measure(const held_line& line, const judgement& j);
  void compare(std::uint64_t line, const judgement& now, const judgement& before);

  log_format format_;
  reorder_window window_;
  replayed_policy policy_;
  std::optional<replayed_policy> against_;
  verdict_changes changes_;
  std::vector<rate_meter> meters_;
  std::vector<bad_line> first_bad_;
  std::uint64_t lines_ = 0;
  std::uint64_t no_requests_ = 0;
  std::uint64_t bad_lines_ = 0;
  std::int64_t resolution_us_ = 1;
};

}  // namespace weir::replay
