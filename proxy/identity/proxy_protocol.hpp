// SPDX-License-Identifier: Apache-2.0
// The header by which a load balancer tells, in front of everything else, whom it carries (PROXY protocol,
// versions 1 and 2).
#pragma once

#include "proxy/identity/address.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace weir::identity {

/// Longest header that is accepted, extensions of version 2 included.
inline constexpr std::size_t proxy_header_size_max = 4096;

enum class proxy_header_status : std::uint8_t {
  need_more,  ///< a beginning of a header
  complete,
  refused,  ///< no continuation makes it a header
};

struct proxy_header {
  proxy_header_status status;
  std::size_t size = 0;  ///< when complete: what follows it is not part of it
  std::optional<address>
      source;  ///< nothing: the connection is the balancer's own (LOCAL), or of unknown origin
};

/// Judges `bytes`, everything received so far, from the first on. `v1`, `v2`: the versions that are accepted.
///
/// Version 1: at most 107 bytes, `PROXY TCP4|TCP6|UNKNOWN`. Version 2: PROXY over TCP or unspecified, or
/// LOCAL; extensions must fill the rest of it exactly, and a checksum among them (CRC32C) must be right.
[[nodiscard]] proxy_header parse_proxy_header(std::string_view bytes, bool v1, bool v2) noexcept;

}  // namespace weir::identity
