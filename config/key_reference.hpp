// SPDX-License-Identifier: Apache-2.0
// The key reference of config/README.md, generated from the tables of the sections.
#pragma once

#include "config/table.hpp"

#include <string>
#include <vector>

namespace weir::config {

/// Every key of this release, in the order of the reference.
[[nodiscard]] std::vector<key_doc> all_keys();

/// A Markdown table of all keys.
[[nodiscard]] std::string key_reference();

}  // namespace weir::config
