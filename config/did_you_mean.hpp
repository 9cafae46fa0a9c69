// SPDX-License-Identifier: Apache-2.0
// The nearest of some known words, for unknown keys, values, verbs and options.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace weir::config {

/// Levenshtein distance of two words, or `limit + 1` when it is greater than `limit`. Words longer than 64
/// bytes are never near anything.
[[nodiscard]] std::size_t edit_distance(std::string_view a, std::string_view b, std::size_t limit);

/// The candidate nearest to `word`, at most two edits away and fewer than the word is long; empty when there
/// is none.
[[nodiscard]] std::string_view did_you_mean(std::string_view word,
                                            std::span<const std::string_view> candidates);

/// "did you mean `x`?" or nothing.
[[nodiscard]] std::string did_you_mean_hint(std::string_view word,
                                            std::span<const std::string_view> candidates);

}  // namespace weir::config
