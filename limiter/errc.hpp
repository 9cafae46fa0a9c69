// SPDX-License-Identifier: Apache-2.0
// The limiter's own errors: why a store gave no answer. Also the `kind` label of weir_store_errors_total.
#pragma once

#include <cstdint>
#include <string_view>

namespace weir::limiter {

enum class errc : std::uint8_t {
  ok = 0,
  timeout,     ///< no reply within command_timeout
  refused,     ///< cannot connect
  closed,      ///< connection lost with the command in flight: outcome unknown, never replayed
  noscript,    ///< script missing and reloading it failed
  readonly,    ///< a replica answered
  loading,     ///< server is loading its data set
  moved,       ///< cluster redirection in single mode
  oom,         ///< server out of memory
  busy,        ///< server runs another script
  auth,        ///< NOAUTH, WRONGPASS, NOPERM
  protocol,    ///< reply of the wrong shape
  overloaded,  ///< more than max_in_flight commands
  script,      ///< the script answered with another error
  window,      ///< not executed: the store's clock lies in no calendar window that the call named
};

/// Stable lower-case name: "timeout", "refused", ...; "ok" for ok.
[[nodiscard]] std::string_view to_string(errc e) noexcept;

/// Number of values, for arrays indexed by errc.
inline constexpr int errc_count = 15;

}  // namespace weir::limiter
