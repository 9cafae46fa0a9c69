// SPDX-License-Identifier: Apache-2.0
#include "proxy/runtime/cpu_quota.hpp"

#include <doctest/doctest.h>

using weir::proxy::parse_cpu_max;

TEST_CASE("a cgroup quota is rounded up to whole CPUs") {
  CHECK(parse_cpu_max("200000 100000\n") == 2);
  CHECK(parse_cpu_max("150000 100000\n") == 2);
  CHECK(parse_cpu_max("50000 100000") == 1);
  CHECK(parse_cpu_max("99999999999 1") == 256);
}

TEST_CASE("no quota and garbage mean no bound") {
  CHECK_FALSE(parse_cpu_max("max 100000\n"));
  CHECK_FALSE(parse_cpu_max(""));
  CHECK_FALSE(parse_cpu_max("100000"));
  CHECK_FALSE(parse_cpu_max("0 100000"));
  CHECK_FALSE(parse_cpu_max("100000 0"));
  CHECK_FALSE(parse_cpu_max("-5 100000"));
}

TEST_CASE("automatic workers are at least one") {
  CHECK(weir::proxy::automatic_workers() >= 1);
  CHECK(weir::proxy::automatic_workers() <= 256);
}
