// SPDX-License-Identifier: Apache-2.0
// The keys that verify tokens. Each is pinned to the algorithms it may verify when it is loaded, so that
// nothing a token says can use a key in another way (RFC 8725 3.1). The only user of cjose.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace weir::identity {

/// The names that `algorithms` may list: RS, PS, ES and HS with 256, 384 and 512.
[[nodiscard]] std::span<const std::string_view> jwt_algorithm_names() noexcept;

struct loaded_jwt_keys;

/// Immutable after load; verify() may run on several threads.
class jwt_keys {
 public:
  static constexpr std::size_t keys_max = 16;  ///< bounds the work that a token without `kid` can cause

  ~jwt_keys();
  jwt_keys(const jwt_keys&) = delete;
  jwt_keys& operator=(const jwt_keys&) = delete;

  /// A JWK set (RFC 7517 5). Keys for encryption and of unknown types are left out; a key with `alg` verifies
  /// that algorithm alone, one without it those of `algorithms` that fit its type.
  [[nodiscard]] static loaded_jwt_keys from_jwks(std::string_view json,
                                                 std::span<const std::string> algorithms);
  /// One shared secret for the HS algorithms of the list.
  [[nodiscard]] static loaded_jwt_keys from_secret(std::string_view secret,
                                                   std::span<const std::string> algorithms);

  /// True when a key for `algorithm` exists that `kid` does not rule out. `kid` is an opaque text; with a
  /// null data() the token names none. A key without a name of its own fits every `kid`.
  [[nodiscard]] bool fits(std::string_view algorithm, std::string_view kid) const noexcept;

  /// True when one of the fitting keys verifies the signature. `token` is a well-formed compact
  /// serialisation whose header names `algorithm`; `signature_size` is the size of its decoded signature.
  [[nodiscard]] bool verify(std::string_view token, std::string_view algorithm, std::string_view kid,
                            std::size_t signature_size) const noexcept;

 private:
  struct key;
  jwt_keys();
  std::unique_ptr<key[]> keys_;
  std::size_t count_ = 0;
};

struct loaded_jwt_keys {
  std::shared_ptr<const jwt_keys> keys;  ///< null: see `problem`
  std::string problem;                   ///< for the operator: names the key by its number, never its content
};

}  // namespace weir::identity
