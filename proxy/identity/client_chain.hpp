// SPDX-License-Identifier: Apache-2.0
// Who the client is behind proxies: the walk through X-Forwarded-For, Forwarded, or a field of the like.
#pragma once

#include "proxy/identity/address.hpp"

#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace weir::identity {

/// How the field's elements are written.
enum class chain_syntax : std::uint8_t {
  addresses,  ///< `192.0.2.1, [2001:db8::1]:4711`
  forwarded,  ///< RFC 7239: `for="[2001:db8::1]:4711";proto=https, for=192.0.2.1`
};

/// Which hops may say where a request came from: networks, or a number of hops, the peer being the first.
struct chain_trust {
  std::span<const cidr> proxies{};
  int hops = 0;  ///< 0 = by `proxies`
};

/// Walks the field's elements right to left from the peer: the first address that is not trusted is the
/// client; all trusted: the leftmost; an element that is no address stops the walk at the last one accepted;
/// at most 64 elements. `lines` are the values of the field's lines in order. An untrusted peer is the client
/// itself.
[[nodiscard]] address client_address(const address& peer, std::span<const std::string_view> lines,
                                     const chain_trust& trust,
                                     chain_syntax syntax = chain_syntax::addresses) noexcept;

/// An element of such a walk.
struct chain_step {
  std::string_view text;      ///< of the field; empty: the peer
  std::optional<address> at;  ///< nothing: no address, the walk stopped in front of it
  bool trusted = false;       ///< the walk went on to its left
};

/// The same walk with every element it looked at, the peer first. The client is the last one with an address.
[[nodiscard]] std::vector<chain_step> client_chain(const address& peer,
                                                   std::span<const std::string_view> lines,
                                                   const chain_trust& trust,
                                                   chain_syntax syntax = chain_syntax::addresses);

}  // namespace weir::identity
