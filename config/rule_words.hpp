// SPDX-License-Identifier: Apache-2.0
// A rule in words, with the most it lets through.
#pragma once

#include "limiter/rule.hpp"

#include <string>
#include <vector>

namespace weir::config {

/// The most units in any window as long as the period: B + L − 1 for a token bucket, 2L for a fixed window
/// (of a calendar: around the edge of two), 2L − 1 for a sliding counter, L for a log and for slots.
[[nodiscard]] std::int64_t worst_case_per_period(const limiter::quota& q) noexcept;

/// "token bucket: 100 at once, then 1 every 600ms; at most 199 in any 60s"
[[nodiscard]] std::string quota_in_words(const limiter::quota& q);

/// One line per rule, names padded to one width: "rule per-ip  token bucket: ...".
[[nodiscard]] std::vector<std::string> rules_in_words(const std::vector<limiter::rule>& rules);

}  // namespace weir::config
