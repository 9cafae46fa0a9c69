// SPDX-License-Identifier: Apache-2.0
// Rows of a rule that say what its denials do.
#pragma once

#include "config/draft.hpp"
#include "config/table.hpp"

namespace weir::config {

[[nodiscard]] std::vector<key_row<rule_draft>> rule_mode_rows();  // mode enforce_percent penalty status

}  // namespace weir::config
