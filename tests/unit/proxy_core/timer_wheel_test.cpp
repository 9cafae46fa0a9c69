// SPDX-License-Identifier: Apache-2.0
#include "proxy/runtime/timer_wheel.hpp"

#include <doctest/doctest.h>
#include <functional>
#include <limits>
#include <memory>
#include <random>
#include <stdexcept>
#include <vector>

using weir::proxy::timer;
using weir::proxy::timer_wheel;

namespace {

constexpr std::int64_t tick = timer_wheel::tick_us;
constexpr std::int64_t second = 1'000'000;
constexpr std::int64_t hour = 3600 * second;

struct counting_timer final : timer {
  int fired = 0;
  std::function<void()> action;
  void on_timer() override {
    ++fired;
    if (action) action();
  }
};

}  // namespace

TEST_CASE("a timer fires once, at or after its deadline and within a tick of it") {
  for (const std::int64_t delay :
       {std::int64_t{1}, tick - 1, tick, tick + 1, 255 * tick, 256 * tick, 257 * tick, 511 * tick, 512 * tick,
        60 * second, 262 * second, 263 * second, hour, 30 * hour}) {
    for (const std::int64_t start :
         {std::int64_t{0}, 17 * tick + 5, 255 * tick, 256 * tick - 1, 5 * hour + 77}) {
      CAPTURE(delay);
      CAPTURE(start);
      timer_wheel wheel(start);
      counting_timer t;
      wheel.arm(t, start + delay);
      for (std::int64_t wake = wheel.next_wake_us(); wake >= 0; wake = wheel.next_wake_us()) {
        REQUIRE(t.fired == 0);
        wheel.advance(wake - 1);
        REQUIRE(t.fired == 0);
        wheel.advance(wake);
        if (t.fired == 1) {
          REQUIRE(wake >= start + delay);
          REQUIRE(wake < start + delay + tick);
        }
      }
      CHECK(t.fired == 1);
      CHECK_FALSE(t.armed());
    }
  }
}

TEST_CASE("a deadline that has passed fires at the next tick") {
  timer_wheel wheel(10 * second);
  counting_timer t;
  wheel.arm(t, 3);
  CHECK(wheel.next_wake_us() == 10 * second + tick);
  wheel.advance(10 * second + tick);
  CHECK(t.fired == 1);
}

TEST_CASE("a wheel without timers never wakes") {
  timer_wheel wheel(0);
  CHECK(wheel.next_wake_us() == -1);
  counting_timer t;
  wheel.arm(t, second);
  wheel.disarm(t);
  wheel.disarm(t);
  CHECK(wheel.next_wake_us() == -1);
  CHECK(wheel.size() == 0);
  wheel.advance(2 * second);
  CHECK(t.fired == 0);
}

TEST_CASE("pushing a deadline back keeps the timer in its slot until that comes up") {
  timer_wheel wheel(0);
  counting_timer t;
  wheel.arm(t, second);
  wheel.arm(t, 10 * second);
  CHECK(t.deadline_us() == 10 * second);
  CHECK(wheel.next_wake_us() == second);  // the old slot
  wheel.advance(second);
  CHECK(t.fired == 0);
  CHECK(wheel.size() == 1);
  wheel.advance(10 * second - 1);
  CHECK(t.fired == 0);
  wheel.advance(10 * second);
  CHECK(t.fired == 1);
}

TEST_CASE("pulling a deadline forward takes effect at once") {
  timer_wheel wheel(0);
  counting_timer t;
  for (const std::int64_t deadline : {10 * hour, 100 * second, 500 * tick, 3 * tick}) wheel.arm(t, deadline);
  CHECK(wheel.size() == 1);
  CHECK(wheel.next_wake_us() == 3 * tick);
  wheel.advance(3 * tick);
  CHECK(t.fired == 1);
}

TEST_CASE("a timer that is pushed back and then pulled forward to where it was fires there") {
  timer_wheel wheel(0);
  counting_timer t;
  wheel.arm(t, second);
  wheel.arm(t, hour);
  wheel.arm(t, second);
  wheel.advance(second);
  CHECK(t.fired == 1);
}

TEST_CASE("a destroyed timer leaves the wheel") {
  timer_wheel wheel(0);
  {
    counting_timer t;
    wheel.arm(t, second);
    CHECK(wheel.size() == 1);
  }
  CHECK(wheel.size() == 0);
  wheel.advance(2 * second);
}

TEST_CASE("timers outlive the wheel disarmed") {
  counting_timer near, far, beyond;
  {
    timer_wheel wheel(0);
    wheel.arm(near, tick);
    wheel.arm(far, 100 * second);
    wheel.arm(beyond, 100 * hour);
  }
  CHECK_FALSE(near.armed());
  CHECK_FALSE(far.armed());
  CHECK_FALSE(beyond.armed());
}

TEST_CASE("a callback may arm its own timer again") {
  timer_wheel wheel(0);
  counting_timer t;
  t.action = [&] { wheel.arm(t, t.deadline_us() + second); };
  wheel.arm(t, second);
  for (std::int64_t now = 0; now <= 10 * second; now += tick) wheel.advance(now);
  CHECK(t.fired == 10);
}

TEST_CASE("a timer armed by a callback for the past fires at the next call, not in this one") {
  timer_wheel wheel(0);
  counting_timer t;
  t.action = [&] { wheel.arm(t, 0); };
  wheel.arm(t, second);
  wheel.advance(hour);  // many ticks late
  CHECK(t.fired == 1);
  CHECK(wheel.next_wake_us() == hour + tick);
  wheel.advance(hour + tick);
  CHECK(t.fired == 2);
}

