// SPDX-License-Identifier: Apache-2.0
// What `weir check` found, as text for people, JSON for scripts, and SARIF for code-scanning views.
#pragma once

#include "config/against.hpp"
#include "config/load.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir::cli {

struct checked_file {
  std::string name;
  config::load_result loaded;
  std::string redis_user;                    ///< the ACL rules its store needs; empty without Redis
  std::optional<config::outlook> against{};  ///< what it would do to a process that runs another file
};

/// Errors, each rule in words, what its Redis user needs, what a reload would do, advice, and a line of
/// counts.
[[nodiscard]] std::string text_report(const checked_file& file, bool color);

/// An array with one object per file: `file`, `ok`, `problems`, `rules`, `redis_user`, and `against` where
/// there is another file: `file`, `hash_before`, `hash_after`, and `rules` with `name`, `fate` (`kept`,
/// `changed`, `reset`, `new`, `removed`), `why`, `before`, `after`, `remarks`.
[[nodiscard]] std::string json_report(const std::vector<checked_file>& files);

/// SARIF 2.1.0.
[[nodiscard]] std::string sarif_report(const std::vector<checked_file>& files, std::string_view version);

}  // namespace weir::cli
