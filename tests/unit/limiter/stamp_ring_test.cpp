// SPDX-License-Identifier: Apache-2.0
#include "limiter/algorithms/stamp_ring.hpp"

#include <algorithm>
#include <deque>
#include <doctest/doctest.h>
#include <random>

using weir::limiter::stamp_ring;
using weir::limiter::stored_state;

namespace {

constexpr std::int64_t minute = 60'000'000;
constexpr std::int64_t epoch_us = 1'800'000'000'000'000;

/// A state whose stamps are also kept plainly.
struct twin {
  stored_state state;
  std::deque<std::int64_t> plain;

  void change(std::int64_t dropped, std::int64_t given_back, std::int64_t stamp, std::int64_t units,
              std::int64_t window_us) {
    stamp_ring ring(state);
    ring.pop_front(dropped);
    ring.pop_back(given_back);
    ring.reserve(ring.size() + units, window_us, state.extra);
    ring.push_back(stamp, units);
    ring.keep(state, window_us);
    state.pinned_until_us = ring.size() > 0 ? ring.at(0) : 0;
    plain.erase(plain.begin(), plain.begin() + dropped);
    plain.resize(plain.size() - static_cast<std::size_t>(given_back));
    plain.insert(plain.end(), static_cast<std::size_t>(units), stamp);
  }

  void check(std::int64_t window_us) const {
    const stamp_ring ring(state);
    REQUIRE(ring.size() == static_cast<std::int64_t>(plain.size()));
    for (std::size_t i = 0; i < plain.size(); ++i) REQUIRE(ring.at(static_cast<std::int64_t>(i)) == plain[i]);
    REQUIRE(state.expires_at_us == (plain.empty() ? 0 : plain.back() + window_us));
  }
};

/// `window_of` the step.
template <class F>
void random_changes(F window_of, std::int64_t longest) {
  std::mt19937_64 random(20'261'128);
  const auto below = [&random](std::int64_t n) {
    return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(n + 1));
  };
  twin t;
  std::int64_t now_us = epoch_us;
  for (int step = 0; step < 2'000; ++step) {
    const std::int64_t window_us = window_of(step);
    now_us += below(window_us / 7);
    const auto held = static_cast<std::int64_t>(t.plain.size());
    const std::int64_t expired =
        std::upper_bound(t.plain.begin(), t.plain.end(), now_us - window_us) - t.plain.begin();
    const std::int64_t dropped =
        std::max(expired, random() % 4 == 0 ? below(held) : std::min<std::int64_t>(held, below(1)));
    const std::int64_t given_back = random() % 8 == 0 ? below(held - dropped) : 0;
    const std::int64_t units = below(std::min<std::int64_t>(longest - held + dropped + given_back, 5));
    t.change(dropped, given_back, now_us, units, window_us);
    t.check(window_us);
  }
}

}  // namespace

TEST_CASE("a ring of stamps is what a plain list would be, whatever is added and dropped") {
  SUBCASE("short windows") {
    random_changes([](int) { return minute; }, 12);
  }
  SUBCASE("the longest window of narrow slots") {
    random_changes([](int) { return stamp_ring::longest_narrow_us; }, 12);
  }
  SUBCASE("the shortest window of wide slots") {
    random_changes([](int) { return stamp_ring::longest_narrow_us + 1; }, 12);
  }
  SUBCASE("windows too long for their place in the state") {
    random_changes([](int) { return 31 * 24 * 60 * minute; }, 12);
  }
  SUBCASE("windows that become longer and shorter") {
    random_changes([](int step) { return (step / 3 % 2 == 0 ? 50 : 90) * minute; }, 100);
  }
  SUBCASE("long logs") {
    random_changes([](int) { return minute; }, 10'000);
  }
}

TEST_CASE("the longest log that is legal fits into a ring") {
  twin t;
  for (std::int64_t i = 0; i < 10'000; ++i) t.change(0, 0, epoch_us + i, 1, minute);
  for (std::int64_t i = 0; i < 5'000; ++i) t.change(3, 0, epoch_us + 10'000 + i, 3, minute);
  t.check(minute);
}

TEST_CASE("both ends are told from the state alone while units are free") {
  twin t;
  t.change(0, 0, epoch_us, 1, minute);
  t.change(0, 0, epoch_us + 5, 2, minute);
  for (int i = 0; i < 3; ++i) t.state.extra.array<std::uint32_t>()[i] = 0;  // a slot that was read would show
  const stamp_ring ring(t.state);
  CHECK(ring.at(0) == epoch_us);
  CHECK(ring.at(2) == epoch_us + 5);
}

TEST_CASE("as many units take no more memory in narrow slots than in wide ones") {
  for (std::int64_t units = 1; units <= 10'000; units += 1 + units / 16) {
    const auto room = [units](std::int64_t window_us) {
      twin t;
      t.change(0, 0, epoch_us, units, window_us);
      return stamp_ring(t.state).room();
    };
    REQUIRE(room(minute) <= 2 * room(90 * minute));
  }
}

TEST_CASE("a ring that denies keeps its oldest stamp in its slot") {
  twin t;
  t.change(0, 0, epoch_us, 1, minute);
  t.change(0, 0, epoch_us + 5, 1, minute);
  t.state.pinned_until_us = epoch_us + minute;
  t.check(minute);
}
