// SPDX-License-Identifier: Apache-2.0
// Keyed hashes for logs and clients: the same user or partition is recognisable, what it is called is not.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace weir::identity {

using hash_key = std::array<unsigned char, 32>;
using keyed_hash = std::array<std::uint8_t, 8>;

/// The first 8 bytes of SHA-256(key || text). The key is secret and of fixed length, and the digest is cut,
/// so neither extension nor search is possible without it.
[[nodiscard]] keyed_hash hash_with_key(const hash_key& key, std::string_view text);

/// Lower-case digits, as logs show it.
[[nodiscard]] std::array<char, 16> to_hex(const keyed_hash& hash) noexcept;

/// Appends the digits of a user's hash.
void append_user_hash(std::string& out, const hash_key& key, std::string_view id);

}  // namespace weir::identity
