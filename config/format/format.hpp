// SPDX-License-Identifier: Apache-2.0
// `weir fmt`: a policy file in the canonical layout.
#pragma once

#include "config/load.hpp"

#include <optional>
#include <string>

namespace weir::config {

struct format_result {
  std::optional<std::string> text;  ///< nothing: refused, see `problems`
  std::vector<problem> problems;    ///< the errors for which it is refused
  bool lossless = true;  ///< false: the layout would have lost or changed something; nothing is returned
};

/// Variables that are not set and files that cannot be read do not matter: they are this machine's. Every
/// result has been read again: the same values, the same comments, and its own layout is itself.
[[nodiscard]] format_result format_policy(const load_result& loaded);

}  // namespace weir::config
