// SPDX-License-Identifier: Apache-2.0
// A selector takes one value from a request. One file per selector beside this one, plus registry.cpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weir::limiter {

struct request_attributes;

/// A configured selector: which value, and its argument (`header:X` -> argument "X", `constant:T` -> "T").
struct selector {
  std::uint8_t kind = 0;  ///< index into the registry
  std::string text;       ///< as written in the policy file, e.g. "header:x-api-key" (part of the descriptor)
  std::string argument;   ///< after the colon; header names lower case; empty when the selector takes none
  std::string counted_text;  ///< `text` as a descriptor holds it, see append_counted()

  friend bool operator==(const selector&, const selector&) = default;
};

/// Parses `client_ip`, `user`, `header:X`, `constant:TEXT`, ... Empty optional: no such selector or a missing
/// or unwanted argument.
[[nodiscard]] std::optional<selector> parse_selector(std::string_view text);

/// All selector names as written in a policy file (for messages): "client_ip method host route upstream ...".
[[nodiscard]] std::string_view selector_names() noexcept;

/// True when a request may lack the value (then `missing:` must be written in the rule).
[[nodiscard]] bool can_be_absent(const selector& s) noexcept;

/// True of `user`.
[[nodiscard]] bool is_user(const selector& s) noexcept;

/// True when the value is chosen by the client and cheap to rotate (user, header, cookie, query).
[[nodiscard]] bool is_client_chosen(const selector& s) noexcept;

/// The value in this request; empty optional = absent, which includes an empty value and one given several
/// times. The view lives as long as the attributes and `decoded`, which holds a value that differs from its
/// raw form.
[[nodiscard]] std::optional<std::string_view> select(const selector& s, const request_attributes& request,
                                                     std::string& decoded);

/// True when the request carries the value several times: it is malformed, since nobody can know which one
/// the upstream would read. Asked only after select() found nothing.
[[nodiscard]] bool is_repeated(const selector& s, const request_attributes& request);

}  // namespace weir::limiter
