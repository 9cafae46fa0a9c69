// SPDX-License-Identifier: Apache-2.0
#include "proxy/upstream/health/health_board.hpp"

#include "proxy/upstream/health/check_verdict.hpp"

#include <doctest/doctest.h>
#include <random>

using namespace weir::proxy;

namespace {

constexpr std::int64_t second = 1'000'000;
constexpr std::uint32_t unlucky = ~0u;
using kind = health_change::kind;

struct bench {
  outlier_settings settings;
  std::int64_t now = 1000 * second;
  health_board board;

  explicit bench(std::size_t endpoints, int max_ejected = 50)
      : settings{.max_ejected = max_ejected}, board(settings, endpoints) {}

  health_change attempt(std::size_t i, attempt_result how) {
    const bool probe = board.begin(i, now);
    return board.end(i, probe, how, now);
  }
  health_change fail(std::size_t i) {
    health_change last;
    for (int n = 0; n < 5; ++n) last = attempt(i, attempt_result::bad);
    return last;
  }
  standing seen(std::size_t i, bool retry = false) const { return board.standing_of(i, retry, unlucky, now); }
};

}  // namespace

TEST_CASE("a failing endpoint is out, comes back through one probe, and says why") {
  bench b(2);
  CHECK(b.fail(0).what == kind::out);
  CHECK_FALSE(b.board.up(0));
  CHECK(b.seen(0) == standing::out);
  b.now += 5 * second;
  CHECK(b.seen(0) == standing::fine);
  const bool probe = b.board.begin(0, b.now);
  CHECK(probe);
  CHECK(b.seen(0) == standing::out);
  CHECK_FALSE(b.board.up(0));
  CHECK(b.board.end(0, probe, attempt_result::good, b.now).what == kind::back);
  CHECK(b.board.up(0));
  CHECK(b.board.ejected() == 0);
}

TEST_CASE("a failed probe is an ejection of its own") {
  bench b(2);
  b.fail(0);
  b.now += 5 * second;
  const health_change change = b.attempt(0, attempt_result::bad);
  CHECK(change.what == kind::out);
  CHECK(change.reason == eject_reason::probe_failed);
  CHECK_FALSE(change.toggled);
  CHECK(b.board.ejected() == 1);
}

TEST_CASE("at most half of the endpoints are ejected, and room that becomes free is used") {
  for (const std::size_t n : {2u, 3u, 5u, 8u, 100u}) {
    bench b(n);
    for (std::size_t i = 0; i < n; ++i) b.fail(i);
    CHECK(b.board.ejected() == n / 2);
    b.now += 5 * second;
    CHECK(b.attempt(0, attempt_result::good).what == kind::back);
    CHECK(b.attempt(n - 1, attempt_result::bad).what == kind::out);  // its failures were not forgotten
    CHECK(b.board.ejected() == n / 2);
  }
}

TEST_CASE("the last endpoint is never ejected, whatever max_ejected says") {
  bench one(1, 100);
  CHECK(one.fail(0).what == kind::none);
  bench three(3, 100);
  for (std::size_t i = 0; i < 3; ++i) three.fail(i);
  CHECK(three.board.ejected() == 2);
  CHECK(three.board.up(2));
  bench checked(2, 100);
  checked.board.checked(0, false);
  CHECK(checked.fail(1).what == kind::none);  // the other one is out by its checks
}

TEST_CASE("max_ejected of zero turns ejection off") {
  bench b(10, 0);
  CHECK(b.fail(3).what == kind::none);
}

TEST_CASE("an endpoint is in use when its circuit and its checks agree") {
  bench b(4);
  CHECK(b.board.checked(0, false).reason == eject_reason::health_check);
  CHECK(b.seen(0) == standing::out);
  CHECK(b.fail(0).toggled == false);  // out already
  b.now += 5 * second;
  CHECK(b.seen(0) == standing::out);  // the circuit would let a probe pass, the checks do not
  CHECK(b.board.checked(0, true).what == kind::none);
  CHECK(b.seen(0) == standing::fine);
  CHECK_FALSE(b.board.up(0));
  CHECK(b.attempt(0, attempt_result::good).what == kind::back);
}

TEST_CASE("an attempt that says nothing changes nothing") {
  bench b(2);
  for (int i = 0; i < 4; ++i) b.attempt(0, attempt_result::bad);
  for (int i = 0; i < 100; ++i) CHECK(b.attempt(0, attempt_result::abandoned).what == kind::none);
  CHECK(b.attempt(0, attempt_result::bad).what == kind::out);
}