TEST_CASE("a callback may disarm or destroy its neighbours of the same slot") {
  timer_wheel wheel(0);
  counting_timer first, disarmed;
  auto destroyed = std::make_unique<counting_timer>();
  first.action = [&] {
    wheel.disarm(disarmed);
    destroyed.reset();
  };
  wheel.arm(first, second);
  wheel.arm(disarmed, second);
  wheel.arm(*destroyed, second);
  wheel.advance(second);
  CHECK(first.fired == 1);
  CHECK(disarmed.fired == 0);
  CHECK(wheel.size() == 0);
}

TEST_CASE("a callback may destroy its own timer") {
  timer_wheel wheel(0);
  auto t = std::make_unique<counting_timer>();
  t->action = [&] { t.reset(); };
  wheel.arm(*t, second);
  wheel.advance(second);
  CHECK(t == nullptr);
}

TEST_CASE("a callback that throws loses no other timer") {
  timer_wheel wheel(0);
  counting_timer bad, good, later;
  bad.action = [] { throw std::runtime_error("x"); };
  wheel.arm(bad, second);
  wheel.arm(good, second);
  wheel.arm(later, 2 * second);
  CHECK_THROWS(wheel.advance(3 * second));
  wheel.advance(3 * second + tick);
  CHECK(bad.fired == 1);
  CHECK(good.fired == 1);
  CHECK(later.fired == 1);
}

TEST_CASE("a clock that steps back or stands still fires nothing twice and moves no slot") {
  const std::int64_t start = 10 * second;
  timer_wheel wheel(start);
  counting_timer t, u;
  wheel.arm(t, start + tick);
  wheel.advance(start + tick);
  wheel.arm(u, start + 2 * tick);
  wheel.advance(0);
  CHECK(wheel.next_wake_us() == start + 2 * tick);
  wheel.advance(start + tick);
  CHECK(u.fired == 0);
  wheel.advance(start + 2 * tick);
  CHECK(t.fired == 1);
  CHECK(u.fired == 1);
}

TEST_CASE("a deadline at the end of time never comes") {
  timer_wheel wheel(0);
  counting_timer t;
  wheel.arm(t, std::numeric_limits<std::int64_t>::max());
  CHECK(wheel.next_wake_us() > 0);
  wheel.advance(1000 * hour);
  CHECK(t.fired == 0);
  CHECK(wheel.size() == 1);
}

TEST_CASE("random arming, disarming and advancing fires what a list of deadlines would") {
  for (unsigned seed = 0; seed < 60; ++seed) {
    std::mt19937_64 random(seed);
    std::int64_t now = static_cast<std::int64_t>(random() % (2 * hour));
    timer_wheel wheel(now);
    std::vector<counting_timer> timers(24);
    std::vector<std::int64_t> deadlines(timers.size(), -1);  // -1: not armed
    std::vector<int> fired(timers.size(), 0);
    constexpr std::int64_t reaches[] = {3 * tick, 256 * tick, 600 * tick, 300 * second, 2 * hour};
    const auto some_time = [&] { return static_cast<std::int64_t>(random()) & 0x7fffffffffff; };

    for (int step = 0; step < 3000; ++step) {
      CAPTURE(seed);
      CAPTURE(step);
      const std::size_t i = random() % timers.size();
      const std::int64_t reach = reaches[random() % std::size(reaches)];
      switch (random() % 4) {
        case 0:
        case 1:
          deadlines[i] = now + some_time() % reach - tick;
          wheel.arm(timers[i], deadlines[i]);
          break;
        case 2:
          deadlines[i] = -1;
          wheel.disarm(timers[i]);
          break;
        default: {
          const std::int64_t wake = wheel.next_wake_us();
          now = wake >= 0 && random() % 2 == 0 ? std::max(now, wake) : now + some_time() % reach;
          wheel.advance(now);
          for (std::size_t k = 0; k < timers.size(); ++k) {
            // due for more than a tick: must have fired; not due: must not
            if (deadlines[k] < 0 || timers[k].fired == fired[k]) continue;
            REQUIRE(timers[k].fired == fired[k] + 1);
            REQUIRE(deadlines[k] <= now);
            fired[k] = timers[k].fired;
            deadlines[k] = -1;
          }
          for (std::size_t k = 0; k < timers.size(); ++k) {
            REQUIRE(timers[k].fired == fired[k]);
            if (deadlines[k] >= 0) REQUIRE(deadlines[k] > now - 2 * tick);
          }
        }
      }
      std::size_t armed = 0;
      std::int64_t earliest = std::numeric_limits<std::int64_t>::max();
      for (std::size_t k = 0; k < timers.size(); ++k) {
        REQUIRE(timers[k].armed() == (deadlines[k] >= 0));
        if (deadlines[k] < 0) continue;
        ++armed;
        earliest = std::min(earliest, deadlines[k]);
      }
      REQUIRE(wheel.size() == armed);
      const std::int64_t wake = wheel.next_wake_us();
      REQUIRE((wake < 0) == (armed == 0));
      if (armed > 0) {
        REQUIRE(wake > now - tick);
        REQUIRE(wake <= std::max(earliest, now) + 2 * tick);
      }
    }
  }
}
