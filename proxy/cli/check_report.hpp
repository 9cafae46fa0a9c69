// SPDX-License-Identifier: Apache-2.0
// What `weir check` found, as text for people, JSON for scripts, and SARIF for code-scanning views.
#pragma once

#include "config/load.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace weir::cli {

struct checked_file {
  std::string name;
  config::load_result loaded;
  std::string redis_user;  ///< the ACL rules its store needs; empty without Redis
};

/// Errors, each rule in words, what its Redis user needs, advice, and a line of counts.
[[nodiscard]] std::string text_report(const checked_file& file, bool color);

/// An array with one object per file: `file`, `ok`, `problems`, `rules`, `redis_user`.
[[nodiscard]] std::string json_report(const std::vector<checked_file>& files);

/// SARIF 2.1.0.
[[nodiscard]] std::string sarif_report(const std::vector<checked_file>& files, std::string_view version);

}  // namespace weir::cli
