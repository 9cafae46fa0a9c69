// SPDX-License-Identifier: Apache-2.0
// A query for the log, without the values that name a user.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace weir::limiter {

/// Replaces `out` with `query`, the values of the named parameters (however their names are written) by
/// `[redacted]`.
void redact_query(std::string_view query, std::span<const std::string> names, std::string& out);

}  // namespace weir::limiter
