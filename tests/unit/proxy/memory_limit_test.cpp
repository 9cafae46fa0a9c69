// SPDX-License-Identifier: Apache-2.0
#include "proxy/runtime/memory_limit.hpp"

#include <doctest/doctest.h>
#include <limits>

using namespace weir::proxy;

TEST_CASE("the cgroup's memory limit is read as it is written") {
  CHECK(parse_memory_max("268435456\n") == 268435456u);
  CHECK_FALSE(parse_memory_max("max\n"));
  CHECK_FALSE(parse_memory_max(""));
  CHECK_FALSE(parse_memory_max("0"));
  CHECK_FALSE(parse_memory_max("9223372036854771712\n"));  // v1 without a limit
}

TEST_CASE("half of the memory is for buffers, shared by the workers; without a limit there is no bound") {
  CHECK(buffer_budget(256u << 20, 2) == 64u << 20);
  CHECK(buffer_budget(std::nullopt, 2) == std::numeric_limits<std::size_t>::max());
}
