// SPDX-License-Identifier: Apache-2.0
#include "proxy/identity/user_hash.hpp"

#include "limiter/sha256.hpp"

namespace weir::identity {

void append_user_hash(std::string& out, const std::array<unsigned char, 32>& key, std::string_view id) {
  thread_local std::string keyed;
  keyed.assign(reinterpret_cast<const char*>(key.data()), key.size());
  keyed.append(id);
  const limiter::sha256_digest digest = limiter::sha256(keyed);
  constexpr std::string_view hex = "0123456789abcdef";
  std::array<char, 16> text;
  for (std::size_t i = 0; i < 8; ++i) {
    text[2 * i] = hex[digest[i] >> 4];
    text[2 * i + 1] = hex[digest[i] & 15];
  }
  out.append(text.data(), text.size());
}

}  // namespace weir::identity
