// SPDX-License-Identifier: Apache-2.0
// Rows of a rule that say what a request costs beside the plain number.
#pragma once

#include "config/draft.hpp"
#include "config/table.hpp"

namespace weir::config {

[[nodiscard]] std::vector<key_row<rule_draft>> rule_cost_rows();  // cost_from count response_cost

}  // namespace weir::config
