// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "proxy/http/head.hpp"

#include <string_view>

namespace weir::http {

/// Case-sensitive.
[[nodiscard]] method_id identify_method(std::string_view method) noexcept;

/// A registered method in the wrong case: policies match methods exactly, upstreams may not.
[[nodiscard]] bool is_miscased_method(std::string_view method) noexcept;

}  // namespace weir::http
