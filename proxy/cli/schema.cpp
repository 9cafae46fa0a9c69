// SPDX-License-Identifier: Apache-2.0
#include "config/schema/json_schema.hpp"
#include "proxy/cli/cli.hpp"

#include <cstdio>

namespace weir::cli {

int schema_command() {
  std::fputs(config::json_schema_text().c_str(), stdout);
  return std::fflush(stdout) == 0 ? exit_ok : exit_failure;
}

}  // namespace weir::cli
