// SPDX-License-Identifier: Apache-2.0
// A mistake in a policy file, with its place and its remedy.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace weir::config {

enum class severity { error, warning, note };

struct problem {
  config::severity severity = severity::error;
  std::string code;  ///< "E0312"
  std::string file;
  int line = 0;      ///< 1-based; 0 = the whole file
  int column = 0;    ///< 1-based, in bytes
  int width = 1;     ///< of the caret
  std::string path;  ///< e.g. "rules[0].limit"
  std::string message;
  std::string hint;  ///< shown behind the caret, e.g. "did you mean `burst`?"
  std::string help;  ///< the `= help:` line
};

/// Renders one problem with its source line and caret; `source` is the whole file.
[[nodiscard]] std::string render(const problem& p, std::string_view source, bool color);

/// "1 error, 1 warning, 1 note in weir.yaml"
[[nodiscard]] std::string summary(const std::vector<problem>& problems, std::string_view file);

[[nodiscard]] bool has_errors(const std::vector<problem>& problems) noexcept;

}  // namespace weir::config
