// SPDX-License-Identifier: Apache-2.0
// What `weir test` found, for people.
#pragma once

#include "proxy/offline/policy_test.hpp"

#include <cstddef>
#include <string>

namespace weir::cli {

/// A line for a test that passed; for another what was expected, what came, and the first wrong request.
[[nodiscard]] std::string test_report(const std::string& file, const proxy::offline::policy_test& test,
                                      const proxy::offline::test_result& result, bool color);

/// `weir.yaml: 3 tests, 1 failed`
[[nodiscard]] std::string test_summary(const std::string& file, std::size_t tests, int failed);

}  // namespace weir::cli
