// SPDX-License-Identifier: Apache-2.0
// SHA-256 and the short base64url names made from it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace weir::limiter {

using sha256_digest = std::array<std::uint8_t, 32>;

/// Never allocates and never fails.
[[nodiscard]] sha256_digest sha256(std::string_view bytes) noexcept;

/// base64url without padding; `text` must hold exactly ceil(bytes.size() * 4 / 3) characters.
void encode_base64url(std::span<const std::uint8_t> bytes, std::span<char> text) noexcept;

}  // namespace weir::limiter
