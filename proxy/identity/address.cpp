// SPDX-License-Identifier: Apache-2.0
#include "proxy/identity/address.hpp"

#include <algorithm>
#include <charconv>

namespace weir::identity {
namespace {

constexpr std::array<std::uint8_t, 12> v4_mapped_prefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr std::array<std::uint8_t, 12> nat64_prefix{0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0};
constexpr int v4_offset_bits = 96;

bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}

/// A decimal number without sign and leading zeros, at most `limit`.
std::optional<int> parse_decimal(std::string_view text, int limit) noexcept {
  if (text.empty() || text.size() > 5 || !std::all_of(text.begin(), text.end(), is_digit))
    return std::nullopt;
  if (text.size() > 1 && text.front() == '0') return std::nullopt;
  int value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value <= limit ? std::optional(value) : std::nullopt;
}

/// Four decimal octets.
std::optional<std::uint32_t> parse_v4(std::string_view text) noexcept {
  std::uint32_t value = 0;
  for (int i = 0; i < 4; ++i) {
    const auto dot = i < 3 ? text.find('.') : text.size();
    if (dot == std::string_view::npos) return std::nullopt;
    const auto octet = parse_decimal(text.substr(0, dot), 255);
    if (!octet) return std::nullopt;
    value = value << 8 | static_cast<std::uint32_t>(*octet);
    text.remove_prefix(std::min(dot + 1, text.size()));
  }
  return value;
}

/// Up to eight 16-bit groups, read from the left.
struct v6_groups {
  std::array<std::uint16_t, 8> values{};
  std::size_t count = 0;

