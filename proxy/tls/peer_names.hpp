// SPDX-License-Identifier: Apache-2.0
// Reads the names in the certificate that the other side of a TLS connection showed.
#pragma once

#include "proxy/identity/peer_names.hpp"

#include <memory>
#include <openssl/types.h>

namespace weir::proxy::tls {

/// Names of the peer's certificate after the handshake; null when it showed none, or none that was verified.
/// A name with a zero byte, or of more than 1024 bytes, is left out.
[[nodiscard]] std::unique_ptr<const identity::peer_names> verified_peer(const SSL* ssl);

}  // namespace weir::proxy::tls
