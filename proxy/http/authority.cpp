// SPDX-License-Identifier: Apache-2.0
#include "proxy/http/authority.hpp"

#include "proxy/http/grammar.hpp"

#include <arpa/inet.h>
#include <array>
#include <cstring>

namespace weir::http {
namespace {

constexpr std::size_t max_name_size = 255;

bool is_ipv6(std::string_view text) noexcept {
  std::array<char, INET6_ADDRSTRLEN> copy;  // inet_pton wants a terminated string
  if (text.size() >= copy.size() || text.find('\0') != std::string_view::npos) return false;
  std::memcpy(copy.data(), text.data(), text.size());
  copy[text.size()] = '\0';
  in6_addr address;
  return inet_pton(AF_INET6, copy.data(), &address) == 1;
}

bool is_port(std::string_view text) noexcept {
  if (text.size() > 5) return false;
  unsigned port = 0;
  for (const char c : text) {
    if (!grammar::is_digit(c)) return false;
    port = port * 10 + static_cast<unsigned>(c - '0');
  }
  return text.empty() || (port >= 1 && port <= 65535);
}

}  // namespace

authority split_authority(std::string_view text) noexcept {
  // inside brackets a colon belongs to the address
  const std::size_t bracket = text.starts_with('[') ? text.find(']') : 0;
  const std::size_t colon = bracket == std::string_view::npos ? bracket : text.find(':', bracket);
  if (colon == std::string_view::npos) return {text, {}, false};
  return {text.substr(0, colon), text.substr(colon + 1), true};
}

bool is_valid(const authority& a) noexcept {
  if (!is_port(a.port)) return false;
  if (a.host.starts_with('[')) {
    return a.host.size() > 2 && a.host.ends_with(']') && is_ipv6(a.host.substr(1, a.host.size() - 2));
  }
  return !a.host.empty() && a.host.size() <= max_name_size && grammar::is_all(a.host, grammar::unreserved);
}

}  // namespace weir::http
