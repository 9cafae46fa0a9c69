// SPDX-License-Identifier: Apache-2.0
#include "proxy/identity/jwt_keys.hpp"

#include "proxy/identity/base64url.hpp"
#include "proxy/identity/strict_json.hpp"

#include <algorithm>
#include <array>
#include <cjose/cjose.h>
#include <cstring>
#include <fmt/format.h>
#include <vector>

namespace weir::identity {
namespace {

struct algorithm_row {
  std::string_view name;
  cjose_jwk_kty_t type;
  int curve;                 ///< of EC keys
  std::size_t hash_size;     ///< bytes: of an HMAC signature, and the least size of its key (RFC 7518 3.2)
  std::size_t ec_signature;  ///< bytes: r and s (RFC 7518 3.4)
};

constexpr std::array<algorithm_row, 12> algorithm_rows{{
    {"RS256", CJOSE_JWK_KTY_RSA, 0, 32, 0},
    {"RS384", CJOSE_JWK_KTY_RSA, 0, 48, 0},
    {"RS512", CJOSE_JWK_KTY_RSA, 0, 64, 0},
    {"PS256", CJOSE_JWK_KTY_RSA, 0, 32, 0},
    {"PS384", CJOSE_JWK_KTY_RSA, 0, 48, 0},
    {"PS512", CJOSE_JWK_KTY_RSA, 0, 64, 0},
    {"ES256", CJOSE_JWK_KTY_EC, CJOSE_JWK_EC_P_256, 32, 64},
    {"ES384", CJOSE_JWK_KTY_EC, CJOSE_JWK_EC_P_384, 48, 96},
    {"ES512", CJOSE_JWK_KTY_EC, CJOSE_JWK_EC_P_521, 64, 132},
    {"HS256", CJOSE_JWK_KTY_OCT, 0, 32, 0},
    {"HS384", CJOSE_JWK_KTY_OCT, 0, 48, 0},
    {"HS512", CJOSE_JWK_KTY_OCT, 0, 64, 0},
}};

const algorithm_row* find_algorithm(std::string_view name) noexcept {
  for (const algorithm_row& row : algorithm_rows) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

struct jwk_release {
  void operator()(cjose_jwk_t* key) const noexcept { cjose_jwk_release(key); }
};
using jwk_owner = std::unique_ptr<cjose_jwk_t, jwk_release>;

struct jws_release {
  void operator()(cjose_jws_t* token) const noexcept { cjose_jws_release(token); }
};
using jws_owner = std::unique_ptr<cjose_jws_t, jws_release>;

constexpr std::size_t rsa_bits_min = 2048;  // RFC 7518 3.3

/// Bits of RSA keys and secrets.
std::size_t key_bits(const cjose_jwk_t* key) noexcept {
  return cjose_jwk_get_keysize(key, nullptr);
}

/// True when a key of this kind and size may verify `algorithm`.
bool suits(const cjose_jwk_t* key, const algorithm_row& algorithm) noexcept {
  if (cjose_jwk_get_kty(key, nullptr) != algorithm.type) return false;
  switch (algorithm.type) {
    case CJOSE_JWK_KTY_RSA:
      return key_bits(key) >= rsa_bits_min;
    case CJOSE_JWK_KTY_EC:
      return cjose_jwk_EC_get_curve(key, nullptr) == algorithm.curve;
    case CJOSE_JWK_KTY_OCT:
      break;
  }
  return key_bits(key) >= algorithm.hash_size * 8;
}

bool is_for_signatures(const json_t* jwk) noexcept {
  const json_t* use = json_object_get(jwk, "use");
  if (use != nullptr && text_member(jwk, "use") != "sig") return false;
  const json_t* operations = json_object_get(jwk, "key_ops");
  if (operations == nullptr) return true;
  for (std::size_t i = 0; i < json_array_size(operations); ++i) {
    const json_t* operation = json_array_get(operations, i);
    if (json_is_string(operation) && std::strcmp(json_string_value(operation), "verify") == 0) return true;
  }
  return false;
}

bool is_known_type(std::string_view kty) noexcept {
  return kty == "RSA" || kty == "EC" || kty == "oct";
}

/// The numbers of a key are base64url. cjose aborts the process over some texts that are not.
bool has_readable_numbers(const json_t* jwk) {
  std::string decoded;
  for (const char* name : {"n", "e", "d", "p", "q", "dp", "dq", "qi", "x", "y", "k"}) {
    if (json_object_get(jwk, name) != nullptr && !append_base64url(decoded, text_member(jwk, name)))
      return false;
  }
  return true;
}

}  // namespace

struct jwt_keys::key {
  jwk_owner value;
  std::string kid;
  bool has_kid = false;
  std::vector<const algorithm_row*> algorithms;  // that it may verify, and no others

