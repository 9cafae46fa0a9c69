// SPDX-License-Identifier: Apache-2.0
// What the verbs that serve share.
#pragma once

#include "config/load.hpp"
#include "proxy/runtime/server.hpp"

namespace weir::cli {

/// All problems to stderr, as events when the own log is JSON.
void report_problems(const config::load_result& loaded);

/// Serves until a signal ends it; returns the exit code. `load_again` answers SIGHUP.
[[nodiscard]] int serve_policy(const config::load_result& loaded, const proxy::reload_function& load_again);

}  // namespace weir::cli
