// SPDX-License-Identifier: Apache-2.0
#include "proxy/settings.hpp"

#include <fmt/format.h>

namespace weir::proxy {

std::string socket_address::text() const {
  if (!unix_path.empty()) return "unix:" + unix_path;
  const bool is_ipv6 = host.find(':') != std::string::npos;
  return is_ipv6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

}  // namespace weir::proxy
