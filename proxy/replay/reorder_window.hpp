// SPDX-License-Identifier: Apache-2.0
// Logs are written in the order in which requests end; they are replayed in the order in which they came.
#pragma once

#include "proxy/replay/logged_request.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace weir::replay {

/// Requests held back at once: as many lines later may a request still be put in its place.
inline constexpr std::size_t reorder_lines = 16384;

/// A line and what it says. The views of `request` point into `text`.
struct held_line {
  std::string text;
  logged_request request;
  std::uint64_t number = 0;  ///< in the log, from 1
  std::int64_t arrival_us = 0;
};

/// Hands out the earliest of at most `size` held lines; of equal ones the first in the log. Allocates only
/// until its lines have grown.
class reorder_window {
 public:
  explicit reorder_window(std::size_t size = reorder_lines);

  /// A line to fill. Not for a full window.
  [[nodiscard]] held_line& spare();
  /// Takes the filled spare line in. One that comes before a line already handed out is moved to that one's
  /// time.
  void hold();

  [[nodiscard]] bool full() const noexcept { return queue_.size() == size_; }
  [[nodiscard]] bool empty() const noexcept { return queue_.empty(); }
  /// The earliest; valid until the next call. Not for an empty window.
  [[nodiscard]] const held_line& next();

  /// Lines that came too late to be put in their place.
  [[nodiscard]] std::uint64_t late() const noexcept { return late_; }

 private:
  struct place {
    std::int64_t arrival_us;
    std::uint64_t number;
    held_line* line;
  };
  std::size_t size_;
  std::vector<std::unique_ptr<held_line>> lines_;  // all there are
  std::vector<held_line*> spare_;
  std::vector<place> queue_;  // a heap, the earliest in front
  held_line* lent_ = nullptr;
  std::int64_t handed_out_us_ = 0;
  std::uint64_t late_ = 0;

  static bool later(const place& a, const place& b) noexcept;
};

}  // namespace weir::replay
