// SPDX-License-Identifier: Apache-2.0
// Makes tokens, right and wrong: any header and payload text, signed by a real key.
#pragma once

#include "limiter/sha256.hpp"

#include <cstdlib>
#include <memory>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>
#include <span>
#include <string>
#include <string_view>

namespace weir::test {

inline void require(bool condition) {
  if (!condition) std::abort();
}

inline std::string base64url(std::string_view bytes) {
  std::string text((bytes.size() * 4 + 2) / 3, '\0');
  limiter::encode_base64url({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}, text);
  return text;
}

inline const EVP_MD* hash_of(std::string_view algorithm) {
  const std::string_view bits = algorithm.substr(2);
  return bits == "256" ? EVP_sha256() : bits == "384" ? EVP_sha384() : EVP_sha512();
}

inline std::string hmac(std::string_view secret, std::string_view algorithm, std::string_view input) {
  std::string out(EVP_MAX_MD_SIZE, '\0');
  unsigned size = 0;
  require(HMAC(hash_of(algorithm), secret.data(), static_cast<int>(secret.size()),
               reinterpret_cast<const unsigned char*>(input.data()), input.size(),
               reinterpret_cast<unsigned char*>(out.data()), &size) != nullptr);
  out.resize(size);
  return out;
}

/// An RSA or EC key pair.
class key_pair {
 public:
  static key_pair rsa(unsigned bits) {
    return key_pair(EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", size_t{bits}));
  }
  static key_pair ec(const char* curve) { return key_pair(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", curve)); }

  /// The public half; `more` is further members, such as `,"kid":"a"`.
  [[nodiscard]] std::string jwk(const std::string& more = {}) const {
    if (EVP_PKEY_get_base_id(key_.get()) == EVP_PKEY_RSA)
      return R"({"kty":"RSA","n":")" + number("n", 0) + R"(","e":")" + number("e", 0) + "\"" + more + "}";
    const int size = (EVP_PKEY_get_bits(key_.get()) + 7) / 8;
    const char* curve = size == 32 ? "P-256" : size == 48 ? "P-384" : "P-521";
    return std::string(R"({"kty":"EC","crv":")") + curve + R"(","x":")" + number("qx", size) + R"(","y":")" +
           number("qy", size) + "\"" + more + "}";
  }

  [[nodiscard]] std::string sign(std::string_view algorithm, std::string_view input) const {
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    EVP_PKEY_CTX* options = nullptr;
    require(EVP_DigestSignInit(context.get(), &options, hash_of(algorithm), nullptr, key_.get()) == 1);
    if (algorithm.starts_with("PS")) {
      EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING);
      EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST);
    }
    const auto* bytes = reinterpret_cast<const unsigned char*>(input.data());
    std::string out(1024, '\0');
    std::size_t size = out.size();
    require(EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(out.data()), &size, bytes,
                           input.size()) == 1);
    out.resize(size);
    return algorithm.starts_with("ES") ? raw_signature(out) : out;
  }

 private:
  explicit key_pair(EVP_PKEY* key) : key_(key, EVP_PKEY_free) { require(key != nullptr); }

  [[nodiscard]] std::string number(const char* name, int size) const {
    BIGNUM* n = nullptr;
    require(EVP_PKEY_get_bn_param(key_.get(), name, &n) == 1);
    std::string bytes(static_cast<std::size_t>(size > 0 ? size : BN_num_bytes(n)), '\0');
    BN_bn2binpad(n, reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
    BN_free(n);
    return base64url(bytes);
  }

  /// r and s side by side (RFC 7518 3.4) instead of DER.
  [[nodiscard]] std::string raw_signature(const std::string& der) const {
    const auto* at = reinterpret_cast<const unsigned char*>(der.data());
    ECDSA_SIG* signature = d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size()));
    const int half = (EVP_PKEY_get_bits(key_.get()) + 7) / 8;
    std::string raw(static_cast<std::size_t>(half) * 2, '\0');
    auto* out = reinterpret_cast<unsigned char*>(raw.data());
    BN_bn2binpad(ECDSA_SIG_get0_r(signature), out, half);
    BN_bn2binpad(ECDSA_SIG_get0_s(signature), out + half, half);
    ECDSA_SIG_free(signature);
    return raw;
  }

  std::shared_ptr<EVP_PKEY> key_;
};

/// `sign(input)` gives the bytes of the signature.
template <class Sign>
std::string make_token(std::string_view header, std::string_view payload, Sign sign) {
  const std::string input = base64url(header) + "." + base64url(payload);
  return input + "." + base64url(sign(input));
}

}  // namespace weir::test
