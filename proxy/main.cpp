// SPDX-License-Identifier: Apache-2.0
#include "proxy/cli/cli.hpp"
#include "proxy/runtime/descriptors.hpp"

int main(int argc, char** argv) {
  weir::proxy::occupy_standard_streams();
  return weir::cli::run_cli(argc, argv);
}
