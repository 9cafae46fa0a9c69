// SPDX-License-Identifier: Apache-2.0
#include "proxy/downstream/connection_places.hpp"

#include <doctest/doctest.h>
#include <thread>
#include <vector>

using weir::proxy::connection_places;
using refusal = connection_places::refusal;

TEST_CASE("an address group has at most its number of places, and others have theirs") {
  connection_places places(100);
  auto a = places.take("10.0.0.1", 2);
  auto b = places.take("10.0.0.1", 2);
  CHECK(a.taken.taken());
  CHECK(b.taken.taken());
  CHECK(places.take("10.0.0.1", 2).why == refusal::address);
  CHECK(places.take("10.0.0.2", 2).why == refusal::none);
  CHECK(places.open() == 2);
}

TEST_CASE("a place comes back when its connection ends, and moving it takes none") {
  connection_places places(100);
  {
    auto answer = places.take("10.0.0.1", 1);
    connection_places::place moved = std::move(answer.taken);
    CHECK_FALSE(answer.taken.taken());
    CHECK(moved.taken());
    CHECK(places.take("10.0.0.1", 1).why == refusal::address);
  }
  CHECK(places.open() == 0);
  CHECK(places.take("10.0.0.1", 1).why == refusal::none);
}

TEST_CASE("an empty group counts in total only") {
  connection_places places(3);
  std::vector<connection_places::answer> held;
  for (int i = 0; i < 3; ++i) held.push_back(places.take("", 1));
  CHECK(held.back().why == refusal::none);
  CHECK(places.take("", 1).why == refusal::total);
  CHECK(places.take("10.0.0.1", 1).why == refusal::total);
  held.clear();
  CHECK(places.take("10.0.0.1", 1).why == refusal::none);
}

TEST_CASE("workers on several threads never hold more places than there are") {
  connection_places places(5);
  std::vector<std::thread> workers;
  std::atomic<bool> exceeded{false};
  for (int w = 0; w < 4; ++w) {
    workers.emplace_back([&] {
      for (int i = 0; i < 2000; ++i) {
        auto mine = places.take(i % 2 == 0 ? "a" : "b", 3);
        auto another = places.take("c", 1000);
        if (places.open() > 5 + 4) exceeded = true;  // a refused one counts for a moment
      }
    });
  }
  for (std::thread& t : workers) t.join();
  CHECK_FALSE(exceeded);
  CHECK(places.open() == 0);
}
