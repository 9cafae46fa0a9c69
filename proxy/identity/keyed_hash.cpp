// SPDX-License-Identifier: Apache-2.0
#include "proxy/identity/keyed_hash.hpp"

#include "proxy/hex.hpp"

#include <algorithm>
#include <bit>
#include <openssl/evp.h>
#include <stdexcept>

namespace weir::identity {

void keyed_hasher::release::operator()(evp_cipher_ctx_st* cipher) const noexcept {
  EVP_CIPHER_CTX_free(cipher);
}

keyed_hasher::keyed_hasher(const hash_key& key) : cipher_(EVP_CIPHER_CTX_new()) {
  static_assert(sizeof(hash_key) == 32, "AES-256");
  // One block is all there ever is, so no mode is involved: ECB is the library's word for that.
  if (!cipher_ || EVP_EncryptInit_ex(cipher_.get(), EVP_aes_256_ecb(), nullptr, key.data(), nullptr) != 1)
    throw std::runtime_error("AES-256 is not available");
}

keyed_hash keyed_hasher::of(const limiter::subject_key& subject) noexcept {
  if (subject == last_) return last_hash_;
  constexpr int block = 16;
  static_assert(sizeof(subject.text) >= block);
  std::array<unsigned char, 2 * block> encrypted{};  // what the library may write at most
  int size = 0;
  EVP_EncryptUpdate(cipher_.get(), encrypted.data(), &size,
                    reinterpret_cast<const unsigned char*>(subject.text.data()), block);
  std::copy_n(encrypted.begin(), last_hash_.size(), last_hash_.begin());
  last_ = subject;
  return last_hash_;
}

keyed_hash keyed_hasher::of_user(std::string_view id) {
  encoding_.clear();
  limiter::append_descriptor_entry(encoding_, "user", id);
  return of(limiter::hash_subject(encoding_));
}

std::array<char, 16> to_hex(const keyed_hash& hash) noexcept {
  return proxy::hex_digits(proxy::detail::highest_first(std::bit_cast<std::uint64_t>(hash)));
}

void append_user_hash(std::string& out, const hash_key& key, std::string_view id) {
  const std::array<char, 16> text = to_hex(keyed_hasher(key).of_user(id));
  out.append(text.data(), text.size());
}

}  // namespace weir::identity
