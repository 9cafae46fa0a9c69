// SPDX-License-Identifier: Apache-2.0
// A log as lines, read in large pieces.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir::cli {

inline constexpr std::size_t longest_log_line = 256 * 1024;  ///< the rest of a longer one is dropped

class log_source {
 public:
  /// `-` = standard input. On failure `problem()` is not empty and there are no lines.
  explicit log_source(const std::string& path);
  ~log_source();
  log_source(const log_source&) = delete;
  log_source& operator=(const log_source&) = delete;

  /// Why it cannot be read, at the start or later.
  [[nodiscard]] const std::string& problem() const noexcept { return problem_; }

  /// The first whole lines, as far as one piece holds them. Before the first next().
  [[nodiscard]] std::string_view beginning();
  /// The next line without its line feed, valid until the next call; nothing at the end.
  [[nodiscard]] std::optional<std::string_view> next();

  [[nodiscard]] std::uint64_t bytes_read() const noexcept { return read_; }
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }  ///< of a file; 0 = not known

 private:
  bool fill();
  void skip_rest_of_line();

  int file_ = -1;
  bool ended_ = false;
  bool in_long_line_ = false;
  std::uint64_t read_ = 0;
  std::uint64_t size_ = 0;
  std::string problem_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0;  // of what was not handed out
  std::size_t end_ = 0;
};

}  // namespace weir::cli
