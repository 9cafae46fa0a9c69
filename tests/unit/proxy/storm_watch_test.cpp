// SPDX-License-Identifier: Apache-2.0
#include "proxy/runtime/storm_watch.hpp"

#include <doctest/doctest.h>

using weir::proxy::storm_watch;

TEST_CASE("memory goes back each time that half of a storm has left") {
  storm_watch watch;
  CHECK_FALSE(watch.has_halved(10));
  CHECK_FALSE(watch.has_halved(10'000));
  CHECK_FALSE(watch.has_halved(5001));
  CHECK(watch.has_halved(5000));
  CHECK_FALSE(watch.has_halved(4000));
  CHECK(watch.has_halved(100));
  CHECK(watch.has_halved(50));  // the last of a storm, although they would be none by themselves
  CHECK(watch.has_halved(storm_watch::rest));
  CHECK_FALSE(watch.has_halved(0));
}

TEST_CASE("few connections are no storm, and none is left by one that is over") {
  storm_watch watch;
  CHECK_FALSE(watch.has_halved(storm_watch::least_peak - 1));
  CHECK_FALSE(watch.has_halved(0));
  CHECK_FALSE(watch.has_halved(storm_watch::least_peak));
  CHECK(watch.has_halved(0));
  CHECK_FALSE(watch.has_halved(100));
  CHECK_FALSE(watch.has_halved(0));
}