  bool push(std::uint32_t value) noexcept {
    if (count == values.size()) return false;
    values[count++] = static_cast<std::uint16_t>(value);
    return true;
  }
};

std::optional<std::uint32_t> parse_hex_group(std::string_view text) noexcept {
  if (text.empty() || text.size() > 4) return std::nullopt;
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// `1:2:3`, the empty text, or, where `dotted_tail` is allowed, `1:2:192.0.2.1`.
bool parse_v6_side(std::string_view text, bool dotted_tail, v6_groups& groups) noexcept {
  if (text.empty()) return true;
  for (;;) {
    const auto colon = text.find(':');
    const std::string_view part = text.substr(0, colon);
    const bool last = colon == std::string_view::npos;
    if (last && dotted_tail && part.find('.') != std::string_view::npos) {
      const auto v4 = parse_v4(part);
      return v4 && groups.push(*v4 >> 16) && groups.push(*v4 & 0xffff);
    }
    const auto group = parse_hex_group(part);
    if (!group || !groups.push(*group)) return false;
    if (last) return true;
    text.remove_prefix(colon + 1);
  }
}

std::optional<address> parse_v6(std::string_view text) noexcept {
  const auto gap = text.find("::");
  v6_groups left;
  v6_groups right;
  if (gap == std::string_view::npos) {
    if (!parse_v6_side(text, true, left) || left.count != 8) return std::nullopt;
  } else {
    // "::" stands for at least one group
    if (!parse_v6_side(text.substr(0, gap), false, left) ||
        !parse_v6_side(text.substr(gap + 2), true, right) || left.count + right.count > 7) {
      return std::nullopt;
    }
  }
  std::copy_n(right.values.begin(), right.count,
              left.values.end() - static_cast<std::ptrdiff_t>(right.count));
  address result;
  for (std::size_t i = 0; i < 8; ++i) {
    result.bytes[2 * i] = static_cast<std::uint8_t>(left.values[i] >> 8);
    result.bytes[2 * i + 1] = static_cast<std::uint8_t>(left.values[i] & 0xff);
  }
  return result;
}

/// Interface names; anything else behind a `%` makes the whole text malformed.
bool is_zone(std::string_view text) noexcept {
  const auto allowed = [](char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '_' ||
           c == '-' || c == '~' || c == '%';
  };
  return !text.empty() && std::all_of(text.begin(), text.end(), allowed);
}

bool is_port(std::string_view text) noexcept {
  return parse_decimal(text, 65535).has_value();
}

std::uint32_t low_32_bits(const address& a) noexcept {
  std::uint32_t value = 0;
  for (std::size_t i = 12; i < 16; ++i) value = value << 8 | a.bytes[i];
  return value;
}

address masked(address a, int prefix) noexcept {
  for (std::size_t i = 0; i < a.bytes.size(); ++i) {
    const int kept = std::clamp(prefix - static_cast<int>(i) * 8, 0, 8);
    a.bytes[i] = static_cast<std::uint8_t>(a.bytes[i] & (0xff00 >> kept));
  }
  return a;
}

bool has_prefix(const address& a, const std::array<std::uint8_t, 12>& prefix) noexcept {
  return std::equal(prefix.begin(), prefix.end(), a.bytes.begin());
}

template <typename Integer>
void append_number(std::string& out, Integer value, int base) {
  std::array<char, 12> text;
  out.append(text.data(), std::to_chars(text.data(), text.data() + text.size(), value, base).ptr);
}

void append_v4(std::string& out, const address& a) {
  for (std::size_t i = 12; i < 16; ++i) {
    if (i > 12) out.push_back('.');
    append_number(out, unsigned{a.bytes[i]}, 10);
  }
}

/// The run of zero groups that RFC 5952 writes as `::`: the longest, the first of equals, at least two
/// groups.
struct zero_run {
  std::size_t begin = 8;
  std::size_t length = 0;
};

zero_run longest_zero_run(const std::array<unsigned, 8>& groups) noexcept {
  zero_run best;
  for (std::size_t i = 0; i < groups.size();) {
    std::size_t end = i;
    while (end < groups.size() && groups[end] == 0) ++end;
    if (end - i >= 2 && end - i > best.length) best = {i, end - i};
    i = std::max(end, i + 1);
  }
  return best;
}

void append_v6(std::string& out, const address& a) {
  std::array<unsigned, 8> groups;
  for (std::size_t i = 0; i < 8; ++i) groups[i] = unsigned{a.bytes[2 * i]} << 8 | a.bytes[2 * i + 1];
  const zero_run run = longest_zero_run(groups);
  for (std::size_t i = 0; i < groups.size(); ++i) {
    if (i == run.begin) {
      out += "::";
      i += run.length - 1;
      continue;
    }
    if (i > 0 && i != run.begin + run.length) out.push_back(':');
    append_number(out, groups[i], 16);
  }
}

}  // namespace

bool address::is_v4() const noexcept {
  return has_prefix(*this, v4_mapped_prefix);
}

address from_v4(std::uint32_t host_order) noexcept {
  address result;
  std::copy(v4_mapped_prefix.begin(), v4_mapped_prefix.end(), result.bytes.begin());
  for (std::size_t i = 0; i < 4; ++i) result.bytes[15 - i] = static_cast<std::uint8_t>(host_order >> (8 * i));
  return result;
}

std::optional<address> parse_address(std::string_view text) noexcept {
  if (text.find(':') == std::string_view::npos) {
    const auto v4 = parse_v4(text);
    return v4 ? std::optional(from_v4(*v4)) : std::nullopt;
  }
  const auto percent = text.find('%');
  if (percent != std::string_view::npos && !is_zone(text.substr(percent + 1))) return std::nullopt;
  return parse_v6(text.substr(0, percent));
}

std::optional<address> parse_forwarded_element(std::string_view text) noexcept {
  if (text.empty()) return std::nullopt;
  if (text.front() == '[') {
    const auto close = text.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    const std::string_view inner = text.substr(1, close - 1);
    const std::string_view after = text.substr(close + 1);
    if (inner.find(':') == std::string_view::npos) return std::nullopt;  // brackets are for IPv6
    if (!after.empty() && (after.front() != ':' || !is_port(after.substr(1)))) return std::nullopt;
    return parse_address(inner);
  }
  const auto colon = text.find(':');
  const bool v4_with_port = colon != std::string_view::npos &&
                            text.find(':', colon + 1) == std::string_view::npos &&
                            text.substr(0, colon).find('.') != std::string_view::npos;
  if (!v4_with_port) return parse_address(text);
  if (!is_port(text.substr(colon + 1))) return std::nullopt;
  return parse_address(text.substr(0, colon));
}

void append_address(std::string& out, const address& a) {
  if (a.is_v4()) {
    append_v4(out, a);
  } else {
    append_v6(out, a);
  }
}

bool cidr::contains(const address& a) const noexcept {
  // by value an IPv4 address is in no IPv6 network: trusting ::/0 does not trust 192.0.2.1
  const bool v4_network = prefix >= v4_offset_bits && base.is_v4();
  return v4_network == a.is_v4() && masked(a, prefix) == base;
}

std::optional<cidr> parse_cidr(std::string_view text) noexcept {
  const auto slash = text.find('/');
  const std::string_view base_text = text.substr(0, slash);
  if (base_text.find('%') != std::string_view::npos) return std::nullopt;  // a zone names no network
  const auto base = parse_address(base_text);
  if (!base) return std::nullopt;
  cidr result{*base, 128};
  if (slash != std::string_view::npos) {
    const bool is_v6_text = base_text.find(':') != std::string_view::npos;
    const auto bits = parse_decimal(text.substr(slash + 1), is_v6_text ? 128 : 32);
    if (!bits) return std::nullopt;
    result.prefix = is_v6_text ? *bits : *bits + v4_offset_bits;
  }
  if (masked(result.base, result.prefix) != result.base) return std::nullopt;
  return result;
}

address by_value(const address& a) noexcept {
  return has_prefix(a, nat64_prefix) ? from_v4(low_32_bits(a)) : a;
}

void append_ranges(std::vector<limiter::address_range>& out, const cidr& network) {
  const cidr real{by_value(network.base), network.prefix};
  limiter::address_range all{real.base.bytes, real.base.bytes};
  for (std::size_t i = 0; i < all.last.size(); ++i) {
    const int kept = std::clamp(real.prefix - static_cast<int>(i) * 8, 0, 8);
    all.last[i] = static_cast<std::uint8_t>(all.last[i] | 0xff >> kept);
  }
  const limiter::address_bytes v4_first = from_v4(0).bytes;
  const limiter::address_bytes v4_last = from_v4(0xffffffff).bytes;
  if (real.prefix >= v4_offset_bits || v4_first < all.first || all.last < v4_last) {
    out.push_back(all);
    return;
  }
  limiter::address_bytes below = v4_first;  // ::fffe:ffff:ffff is its neighbour
  below[11] = 0xfe;
  std::fill(below.begin() + 12, below.end(), std::uint8_t{0xff});
  limiter::address_bytes above{};
  above[9] = 1;
  out.push_back({all.first, below});
  out.push_back({above, all.last});
}

void append_group(std::string& out, const address& a, int ipv4_bits, int ipv6_bits) {
  if (a.is_v4() || has_prefix(a, nat64_prefix)) {
    append_v4(out, masked(from_v4(low_32_bits(a)), v4_offset_bits + ipv4_bits));
    if (ipv4_bits == 32) return;
    out.push_back('/');
    append_number(out, ipv4_bits, 10);
    return;
  }
  const bool is_6to4 = a.bytes[0] == 0x20 && a.bytes[1] == 0x02;  // one site per /48
  const int bits = is_6to4 ? std::min(ipv6_bits, 48) : ipv6_bits;
  append_v6(out, masked(a, bits));
  if (bits == 128) return;
  out.push_back('/');
  append_number(out, bits, 10);
}

}  // namespace weir::identity
