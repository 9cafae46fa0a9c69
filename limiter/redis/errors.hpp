// SPDX-License-Identifier: Apache-2.0
// Redis error replies -> errc. Pure.
#pragma once

#include "limiter/errc.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

namespace weir::limiter::redis {

/// `text` is an error reply without its leading '-'. Never `ok`; what has no code of its own is `script`.
/// Redis 6.2 wraps an error of a command inside a script ("ERR Error running script ...: -OOM ..."): the
/// inner error decides.
[[nodiscard]] errc classify_error(std::string_view text) noexcept;

/// The store's clock in an error reply that is errc::window, microseconds since the epoch; nullopt when it is
/// malformed. Nothing was executed: compute the windows from it and send the call again.
[[nodiscard]] std::optional<std::int64_t> window_error_now(std::string_view text) noexcept;

/// The first word of an error reply, at most 32 bytes: fit for a log, unlike the rest, which may repeat
/// arguments.
[[nodiscard]] std::string_view error_code(std::string_view text) noexcept;

}  // namespace weir::limiter::redis
