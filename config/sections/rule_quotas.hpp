// SPDX-License-Identifier: Apache-2.0
// Rows of a rule that say how much is allowed, and to whom more or less.
#pragma once

#include "config/draft.hpp"
#include "config/table.hpp"

namespace weir::config {

[[nodiscard]] std::vector<key_row<rule_draft>>
rule_quota_rows();  // limit burst tiers overrides overrides_file

/// Reads `tiers: {NAME: ...}`: calls `read` for each.
void read_tiers(const node& n, context& ctx, const std::function<void(reference, const node&)>& read);

}  // namespace weir::config
