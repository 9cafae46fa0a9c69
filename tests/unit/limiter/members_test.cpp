// SPDX-License-Identifier: Apache-2.0
#include "limiter/sharing/members.hpp"

#include <doctest/doctest.h>

using namespace weir::limiter;

namespace {
constexpr std::int64_t second = 1'000'000;
}

TEST_CASE("before anything is heard there is one member") {
  const members m(0);
  CHECK(m.count(5 * second) == 1);
}

TEST_CASE("the largest number of the last minute counts") {
  members m(0);
  m.heard({.members = 3}, 100 * second);
  m.heard({.members = 5}, 101 * second);
  m.heard({.members = 2}, 102 * second);
  CHECK(m.count(102 * second) == 5);
  for (int i = 103; i <= 161; ++i) m.heard({.members = 2}, i * second);
  CHECK(m.count(161 * second) == 5);
  m.heard({.members = 2}, 162 * second);
  CHECK(m.count(162 * second) == 2);
}

TEST_CASE("while nothing is heard the last number holds") {
  members m(0);
  m.heard({.members = 7}, 100 * second);
  CHECK(m.count(1000 * second) == 7);
}

TEST_CASE("a number that is set is not overruled") {
  members m(4);
  m.heard({.members = 7}, second);
  CHECK(m.count(second) == 4);
}

TEST_CASE("a store that tells nonsense is not believed") {
  members m(0);
  m.heard({.members = 0}, second);
  CHECK(m.count(second) == 1);
  m.heard({.members = -5}, 2 * second);
  CHECK(m.count(2 * second) == 1);
}

TEST_CASE("a changed reset number and other configurations are told once") {
  members m(0);
  m.heard({.resets = 9}, second);
  CHECK(!m.take_reset());
  m.heard({.resets = 10}, 2 * second);
  CHECK(m.take_reset());
  CHECK(!m.take_reset());

  CHECK(!m.take_mismatch());
  m.heard({.configurations = 2, .resets = 10}, 3 * second);
  CHECK(m.take_mismatch());
  m.heard({.configurations = 2, .resets = 10}, 4 * second);
  CHECK(!m.take_mismatch());
  m.heard({.configurations = 1, .resets = 10}, 5 * second);
  m.heard({.configurations = 3, .resets = 10}, 6 * second);
  CHECK(m.take_mismatch());
}
