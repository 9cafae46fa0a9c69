// SPDX-License-Identifier: Apache-2.0
// Colours of what verbs print.
#pragma once

#include <fmt/format.h>
#include <string>
#include <string_view>

namespace weir::cli {

/// Colours text, or leaves it as it is.
class paint {
 public:
  explicit paint(bool on) : on_(on) {}
  [[nodiscard]] std::string good(std::string_view text) const { return in("32", text); }
  [[nodiscard]] std::string bad(std::string_view text) const { return in("1;31", text); }
  [[nodiscard]] std::string strong(std::string_view text) const { return in("1", text); }
  [[nodiscard]] std::string faint(std::string_view text) const { return in("2", text); }

 private:
  [[nodiscard]] std::string in(const char* code, std::string_view text) const {
    return on_ ? fmt::format("\x1b[{}m{}\x1b[0m", code, text) : std::string{text};
  }
  bool on_;
};

}  // namespace weir::cli
