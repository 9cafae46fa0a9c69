// SPDX-License-Identifier: Apache-2.0
// How far a long job is: one line on a terminal's stderr, nothing anywhere else.
#pragma once

#include <chrono>
#include <cstdint>

namespace weir::cli {

class progress_bar {
 public:
  progress_bar();
  ~progress_bar();  ///< leaves an empty line
  progress_bar(const progress_bar&) = delete;
  progress_bar& operator=(const progress_bar&) = delete;

  /// Draws at most ten times a second. `of_bytes` 0 = nobody knows how much there is.
  void show(std::uint64_t bytes, std::uint64_t of_bytes, std::uint64_t lines);

 private:
  using clock = std::chrono::steady_clock;
  bool on_terminal_;
  bool drawn_ = false;
  clock::time_point start_ = clock::now();
  clock::time_point next_ = start_;
};

}  // namespace weir::cli
