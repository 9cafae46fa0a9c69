// SPDX-License-Identifier: Apache-2.0
// base64url as tokens use it (RFC 7515 2): no padding, no other alphabet, one spelling per value.
#pragma once

#include <string>
#include <string_view>

namespace weir::identity {

/// Appends the decoded bytes. False, with `out` as it was: padding, white space, the standard alphabet, an
/// impossible length, or unused bits that are not zero.
[[nodiscard]] bool append_base64url(std::string& out, std::string_view text);

}  // namespace weir::identity
