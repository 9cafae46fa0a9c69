// SPDX-License-Identifier: Apache-2.0
// Client addresses from hostile text: header elements, whole headers, networks. One line of input is one
// header line; the first is also read as an element and as a network.
#include "proxy/identity/client_chain.hpp"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

using namespace weir::identity;

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

void check_canonical(const address& a) {
  std::string text;
  append_address(text, a);
  require(text.size() <= 45);
  require(parse_address(text) == a);
  std::string again;
  append_address(again, *parse_address(text));
  require(again == text);
}

void check_groups(const address& a) {
  for (const int ipv6_bits : {32, 48, 56, 64, 128}) {
    std::string text;
    append_group(text, a, 24, ipv6_bits);
    const auto network = parse_cidr(text);
    require(network.has_value());  // no host bits are left
  }
}

void check_network(const cidr& network) {
  require(network.prefix >= 0 && network.prefix <= 128);
  require(network.contains(network.base));
}

std::vector<std::string_view> split_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  for (std::size_t end = 0; end != std::string_view::npos;) {
    end = text.find('\n');
    lines.push_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::vector<cidr> trusted{*parse_cidr("10.0.0.0/8"), *parse_cidr("fd00::/8")};
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto lines = split_lines(text);

  if (const auto a = parse_forwarded_element(lines.front())) {
    check_canonical(*a);
    check_groups(*a);
  }
  if (const auto a = parse_address(lines.front())) check_canonical(*a);
  if (const auto network = parse_cidr(lines.front())) check_network(*network);

  for (const chain_syntax syntax : {chain_syntax::addresses, chain_syntax::forwarded}) {
    check_canonical(client_address(from_v4(0x0a000001), lines, {trusted}, syntax));
    check_canonical(client_address(from_v4(0x0a000001), lines, {{}, 3}, syntax));
    require(client_address(from_v4(0xc0000201), lines, {trusted}, syntax) == from_v4(0xc0000201));
  }
  return 0;
}
