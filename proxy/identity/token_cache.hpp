// SPDX-License-Identifier: Apache-2.0
// Tokens that were verified: clients send the same one with every request, and a signature is dear.
#pragma once

#include "limiter/sharing/bounded_lru.hpp"
#include "proxy/identity/jwt.hpp"

namespace weir::identity {

/// One per worker and configuration: a reload forgets what old keys had verified. Only valid tokens are kept,
/// by the SHA-256 of all their bytes, and only while they are valid; garbage can push nothing out but by
/// being verified.
class token_cache {
 public:
  static constexpr std::size_t tokens_max = 4096;  ///< about 300 bytes each

  /// `secret` keys the table's hash.
  token_cache(jwt_settings settings, std::vector<std::string> claim_names, std::uint64_t secret);

  [[nodiscard]] jwt_verdict verify(std::string_view token, std::int64_t now_us);
  [[nodiscard]] const jwt_settings& settings() const noexcept { return settings_; }
  /// Tokens that were judged in full, for tests and benchmarks.
  [[nodiscard]] std::uint64_t judged() const noexcept { return judged_; }

 private:
  jwt_settings settings_;
  std::vector<std::string> claim_names_;
  limiter::bounded_lru<std::shared_ptr<const verified_token>> known_;
  std::uint64_t judged_ = 0;
};

}  // namespace weir::identity
