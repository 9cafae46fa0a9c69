// SPDX-License-Identifier: Apache-2.0
// The switch to another protocol by Upgrade and 101 (RFC 9110 7.8, RFC 6455 4): who may ask for it, and which
// answer grants it.
#pragma once

#include "proxy/http/head.hpp"

#include <span>
#include <string>
#include <string_view>

namespace weir::http {

/// The element of `allowed` (lower-case tokens) that a request may switch to; empty: its Upgrade must not be
/// forwarded, and it is an ordinary request. One token in one line, nominated by Connection, on a GET of
/// HTTP/1.1 that has no body and does not end the connection; `websocket` with one key of 16 bytes and
/// version 13.
[[nodiscard]] std::string_view requested_upgrade(const request_head& head, std::string_view buffer,
                                                 std::span<const std::string> allowed) noexcept;

/// A 101 that switches to `protocol` and nothing else: one Upgrade line that equals it, nominated by
/// Connection, which does not close.
[[nodiscard]] bool grants_upgrade(const response_head& head, std::string_view buffer,
                                  std::string_view protocol) noexcept;

}  // namespace weir::http
