// SPDX-License-Identifier: Apache-2.0
#include "proxy/runtime/descriptors.hpp"

#include <algorithm>
#include <doctest/doctest.h>

using namespace weir::proxy;

TEST_CASE("the number of a new descriptor tells how many are left") {
  const int limit = descriptor_limit();
  REQUIRE(limit > 0);
  CHECK_FALSE(short_of_descriptors(0, descriptors_kept_from_upstreams));
  CHECK_FALSE(short_of_descriptors(limit - 9, 8));
  CHECK(short_of_descriptors(limit - 8, 8));
  const int kept = std::min(descriptors_kept_from_clients, limit / 4);
  CHECK(short_of_client_descriptors(limit - kept));
  CHECK_FALSE(short_of_client_descriptors(limit - kept - 1));
}
