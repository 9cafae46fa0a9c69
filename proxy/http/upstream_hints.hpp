// SPDX-License-Identifier: Apache-2.0
// What an upstream says about how it wants to be treated. Pure.
#pragma once

#include <cstdint>
#include <string_view>

namespace weir::http {

/// `Keep-Alive: timeout=5, max=100` (RFC 2068, 19.7.1.1): how long an idle connection may be used, a second
/// less than the upstream promises, never below 0. -1: no timeout is given that can be understood.
[[nodiscard]] std::int64_t keep_alive_us(std::string_view value) noexcept;

/// `Retry-After` (RFC 9110, 10.2.3): seconds, or a date as IMF-fixdate, compared with `wall_now_s` (Unix
/// seconds); a date that has passed is 0. -1: neither.
[[nodiscard]] std::int64_t retry_after_us(std::string_view value, std::int64_t wall_now_s) noexcept;

}  // namespace weir::http
