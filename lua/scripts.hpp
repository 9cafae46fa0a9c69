// SPDX-License-Identifier: Apache-2.0
// The decision script as embedded text: clock prelude + algorithms + driver, joined at build time.
#pragma once

#include <string_view>

namespace weir::lua {

/// The production script: reads the clock with Redis TIME. Content-addressed by its SHA-1 (40 lower-case hex
/// digits).
[[nodiscard]] std::string_view decide_script() noexcept;
[[nodiscard]] std::string_view decide_sha1() noexcept;

/// The same core behind a prelude that takes the time as the last argument: for servers that refuse TIME
/// inside scripts (`store.clock: proxy`). Never sent otherwise. Joined at the first call.
[[nodiscard]] std::string_view proxy_clock_script();
[[nodiscard]] std::string_view proxy_clock_sha1() noexcept;

/// Everything after the clock prelude. Tests join it to a prelude of their own.
[[nodiscard]] std::string_view decide_core() noexcept;

/// The same decisions for several requests in one call (pack.lua), with the same clock.
[[nodiscard]] std::string_view pack_script() noexcept;
[[nodiscard]] std::string_view pack_sha1() noexcept;
[[nodiscard]] std::string_view pack_core() noexcept;

/// The heartbeat (members.lua); sent as text, once a second.
[[nodiscard]] std::string_view members_script() noexcept;
/// The same with the time as last argument.
[[nodiscard]] std::string_view proxy_clock_members_script() noexcept;

/// Since when the server has data (since.lua); sent as text by new connections that want to know.
[[nodiscard]] std::string_view since_script() noexcept;

}  // namespace weir::lua
