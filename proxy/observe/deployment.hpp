// SPDX-License-Identifier: Apache-2.0
// Where this process runs, as the Kubernetes downward API tells it.
#pragma once

#include <string>

namespace weir::proxy {

/// Of the environment: POD_NAME, POD_NAMESPACE, NODE_NAME; empty when not set.
struct deployment {
  std::string pod;
  std::string pod_namespace;
  std::string node;
};

/// Read once, at the first call.
[[nodiscard]] const deployment& this_deployment();

/// What is running; static text.
struct build_info {
  const char* version = "";
  const char* revision = "";  ///< of the sources; empty: unknown
  const char* compiler = "";
};

}  // namespace weir::proxy
