// SPDX-License-Identifier: Apache-2.0
// A concurrency limit as the limiter sees it: a rule whose units are slots.
#pragma once

#include "config/draft.hpp"
#include "config/reporter.hpp"

namespace weir::config {

/// Fills `missing`, the quota and the rest of draft.value in. `settings` has store and identity complete.
void complete_concurrency(concurrency_draft& draft, const proxy::settings& settings, reporter& report);

}  // namespace weir::config
