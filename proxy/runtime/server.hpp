// SPDX-License-Identifier: Apache-2.0
// The process: workers, admin port, signals, reload, drain. The composition root; nothing else starts threads
// but the log writer it owns.
#pragma once

#include "proxy/observe/deployment.hpp"
#include "proxy/settings.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace weir::proxy {

/// Outcome of reading the policy file again.
struct reload_outcome {
  std::shared_ptr<const proxy::settings> settings;  ///< null: refused
  std::string problems;                             ///< rendered, when refused
  std::vector<source_file> files;                   ///< that were read, as far as the policy was understood
};

/// Reads the policy file; gets what is running now. Provided by the command line, which knows the file
/// format. Called on a thread of its own.
using reload_function = std::function<reload_outcome(const settings& current)>;

/// Serves until SIGTERM or SIGINT and everything has drained. 0: clean; 1: could not start, or requests were
/// cut.
[[nodiscard]] int serve(std::shared_ptr<const settings> initial, const reload_function& reload,
                        const build_info& build);

}  // namespace weir::proxy
