// SPDX-License-Identifier: Apache-2.0
// The ways to tell a client what is left. Each is one row of the table in rate_limit_emitters.cpp: a new one
// touches that file alone.
#pragma once

#include "proxy/http/rate_limit_items.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace weir::http {

/// Emitters of one family write the same field names: at most one of them may be chosen.
enum class field_family : std::uint8_t { retry_after, ratelimit, x_ratelimit };

struct rate_limit_emitter {
  std::string_view name;     ///< in the policy file
  std::string_view meaning;  ///< for the key reference; empty: the name says it
  field_family family;
  char* (*put)(char* at, const item_list& list);  ///< complete lines, at most emitter_room bytes; their end
};

/// Of one emitter: the names of all its fields and a few single numbers, and two lists of items. An item is a
/// name with quotes, five parameters of at most 8 + 20 bytes, and the partition.
inline constexpr std::size_t emitter_room = 256 + 2 * max_items * (max_item_name + 2 + 5 * 28 + 32);

/// Every emitter, in the order of the reference. Rows live as long as the process.
[[nodiscard]] std::span<const rate_limit_emitter> rate_limit_emitters() noexcept;

/// Chosen emitters, in the order their fields are written.
using emitter_list = std::vector<const rate_limit_emitter*>;

/// retry-after and the newest draft.
[[nodiscard]] emitter_list default_emitters();

}  // namespace weir::http
