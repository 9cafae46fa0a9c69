// SPDX-License-Identifier: Apache-2.0
// What a rule's costs must be beside each other and beside its capacity.
#pragma once

#include "config/draft.hpp"
#include "config/reporter.hpp"

namespace weir::config {

/// Fills cost_from, count and response_cost of the rule in. `has_quota`: its capacity is known.
void complete_cost_sources(rule_draft& d, bool has_quota, reporter& report);

}  // namespace weir::config
