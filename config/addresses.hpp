// SPDX-License-Identifier: Apache-2.0
// Socket addresses and URLs as written in a policy file.
#pragma once

#include "config/units.hpp"
#include "proxy/settings.hpp"

#include <string>
#include <string_view>

namespace weir::config {

/// Something to bind to: `127.0.0.1:8080`, `[::]:8080` or `unix:PATH`. Names are refused: what they resolve
/// to may change.
[[nodiscard]] parsed<proxy::socket_address> parse_bind_address(std::string_view text);

/// True for 127.0.0.0/8, ::1 and unix sockets.
[[nodiscard]] bool is_loopback(const proxy::socket_address& address);

/// `http[s]://HOST[:PORT]` or `unix:PATH`, weight 1.
[[nodiscard]] parsed<proxy::endpoint_settings> parse_endpoint_url(std::string_view text);

/// What a store URL says; everything else of store_settings is default.
struct store_url {
  proxy::store_kind kind = proxy::store_kind::memory;
  std::string host;
  std::uint16_t port = 0;
  std::string unix_path;
  std::string username;
  std::string password;
  int database = 0;
  bool tls = false;  ///< rediss://
};

/// `memory://`, `redis[s]://[[USER]:PASSWORD@]HOST[:PORT][/DB]` or `unix:PATH`. Messages never repeat the
/// text: it may hold a password.
[[nodiscard]] parsed<store_url> parse_store_url(std::string_view text);

/// `HOST[:PORT]` of a sentinel or cluster node.
[[nodiscard]] parsed<limiter::redis_address> parse_redis_node(std::string_view text,
                                                              std::uint16_t default_port);

/// A host name, an IPv4 address, or an IPv6 address without brackets.
[[nodiscard]] bool is_host(std::string_view text);

}  // namespace weir::config
