// SPDX-License-Identifier: Apache-2.0
// Completion scripts of the shells, and the manual page, made from the tree of verbs and options.
#pragma once

#include "proxy/cli/cli_tree.hpp"

#include <string>

namespace weir::cli {

// Each script completes verbs, options, the words an option takes, and files where a file is taken.
[[nodiscard]] std::string bash_completion(const cli_tree& tree);
[[nodiscard]] std::string zsh_completion(const cli_tree& tree);
[[nodiscard]] std::string fish_completion(const cli_tree& tree);

/// weir(1) in the man macros of roff.
[[nodiscard]] std::string man_page(const cli_tree& tree, std::string_view version);

}  // namespace weir::cli
