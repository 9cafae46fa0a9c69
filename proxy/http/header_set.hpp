// SPDX-License-Identifier: Apache-2.0
// Sets of header ids as bits of one word.
#pragma once

#include "proxy/http/head.hpp"

#include <cstdint>

namespace weir::http {

using header_set = std::uint64_t;

static_assert(static_cast<unsigned>(header_id::set_cookie) < 64, "a header_set holds 64 ids");

template <typename... Ids>
[[nodiscard]] constexpr header_set headers(Ids... ids) noexcept {
  return ((header_set{1} << static_cast<unsigned>(ids)) | ...);
}

[[nodiscard]] constexpr bool contains(header_set set, header_id id) noexcept {
  return (set >> static_cast<unsigned>(id) & 1U) != 0;
}

}  // namespace weir::http
