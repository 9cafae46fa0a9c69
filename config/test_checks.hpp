// SPDX-License-Identifier: Apache-2.0
// `tests`: their names, and the rules they speak about.
#pragma once

#include "config/draft.hpp"
#include "config/reporter.hpp"

#include <vector>

namespace weir::config {

/// Runs on the draft as it was read.
[[nodiscard]] std::vector<proxy::offline::policy_test> complete_tests(const file_draft& draft,
                                                                      reporter& report);

}  // namespace weir::config
