// SPDX-License-Identifier: Apache-2.0
#include "proxy/observe/deployment.hpp"

#include <cstdlib>

namespace weir::proxy {
namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

}  // namespace

const deployment& this_deployment() {
  static const deployment here{environment("POD_NAME"), environment("POD_NAMESPACE"),
                               environment("NODE_NAME")};
  return here;
}

}  // namespace weir::proxy
