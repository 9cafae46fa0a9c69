// SPDX-License-Identifier: Apache-2.0
// The lines of a list that the policy names: one entry a line, `#` begins a comment line.
#pragma once

#include <cstddef>
#include <string_view>

namespace weir::config {

/// Without blanks around it.
[[nodiscard]] inline std::string_view trimmed(std::string_view text) noexcept {
  const auto first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

struct file_line {
  std::string_view text;  ///< trimmed, not empty, no comment
  std::size_t number = 0;
};

/// Calls `read` for every line that holds something; stops when it answers false. False: more than
/// `lines_max` lines, comments and empty ones included.
template <class Read>
[[nodiscard]] bool for_each_line(std::string_view content, std::size_t lines_max, Read read) {
  std::size_t number = 0;
  while (!content.empty()) {
    if (++number > lines_max) return false;
    const auto end = content.find('\n');
    const std::string_view text = trimmed(content.substr(0, end));
    content = end == std::string_view::npos ? std::string_view{} : content.substr(end + 1);
    if (text.empty() || text.front() == '#') continue;
    if (!read(file_line{text, number})) return true;
  }
  return true;
}

}  // namespace weir::config