TEST_CASE("an endpoint that asks to be left alone gets a tenth, and no retry") {
  bench b(2);
  b.board.refused(0, 3 * second, b.now);
  CHECK(b.seen(0) == standing::refusing);
  CHECK(b.seen(0, true) == standing::refusing);
  CHECK(b.board.standing_of(0, true, 0, b.now) == standing::refusing);
  std::mt19937 random(1);
  int open = 0;
  for (int i = 0; i < 100'000; ++i)
    open += b.board.standing_of(0, false, static_cast<std::uint32_t>(random()), b.now) == standing::fine;
  CHECK(open == doctest::Approx(10'000).epsilon(0.03));
  b.now += 3 * second;
  CHECK(b.seen(0) == standing::fine);
  CHECK(b.seen(0, true) == standing::fine);
}

TEST_CASE("a refusal without a time lasts a second and forbids no retry") {
  bench b(2);
  b.board.refused(0, -1, b.now);
  CHECK(b.seen(0) == standing::refusing);
  CHECK(b.seen(0, true) == standing::fine);
  CHECK(b.board.wait_us(b.now) == 0);
  b.now += second;
  CHECK(b.seen(0) == standing::fine);
}

TEST_CASE("deweight_429 off leaves the share and keeps retries away") {
  bench b(2);
  b.settings.deweight_429 = false;
  b.board = health_board(b.settings, 2);
  b.board.refused(0, second, b.now);
  CHECK(b.seen(0) == standing::fine);
  CHECK(b.seen(0, true) == standing::refusing);
}

TEST_CASE("a retry waits for the first endpoint in use that takes it") {
  bench b(3);
  CHECK(b.board.wait_us(b.now) == 0);
  b.board.refused(0, 7 * second, b.now);
  b.board.refused(1, 3 * second, b.now);
  CHECK(b.board.wait_us(b.now) == 0);
  b.fail(2);
  CHECK(b.board.wait_us(b.now) == 3 * second);
  CHECK(b.board.wait_us(b.now + second) == 2 * second);
  b.board.refused(1, second, b.now);  // the longer one stands
  CHECK(b.board.wait_us(b.now) == 3 * second);
}

TEST_CASE("checks need their number in a row, both ways") {
  check_verdict verdict(2, 3);
  CHECK(verdict.healthy());
  CHECK_FALSE(verdict.add(false));
  CHECK_FALSE(verdict.add(true));
  CHECK_FALSE(verdict.add(false));
  CHECK(verdict.add(false) == false);
  CHECK_FALSE(verdict.add(false));
  CHECK_FALSE(verdict.add(true));
  CHECK_FALSE(verdict.add(true));
  CHECK_FALSE(verdict.add(false));
  CHECK_FALSE(verdict.add(true));
  CHECK_FALSE(verdict.add(true));
  CHECK(verdict.add(true) == true);
}

TEST_CASE("whatever happens, the books of the board agree") {
  std::mt19937 random(3);
  for (int seed = 0; seed < 50; ++seed) {
    const std::size_t n = 1 + random() % 9;
    bench b(n, static_cast<int>(random() % 101));
    std::vector<int> ups(n, 1);
    std::vector<std::pair<std::size_t, bool>> open;
    for (int step = 0; step < 3000; ++step) {
      b.now += static_cast<std::int64_t>(random() % 500'000);
      const std::size_t i = random() % n;
      health_change change;
      std::size_t of = i;
      switch (random() % 8) {
        case 0:
          change = b.board.checked(i, random() % 2 == 0);
          break;
        case 1:
        case 2:
        case 3:
          open.emplace_back(i, b.board.begin(i, b.now));
          break;
        default:
          if (open.empty()) break;
          std::swap(open[random() % open.size()], open.back());
          of = open.back().first;
          change = b.board.end(of, open.back().second, static_cast<attempt_result>(random() % 3), b.now);
          open.pop_back();
      }
      if (change.toggled) ups[of] = change.what == kind::back;
      std::size_t probes = 0;
      for (const auto& [endpoint, probe] : open) probes += probe ? 1 : 0;
      REQUIRE(probes <= b.board.ejected());
      REQUIRE(b.board.ejected() <= n * static_cast<std::size_t>(b.settings.max_ejected) / 100);
      for (std::size_t e = 0; e < n; ++e) REQUIRE(b.board.up(e) == (ups[e] == 1));
    }
  }
}
