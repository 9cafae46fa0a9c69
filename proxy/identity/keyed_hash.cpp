// SPDX-License-Identifier: Apache-2.0
#include "proxy/identity/keyed_hash.hpp"

#include "limiter/sha256.hpp"

#include <algorithm>

namespace weir::identity {

keyed_hash hash_with_key(const hash_key& key, std::string_view text) {
  thread_local std::string keyed;
  keyed.assign(reinterpret_cast<const char*>(key.data()), key.size());
  keyed.append(text);
  const limiter::sha256_digest digest = limiter::sha256(keyed);
  keyed_hash cut;
  std::copy_n(digest.begin(), cut.size(), cut.begin());
  return cut;
}

std::array<char, 16> to_hex(const keyed_hash& hash) noexcept {
  constexpr std::string_view digits = "0123456789abcdef";
  std::array<char, 16> text;
  for (std::size_t i = 0; i < hash.size(); ++i) {
    text[2 * i] = digits[hash[i] >> 4];
    text[2 * i + 1] = digits[hash[i] & 15];
  }
  return text;
}

void append_user_hash(std::string& out, const hash_key& key, std::string_view id) {
  const std::array<char, 16> text = to_hex(hash_with_key(key, id));
  out.append(text.data(), text.size());
}

}  // namespace weir::identity
