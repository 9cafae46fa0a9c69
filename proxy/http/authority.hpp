// SPDX-License-Identifier: Apache-2.0
// host [":" port], the value of Host and the authority of an absolute-form target.
#pragma once

#include <string_view>

namespace weir::http {

struct authority {
  std::string_view host;  ///< brackets of an IPv6 address included
  std::string_view port;  ///< without the colon; empty when absent or empty
  bool has_port = false;  ///< a colon was there
};

/// Splits at the colon before the port; the parts are not judged.
[[nodiscard]] authority split_authority(std::string_view text) noexcept;

/// IPv4 or a name of 1-255 `A-Za-z0-9-._~`, or a bracketed IPv6 address without zone; port empty or 1-65535.
[[nodiscard]] bool is_valid(const authority& a) noexcept;

}  // namespace weir::http
