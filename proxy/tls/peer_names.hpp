// SPDX-License-Identifier: Apache-2.0
// Who the other side of a TLS connection is, by its certificate.
#pragma once

#include <memory>
#include <openssl/types.h>
#include <string>

namespace weir::proxy::tls {

/// Empty where the certificate has no such name. Of several alternative names the first.
struct peer_names {
  std::string subject;  ///< RFC 2253: `CN=billing,O=Example`
  std::string san_dns;
  std::string san_uri;
};

/// Names of the peer's certificate after the handshake; null when it showed none, or none that was verified.
/// A name with a zero byte, or of more than 1024 bytes, is left out.
[[nodiscard]] std::unique_ptr<const peer_names> verified_peer(const SSL* ssl);

}  // namespace weir::proxy::tls
