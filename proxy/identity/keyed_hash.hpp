// SPDX-License-Identifier: Apache-2.0
// Keyed hash of a user id, for logs: the same user is recognisable, the id is not.
#pragma once

#include <array>
#include <string>
#include <string_view>

namespace weir::identity {

/// Appends 16 lower-case hex digits: the first 8 bytes of SHA-256(key || id). The key is secret and of fixed
/// length, and the digest is cut, so neither extension nor search is possible without it.
void append_user_hash(std::string& out, const std::array<unsigned char, 32>& key, std::string_view id);

}  // namespace weir::identity
