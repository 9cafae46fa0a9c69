// SPDX-License-Identifier: Apache-2.0
// The text of the policy file and of the files it names: the only place that reads them.
#pragma once

#include "proxy/source_file.hpp"

#include <optional>
#include <string>
#include <vector>

namespace weir::config {

struct source_text {
  std::optional<std::string> text;  ///< nothing: it cannot be read
  std::string problem;              ///< then why
};

/// At most `size_max` + 1 bytes, so that who wants no more than `size_max` can tell. The file is added to
/// `files`, also when it cannot be read: a change of it is worth another try.
[[nodiscard]] source_text read_source(const std::string& path, std::size_t size_max,
                                      std::vector<proxy::source_file>& files);

}  // namespace weir::config