  [[nodiscard]] bool fits(std::string_view algorithm, std::string_view wanted_kid) const noexcept {
    if (has_kid && wanted_kid.data() != nullptr && kid != wanted_kid) return false;
    return std::any_of(algorithms.begin(), algorithms.end(),
                       [algorithm](const algorithm_row* row) { return row->name == algorithm; });
  }

  [[nodiscard]] std::size_t signature_size(const algorithm_row& algorithm) const noexcept {
    if (algorithm.type == CJOSE_JWK_KTY_RSA) return (key_bits(value.get()) + 7) / 8;
    return algorithm.type == CJOSE_JWK_KTY_EC ? algorithm.ec_signature : algorithm.hash_size;
  }

  void pin(std::span<const std::string> names) {
    for (const std::string& name : names) {
      const algorithm_row* row = find_algorithm(name);
      if (row != nullptr && suits(value.get(), *row)) algorithms.push_back(row);
    }
  }
};

std::span<const std::string_view> jwt_algorithm_names() noexcept {
  static const auto names = [] {
    std::array<std::string_view, algorithm_rows.size()> all;
    std::transform(algorithm_rows.begin(), algorithm_rows.end(), all.begin(),
                   [](const algorithm_row& row) { return row.name; });
    return all;
  }();
  return names;
}

jwt_keys::jwt_keys() : keys_(std::make_unique<key[]>(keys_max)) {}
jwt_keys::~jwt_keys() = default;

loaded_jwt_keys jwt_keys::from_jwks(std::string_view json, std::span<const std::string> algorithms) {
  const json_owner set = parse_object(json);
  const json_t* list = json_object_get(set.get(), "keys");
  if (!json_is_array(list))
    return {nullptr, "no JWK set: expected {\"keys\": [...]} without repeated members"};
  std::shared_ptr<jwt_keys> result(new jwt_keys);
  for (std::size_t i = 0; i < json_array_size(list); ++i) {
    json_t* jwk = json_array_get(list, i);
    if (!is_known_type(text_member(jwk, "kty")) || !is_for_signatures(jwk)) continue;
    if (result->count_ == keys_max)
      return {nullptr, fmt::format("more than {} keys for signatures", keys_max)};
    key& k = result->keys_[result->count_];
    if (has_readable_numbers(jwk)) k.value.reset(cjose_jwk_import_json(jwk, nullptr));
    if (!k.value) return {nullptr, fmt::format("key {} is malformed", i + 1)};
    if (const std::string_view kid = text_member(jwk, "kid"); kid.data() != nullptr) {
      k.kid = kid;
      k.has_kid = true;
    } else if (json_object_get(jwk, "kid") != nullptr) {
      return {nullptr, fmt::format("the kid of key {} is no text", i + 1)};
    }
    const std::string only(text_member(jwk, "alg"));
    const bool listed = std::find(algorithms.begin(), algorithms.end(), only) != algorithms.end();
    if (json_object_get(jwk, "alg") == nullptr) {
      k.pin(algorithms);
    } else if (listed) {
      k.pin({&only, 1});
    }
    if (!k.algorithms.empty()) {
      ++result->count_;
    } else {
      k = {};
    }
  }
  if (result->count_ == 0) {
    return {nullptr,
            fmt::format("no key fits `algorithms`: RSA keys need {} bits, secrets the size of the hash",
                        rsa_bits_min)};
  }
  return {std::move(result), {}};
}

loaded_jwt_keys jwt_keys::from_secret(std::string_view secret, std::span<const std::string> algorithms) {
  std::shared_ptr<jwt_keys> result(new jwt_keys);
  key& k = result->keys_[0];
  if (!secret.empty()) {
    k.value.reset(cjose_jwk_create_oct_spec(reinterpret_cast<const std::uint8_t*>(secret.data()),
                                            secret.size(), nullptr));
  }
  if (k.value) k.pin(algorithms);
  if (k.algorithms.empty()) {
    return {nullptr, "a secret needs an HS algorithm and at least as many bytes as its hash: 32, 48 or 64"};
  }
  result->count_ = 1;
  return {std::move(result), {}};
}

bool jwt_keys::fits(std::string_view algorithm, std::string_view kid) const noexcept {
  return std::any_of(keys_.get(), keys_.get() + count_, [&](const key& k) { return k.fits(algorithm, kid); });
}

bool jwt_keys::verify(std::string_view token, std::string_view algorithm, std::string_view kid,
                      std::size_t signature_size) const noexcept {
  const algorithm_row* row = find_algorithm(algorithm);
  if (row == nullptr) return false;
  const jws_owner jws(cjose_jws_import(token.data(), token.size(), nullptr));
  if (!jws) return false;
  return std::any_of(keys_.get(), keys_.get() + count_, [&](const key& k) {
    return k.fits(algorithm, kid) && k.signature_size(*row) == signature_size &&
           cjose_jws_verify(jws.get(), k.value.get(), nullptr);
  });
}

}  // namespace weir::identity
