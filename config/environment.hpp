// SPDX-License-Identifier: Apache-2.0
// `${VAR}` in scalar values, replaced after parsing; the result is never parsed as YAML again.
#pragma once

#include "config/load.hpp"
#include "config/reporter.hpp"
#include "config/yaml_reader.hpp"

namespace weir::config {

/// Replaces `${VAR}`, `${VAR:-default}` (unset or empty: the default), `${VAR:?message}` (unset or empty: an
/// error) and `$$` (one dollar) in every scalar below `root`, except under top-level `x-` keys. Keys are left
/// alone. Every unset variable is E0201, every malformed reference E0202.
void expand_environment(node& root, const environment& env, reporter& report);

}  // namespace weir::config
