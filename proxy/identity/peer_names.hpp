// SPDX-License-Identifier: Apache-2.0
// Who the other side of a connection is, by its verified certificate.
#pragma once

#include <string>

namespace weir::identity {

/// Empty where the certificate has no such name. Of several alternative names the first.
struct peer_names {
  std::string subject;  ///< RFC 2253: `CN=billing,O=Example`
  std::string san_dns;
  std::string san_uri;
};

}  // namespace weir::identity
