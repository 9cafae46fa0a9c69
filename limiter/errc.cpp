// SPDX-License-Identifier: Apache-2.0
#include "limiter/errc.hpp"

#include <array>
#include <cstddef>

namespace weir::limiter {
namespace {

// In the order of the enumeration.
constexpr std::array<std::string_view, errc_count> names{
    "ok",  "timeout", "refused", "closed",   "noscript",   "readonly", "loading", "moved",
    "oom", "busy",    "auth",    "protocol", "overloaded", "script",   "window",
};
static_assert(static_cast<int>(errc::window) + 1 == errc_count);

}  // namespace

std::string_view to_string(errc e) noexcept {
  return names[static_cast<std::size_t>(e)];
}

}  // namespace weir::limiter
