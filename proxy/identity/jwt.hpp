// SPDX-License-Identifier: Apache-2.0
// JSON Web Tokens (RFC 7519) in the one form that has one reading: a signed compact serialisation whose
// algorithm is pinned to a configured key. What the signature library leaves open is judged here, before and
// after it (RFC 8725).
#pragma once

#include "proxy/identity/jwt_keys.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weir::identity {

struct jwt_settings {
  std::shared_ptr<const jwt_keys> keys;  ///< null: `unverified: true`, signatures are not looked at
  std::string issuer;                    ///< `iss` must be it; empty = any
  std::string audience;                  ///< `aud` must be or hold it; empty = any
  std::string header = "authorization";  ///< lower case
  std::chrono::milliseconds leeway{30000};
  bool require_exp = true;
};

inline constexpr std::size_t jwt_size_max = 8 * 1024;

/// Why a token counts as missing.
enum class jwt_problem : std::uint8_t {
  none,
  malformed,  ///< not three strict base64url parts of strict JSON, too long, or an unknown `crit`
  algorithm,  ///< none that a configured key is pinned to, or no key of that name
  signature,
  expired,
  not_yet,
  issuer,
  audience,
  claims,  ///< exp, nbf, sub, iss or aud of another type, negative, empty, or exp missing
};
/// "token_expired", ...: static text for the log. Empty for none.
[[nodiscard]] std::string_view to_reason(jwt_problem problem) noexcept;

/// What a valid token says, of what was asked for.
struct verified_token {
  std::int64_t valid_from_us = 0;  ///< Unix time, leeway included; valid_from_us <= now < valid_until_us
  std::int64_t valid_until_us = 0;
  std::vector<std::pair<std::string, std::string>> claims;  ///< text, integers in decimal, true or false

  [[nodiscard]] std::optional<std::string_view> claim(std::string_view name) const noexcept;
};

struct jwt_verdict {
  std::shared_ptr<const verified_token> token;  ///< null unless problem is none
  jwt_problem problem = jwt_problem::none;
};

/// Judges `token` at `now_us` (Unix time). `claim_names`: which claims the result holds.
[[nodiscard]] jwt_verdict verify_jwt(std::string_view token, const jwt_settings& settings,
                                     std::span<const std::string> claim_names, std::int64_t now_us);

/// The token in the value of the configured field: behind `Bearer ` (any case); in a field other than
/// Authorization the scheme may be left out. Empty: there is none.
[[nodiscard]] std::string_view bearer_token(std::string_view value, bool scheme_required) noexcept;

}  // namespace weir::identity
