// SPDX-License-Identifier: Apache-2.0
// Fields that are dropped after the head was scanned, by configuration.
#pragma once

#include "proxy/http/head.hpp"

#include <span>
#include <string>
#include <string_view>

namespace weir::http {

/// True when a name holds `_`, which upstreams may read as `-`.
[[nodiscard]] bool has_underscore_name(const request_head& head, std::string_view buffer) noexcept;

/// Keeps the fields with `_` that the scanner dropped, unless with `-` they are a name weir reads, writes or
/// removes: one of its own, or one of `reserved` (lower case).
void keep_underscore_names(request_head& head, std::string_view buffer,
                           std::span<const std::string> reserved) noexcept;

/// Drops every field of these names (lower case).
void drop_fields(request_head& head, std::string_view buffer, std::span<const std::string> names) noexcept;

}  // namespace weir::http
