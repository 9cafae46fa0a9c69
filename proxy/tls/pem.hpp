// SPDX-License-Identifier: Apache-2.0
// PEM text as a policy file names it: is it what it should be? No sockets.
#pragma once

#include <cstdint>
#include <memory>
#include <openssl/types.h>
#include <string>
#include <string_view>
#include <vector>

namespace weir::proxy::tls {

struct x509_deleter {
  void operator()(X509* certificate) const noexcept;
};
using x509_ptr = std::unique_ptr<X509, x509_deleter>;

struct pkey_deleter {
  void operator()(EVP_PKEY* key) const noexcept;
};
using pkey_ptr = std::unique_ptr<EVP_PKEY, pkey_deleter>;

/// Every certificate of the text, in order; empty when there is none or one of them is malformed.
[[nodiscard]] std::vector<x509_ptr> parse_certificates(std::string_view pem);

/// The first private key of the text; null when there is none, or when it is encrypted.
[[nodiscard]] pkey_ptr parse_private_key(std::string_view pem);

/// Why a server or client could not show this chain (leaf first) with this key; empty when it can. Never
/// quotes them.
[[nodiscard]] std::string pair_problem(std::string_view certificate, std::string_view key);

/// When the leaf ends, in Unix seconds; 0 when the text holds none.
[[nodiscard]] std::int64_t expiry_s(std::string_view certificate);

}  // namespace weir::proxy::tls
