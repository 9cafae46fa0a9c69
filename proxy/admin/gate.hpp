// SPDX-License-Identifier: Apache-2.0
// Who may ask the admin port for something: pages of other sites may not, though a browser on this machine
// reaches it. Pure.
#pragma once

#include <string_view>

namespace weir::proxy::admin {

/// `host[:port]` of this machine's own loopback names: a page of another site that has its name resolved to
/// 127.0.0.1 sends that other name.
[[nodiscard]] bool is_loopback_host(std::string_view host) noexcept;

/// A browser says where the page came from that asks; only this port itself may. `origin` empty: it is no
/// browser, or the page of this port.
[[nodiscard]] bool is_foreign_origin(std::string_view origin, std::string_view host) noexcept;

/// `application/json`, parameters allowed: no form of another site can send it unasked.
[[nodiscard]] bool is_json(std::string_view content_type) noexcept;

/// Nothing, or an object without members.
[[nodiscard]] bool asks_nothing_more(std::string_view body) noexcept;

}  // namespace weir::proxy::admin
