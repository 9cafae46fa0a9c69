// SPDX-License-Identifier: Apache-2.0
// What `weir help CODE` says beyond the code's one line: the reason, and a mistake beside its remedy.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace weir::config {

struct code_page {
  std::string_view code;
  std::string_view reason;   ///< why this is refused, or what the advice is about
  std::string_view mistake;  ///< an excerpt of a policy file that provokes the code; may be empty
  std::string_view remedy;   ///< the excerpt written so that it does not
};

/// One for every code, sorted by it.
[[nodiscard]] std::span<const code_page> all_code_pages() noexcept;

/// The page of a code as plain text; empty when there is no such code.
[[nodiscard]] std::string code_help(std::string_view code);

/// The excerpt as a whole file: what it lacks of the smallest file stands before it.
[[nodiscard]] std::string as_whole_file(std::string_view excerpt);

}  // namespace weir::config
