// SPDX-License-Identifier: Apache-2.0
// The decision script of the tests: the production core behind a prelude that takes the time as last
// argument.
#pragma once

#include "lua/scripts.hpp"

#include <string>

namespace weir::tests {

inline std::string script_with_argument_clock() {
  return "local now = tonumber(table.remove(ARGV))\n" + std::string(lua::decide_core());
}

}  // namespace weir::tests
