// SPDX-License-Identifier: Apache-2.0
// What a rule allows: its limit, its tiers and its overrides, beside its algorithm and its costs.
#pragma once

#include "config/draft.hpp"
#include "config/reporter.hpp"

namespace weir::config {

/// Fills the rule's own quota in. False when it has no usable one; why is reported.
[[nodiscard]] bool complete_quota(rule_draft& d, reporter& report);

/// Fills tiers and overrides in; call behind complete_quota() and after the costs are known. `settings` has
/// identity complete. `now_us`, since the epoch, tells which overrides have ended.
void complete_special_quotas(rule_draft& d, const proxy::settings& settings, std::int64_t now_us,
                             reporter& report);

/// Fills the tiers of a concurrency limit in.
void complete_slot_tiers(concurrency_draft& d, const proxy::settings& settings, reporter& report);

}  // namespace weir::config
