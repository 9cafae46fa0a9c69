// SPDX-License-Identifier: Apache-2.0
// `weir health`: is the weir behind this admin port ready?
#include "proxy/cli/admin_client.hpp"
#include "proxy/cli/cli.hpp"

#include <cstdio>

namespace weir::cli {

int health_command(const admin_options& options) {
  const admin_answer answer = ask_admin({"health", options.admin, "/readyz"});
  if (answer.exit_code != 0) return answer.exit_code;
  const bool ready = answer.status == 200;
  std::fputs(ready ? "ready\n" : "not ready\n", stdout);
  return ready ? exit_ok : exit_failure;
}

}  // namespace weir::cli
