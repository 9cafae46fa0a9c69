// SPDX-License-Identifier: Apache-2.0
// What the verbs that serve share.
#pragma once

#include "config/load.hpp"
#include "proxy/runtime/server.hpp"

namespace weir::cli {

/// All problems to stderr, as events when the own log is JSON.
void report_problems(const config::load_result& loaded);

/// Serves until a signal ends it; returns the exit code. `load_again` answers every reload. Keeps nothing of
/// `loaded`: the first configuration is freed like any other.
[[nodiscard]] int serve_policy(config::load_result loaded, const proxy::reload_function& load_again);

}  // namespace weir::cli
