// SPDX-License-Identifier: Apache-2.0
// Collects the problems of one file, with the path of the key that is being read.
#pragma once

#include "config/problem.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace weir::config {

/// A token of the file. Line 0 = the whole file.
struct place {
  int line = 0;
  int column = 0;
  int width = 1;
};

/// Words for hints and help behind a message.
struct advice {
  std::string hint;
  std::string help;
};

class reporter {
 public:
  /// `problems` outlives the reporter. Beyond `problems_max` further problems are counted, not kept.
  reporter(std::string file, std::vector<problem>& problems) : file_(std::move(file)), problems_(problems) {}

  void error(std::string_view code, const place& at, std::string message, advice more = {});
  void warn(std::string_view code, const place& at, std::string message, advice more = {});
  void note(std::string_view code, const place& at, std::string message, advice more = {});

  /// Drops the problems placed behind `at`.
  void forget_behind(const place& at);

  [[nodiscard]] const std::string& path() const noexcept { return path_; }

  /// While it lives, `step` is appended to the path ("limits", "[2]").
  class scope {
   public:
    scope(reporter& r, std::string_view step);
    ~scope() { reporter_.path_.resize(length_); }
    scope(const scope&) = delete;
    scope& operator=(const scope&) = delete;

   private:
    reporter& reporter_;
    std::size_t length_;
  };

  static constexpr std::size_t problems_max = 200;

 private:
  void add(severity s, std::string_view code, const place& at, std::string message, advice more);
  std::string file_;
  std::string path_;
  std::vector<problem>& problems_;
  std::size_t left_out_ = 0;
};

/// Text from the file for a message: at most 64 bytes, control characters and cut characters made visible.
[[nodiscard]] std::string in_ticks(std::string_view text);

}  // namespace weir::config
