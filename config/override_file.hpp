// SPDX-License-Identifier: Apache-2.0
// `overrides_file`: overrides as a table that other programs write.
#pragma once

#include "config/draft.hpp"
#include "config/reporter.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace weir::config {

inline constexpr std::size_t override_file_max = 16 * 1024 * 1024;  ///< bytes
inline constexpr std::size_t override_lines_max = 100'000;
inline constexpr std::size_t override_reason_max = 256;  ///< bytes

/// The columns of one line of CSV (RFC 4180): parted by commas; in quotes a column may hold commas, and a
/// doubled quote is one. Nothing when a quote is not closed or does not enclose the whole column. White space
/// around columns goes.
[[nodiscard]] std::optional<std::vector<std::string>> split_csv(std::string_view line);

/// The first line names the columns, in any order: one selector, `limit` and `reason`, and maybe `burst` and
/// `until`, whose cells may be empty. Lines that are empty or begin with `#` are left out. What is wrong is
/// E0502 at `at`, with the number of the line.
[[nodiscard]] std::vector<override_draft> parse_override_file(std::string_view content, const place& at,
                                                              reporter& report);

}  // namespace weir::config
