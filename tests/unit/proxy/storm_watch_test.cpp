// SPDX-License-Identifier: Apache-2.0
#include "proxy/runtime/storm_watch.hpp"

#include <doctest/doctest.h>

using weir::proxy::storm_watch;

TEST_CASE("a storm is over once, when most of its connections have left") {
  storm_watch watch;
  CHECK_FALSE(watch.over(10));
  CHECK_FALSE(watch.over(10'000));
  CHECK_FALSE(watch.over(5001));
  CHECK(watch.over(5000));
  CHECK_FALSE(watch.over(4000));
  CHECK(watch.over(100));  // the rest of a large storm is one, too
  CHECK_FALSE(watch.over(0));
}

TEST_CASE("few connections are no storm") {
  storm_watch watch;
  CHECK_FALSE(watch.over(storm_watch::least_peak - 1));
  CHECK_FALSE(watch.over(0));
}
