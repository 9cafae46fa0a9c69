// SPDX-License-Identifier: Apache-2.0
// The decision script of the tests: the production core behind a prelude that takes the time as last
// argument.
#pragma once

#include "lua/scripts.hpp"

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

namespace weir::tests {

/// WEIR_TEST_CORE names a file to use instead of the embedded core: how mutants.py shows that the tests
/// notice.
inline std::string script_with_argument_clock() {
  std::string core(lua::decide_core());
  if (const char* path = std::getenv("WEIR_TEST_CORE")) {
    std::ifstream in(path, std::ios::binary);
    core.assign(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  return "local now = tonumber(table.remove(ARGV))\n" + core;
}

/// The script for packs likewise; WEIR_TEST_PACK_CORE names another core.
inline std::string pack_script_with_argument_clock() {
  std::string core(lua::pack_core());
  if (const char* path = std::getenv("WEIR_TEST_PACK_CORE")) {
    std::ifstream in(path, std::ios::binary);
    core.assign(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  return "local now = tonumber(table.remove(ARGV))\n" + core;
}

}  // namespace weir::tests
