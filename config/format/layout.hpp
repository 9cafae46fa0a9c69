// SPDX-License-Identifier: Apache-2.0
// The canonical layout of a policy file.
#pragma once

#include "config/format/syntax.hpp"

#include <string>

namespace weir::config {

inline constexpr std::size_t layout_width = 120;  ///< what is in brackets and longer goes below each other
inline constexpr std::size_t layout_indent = 2;

/// Keys in the order of the reference, `x-` keys behind `version`, names that are the user's own as they
/// were. `source` is the text that `document` was read from.
[[nodiscard]] std::string lay_out(syntax_document document, std::string_view source);

}  // namespace weir::config
