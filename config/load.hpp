// SPDX-License-Identifier: Apache-2.0
// The outermost edge: policy file -> settings. Reports all problems of a file at once.
#pragma once

#include "config/problem.hpp"
#include "proxy/offline/policy_test.hpp"
#include "proxy/settings.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir::config {

struct load_result {
  /// Null when any problem is an error.
  std::shared_ptr<const proxy::settings> settings;
  std::vector<problem> problems;
  std::string source_text;                         ///< for render()
  std::vector<std::string> rule_summaries;         ///< a line per rule and per tier of one, with its worst case
  std::vector<proxy::offline::policy_test> tests;  ///< of `weir test`
  /// What was read, the policy file first; also when it was refused, and then as far as it was understood.
  std::vector<proxy::source_file> files;
};

/// Looks up an environment variable; nothing when unset. Injected so that tests need no process environment.
using environment = std::function<std::optional<std::string>(std::string_view)>;
[[nodiscard]] environment process_environment();

/// Reads and checks a file (`-` = standard input). An unreadable file is a problem (E0501), never an
/// exception.
[[nodiscard]] load_result load_file(const std::string& path, const environment& env);

/// The text of a file (`-` = standard input) of at most 1MiB + 1 byte, or why it cannot be read.
struct read_result {
  std::optional<std::string> text;
  std::string why;
};
[[nodiscard]] read_result read_text_file(const std::string& path);

/// As load_file for text in memory; `name` appears in problems, relative files are resolved against
/// `directory`.
[[nodiscard]] load_result load_text(std::string text, const std::string& name, const std::string& directory,
                                    const environment& env);

/// Problems of applying `next` to a process that runs `current`. What needs a restart is E0406: workers,
/// admin addresses, the store apart from its failure_mode, access_log, limits.connections.
[[nodiscard]] std::vector<problem> reload_problems(const proxy::settings& current,
                                                   const proxy::settings& next, const load_result& loaded);

}  // namespace weir::config
