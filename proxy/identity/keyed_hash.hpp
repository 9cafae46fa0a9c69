// SPDX-License-Identifier: Apache-2.0
// Keyed hashes for logs and clients: the same user or partition is recognisable, what it is called is not.
#pragma once

#include "limiter/descriptor.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

struct evp_cipher_ctx_st;

namespace weir::identity {

using hash_key = std::array<unsigned char, 32>;
using keyed_hash = std::array<std::uint8_t, 8>;

/// A key that is ready for use. Belongs to one thread.
class keyed_hasher {
 public:
  /// Throws when the library refuses AES-256.
  explicit keyed_hasher(const hash_key& key);

  /// The first 8 bytes of AES-256 of 96 bits of the subject, which is a SHA-256 already: a second one with
  /// the key in front would say no more and cost eight times as much. Never allocates. The subject of the
  /// last call costs a comparison: a request often asks for a user and a partition that are one.
  [[nodiscard]] keyed_hash of(const limiter::subject_key& subject) noexcept;

  /// That of the subject of a rule whose key is `[user]`, so that the log of such a rule calls both alike.
  [[nodiscard]] keyed_hash of_user(std::string_view id);

 private:
  struct release {
    void operator()(evp_cipher_ctx_st* cipher) const noexcept;
  };
  std::unique_ptr<evp_cipher_ctx_st, release> cipher_;
  limiter::subject_key last_;  // all zero, as no subject is, before the first
  keyed_hash last_hash_{};
  std::string encoding_;  // of the last user; keeps its capacity
};

/// Lower-case digits, as logs show it.
[[nodiscard]] std::array<char, 16> to_hex(const keyed_hash& hash) noexcept;

/// Appends the digits of a user's hash. For whoever asks rarely: it prepares the key anew.
void append_user_hash(std::string& out, const hash_key& key, std::string_view id);

}  // namespace weir::identity
