// SPDX-License-Identifier: Apache-2.0
// Text that is known to need no escape, so that nobody looks for one again.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <string_view>

namespace weir::proxy {

/// Stands for itself in quotes of any kind.
[[nodiscard]] constexpr bool is_plain(char c) noexcept {
  return c >= ' ' && c < '\x7f' && c != '"' && c != '\\';
}

/// Borrowed printable ASCII without quotes and backslashes, short enough for a log. Whoever makes one of a
/// text that is not a literal knows a reason: a grammar that the text was checked by, or that weir wrote it
/// itself.
class plain_text {
 public:
  static constexpr std::size_t longest = 256;

  constexpr plain_text() noexcept = default;
  template <std::size_t N>
  consteval plain_text(const char (&literal)[N]) : plain_text(std::string_view(literal, N - 1)) {}
  constexpr explicit plain_text(std::string_view text) noexcept : text_(text) {
    assert(text.size() <= longest && std::all_of(text.begin(), text.end(), is_plain));
  }

  [[nodiscard]] constexpr std::string_view view() const noexcept { return text_; }
  [[nodiscard]] constexpr bool empty() const noexcept { return text_.empty(); }

 private:
  std::string_view text_;
};

}  // namespace weir::proxy
