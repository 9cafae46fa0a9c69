// SPDX-License-Identifier: Apache-2.0
// IP addresses by value: parsing, CIDR sets, grouping, canonical text.
#pragma once

#include "limiter/address_set.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir::identity {

/// An IPv4 or IPv6 address as 16 bytes; IPv4 is stored v4-mapped, so both spellings compare equal.
struct address {
  std::array<std::uint8_t, 16> bytes{};
  [[nodiscard]] bool is_v4() const noexcept;  ///< v4 or v4-mapped
  friend bool operator==(const address&, const address&) = default;
};

/// Four decimal octets without leading zeros, or an IPv6 text form; a zone id (`%eth0`) is removed. No
/// brackets, no port, no other spelling.
[[nodiscard]] std::optional<address> parse_address(std::string_view text) noexcept;

/// One element of X-Forwarded-For: an address with optional `:port` (IPv6 then in brackets). Anything else:
/// nothing.
[[nodiscard]] std::optional<address> parse_forwarded_element(std::string_view text) noexcept;

[[nodiscard]] address from_v4(std::uint32_t host_order) noexcept;

/// Canonical text (RFC 5952 for IPv6, dotted for v4); at most 45 characters.
void append_address(std::string& out, const address& a);

struct cidr {
  address base;
  int prefix = 128;  ///< over the 16-byte form: an IPv4 /8 is 104
  [[nodiscard]] bool contains(const address& a) const noexcept;
  friend bool operator==(const cidr&, const cidr&) = default;
};

/// `10.0.0.0/8`, `fd00::/8`, or a single address. Nothing when malformed or when host bits are set beyond the
/// prefix.
[[nodiscard]] std::optional<cidr> parse_cidr(std::string_view text) noexcept;

/// The address that equality is about: NAT64 (64:ff9b::/96) is its IPv4.
[[nodiscard]] address by_value(const address& a) noexcept;

/// The addresses of a network, by value, as ranges: one, or two around the IPv4 addresses, which belong to no
/// IPv6 network.
void append_ranges(std::vector<limiter::address_range>& out, const cidr& network);

/// The bucket of an address: masked to `ipv4` or `ipv6` bits, written as canonical text with `/bits` unless
/// the full length (NAT64 64:ff9b::/96 counts as its IPv4, 6to4 2002::/16 as its /48 when ipv6 > 48).
void append_group(std::string& out, const address& a, int ipv4_bits, int ipv6_bits);

}  // namespace weir::identity
