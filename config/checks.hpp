// SPDX-License-Identifier: Apache-2.0
// What only the whole file can tell: references, quotas, and what would not do what its author expects.
#pragma once

#include "config/draft.hpp"
#include "config/load.hpp"
#include "config/reporter.hpp"

namespace weir::config {

/// Checks the draft and completes it: `draft.settings` is then what the proxy gets, as far as there are no
/// errors.
void check_and_complete(file_draft& draft, const environment& env, reporter& report);

}  // namespace weir::config
