// SPDX-License-Identifier: Apache-2.0
// Fields that are dropped after the head was scanned, by configuration.
#pragma once

#include "proxy/http/field_names.hpp"
#include "proxy/http/head.hpp"

#include <string_view>

namespace weir::http {

/// True when a name holds `_`, which upstreams may read as `-`.
[[nodiscard]] bool has_underscore_name(const request_head& head, std::string_view buffer) noexcept;

/// Keeps the fields with `_` that the scanner dropped, unless with `-` they are a name weir reads, writes or
/// removes: one of its own, or one of `reserved`.
void keep_underscore_names(request_head& head, std::string_view buffer, const field_names& reserved) noexcept;

}  // namespace weir::http
