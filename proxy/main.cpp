// SPDX-License-Identifier: Apache-2.0
#include "proxy/cli/cli.hpp"

int main(int argc, char** argv) {
  return weir::cli::run_cli(argc, argv);
}
