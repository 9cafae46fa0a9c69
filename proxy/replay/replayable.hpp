// SPDX-License-Identifier: Apache-2.0
// What of a policy can be replayed from a log: rules, routes and lists that ask for something the log does
// not hold are left out and named, never guessed.
#pragma once

#include "proxy/replay/log_format.hpp"
#include "proxy/settings.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace weir::replay {

/// Why something cannot be known, and what to do about it.
struct unknown {
  std::string reason;  ///< "the log does not hold the header x-batch-size"
  std::string remedy;  ///< "add it to access_log.headers and record anew"
};

struct left_out {
  std::string what;  ///< "rule batches", "route beta", "block bots"
  unknown why;
  std::string assumed;  ///< what the replay takes for granted instead
};

/// A policy without what cannot be replayed.
struct replayable_policy {
  std::shared_ptr<const proxy::settings> settings;
  std::vector<left_out> missing;
  std::vector<std::string> notes;  ///< what else the reader of a report should know
  bool user_in_log = false;        ///< the user comes from the log, not from the policy's sources
};

[[nodiscard]] replayable_policy reduce(const proxy::settings& policy, const log_contents& log);

}  // namespace weir::replay
