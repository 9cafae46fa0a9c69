// SPDX-License-Identifier: Apache-2.0
#include "proxy/upstream/pool_state.hpp"

#include <algorithm>
#include <deque>
#include <doctest/doctest.h>
#include <list>
#include <random>
#include <vector>

using namespace weir::proxy;
using namespace std::chrono_literals;

namespace {

constexpr std::int64_t second = 1'000'000;

struct bench {
  pool_settings settings;
  std::int64_t now = 1000 * second;
  pool_state pool{settings};
  std::list<pool_member> members;
  std::list<pool_waiter> waiters;

  void configure(pool_settings s) {
    settings = s;
    pool = pool_state(settings);
  }
  pool_member& lent(std::uint32_t spread = 100) {
    pool_member& m = members.emplace_back();
    pool.opened(m, now, spread);
    pool.lend(m);
    return m;
  }
  pool_member& parked(std::int64_t keep_alive_us = -1) {
    pool_member& m = lent();
    REQUIRE(pool.park(m, keep_alive_us, now));
    return m;
  }
};

}  // namespace

TEST_CASE_FIXTURE(bench, "the connection that came back last is lent first") {
  pool_member& a = parked();
  pool_member& b = parked();
  CHECK(pool.newest_idle() == &b);
  pool.lend(b);
  CHECK(b.reused());
  CHECK(pool.newest_idle() == &a);
  CHECK(pool.idle() == 1);
  CHECK(pool.busy() == 1);
}

TEST_CASE_FIXTURE(bench,
                  "an idle connection leaves at the pool's time or the upstream's, whichever is first") {
  pool_member& ours = parked();
  pool_member& theirs = parked(2 * second);
  pool_member& generous = parked(60 * second);
  CHECK(pool.next_expiry_us() == now + 2 * second);
  now += 2 * second;
  CHECK(pool.expired(now) == &theirs);
  CHECK(pool.unfit(theirs, true, now + 1) == close_reason::idle);
  CHECK_FALSE(pool.unfit(ours, true, now));
  pool.removed(theirs);
  CHECK(pool.expired(now) == nullptr);
  now += 2 * second;
  CHECK(pool.expired(now) == &ours);
  pool.removed(ours);
  CHECK(pool.expired(now) == &generous);
}

TEST_CASE_FIXTURE(bench,
                  "a connection is recycled at its age, spread by ten percent, or after 10,000 requests") {
  pool_member& early = lent(0);
  pool_member& late = lent(200);
  pool_member& busy = lent();
  now += 270 * second;
  CHECK_FALSE(pool.outworn(early, now));
  CHECK(pool.outworn(early, now + 1) == close_reason::recycled);
  CHECK_FALSE(pool.outworn(late, now + 60 * second));
  CHECK(pool.outworn(late, now + 60 * second + 1) == close_reason::recycled);
  for (std::uint32_t i = 1; i < pool_state::max_requests_per_connection; ++i) {
    REQUIRE_FALSE(pool.outworn(busy, now));
    pool.lend(busy);
  }
  CHECK(pool.outworn(busy, now) == close_reason::recycled);
}

TEST_CASE_FIXTURE(bench, "a retired connection is closed when it comes back") {
  pool_member& m = lent();
  CHECK_FALSE(pool.outworn(m, now));
  pool.retire(m);
  CHECK(pool.outworn(m, now) == close_reason::address_gone);
}

TEST_CASE_FIXTURE(bench,
                  "size are kept, overflow more are opened, then requests wait, then they are refused") {
  configure({.size = 2, .overflow = 1, .max_pending = 2});
  std::vector<pool_member*> all;
  for (int i = 0; i < 3; ++i) {
    CHECK(pool.may_open());
    all.push_back(&lent());
  }
  CHECK_FALSE(pool.may_open());
  pool_waiter a, b, c;
  CHECK(pool.enqueue(a));
  CHECK(pool.enqueue(b));
  CHECK_FALSE(pool.enqueue(c));
  CHECK(pool.next_waiter() == &a);
  CHECK(pool.next_waiter() == &b);
  CHECK(pool.next_waiter() == nullptr);
  CHECK(pool.park(*all[0], -1, now));
  CHECK(pool.newest_idle() == all[0]);  // a load that stays beyond `size` takes it again and opens nothing
  pool.lend(*all[0]);
  CHECK(pool.park(*all[1], -1, now));
  CHECK(pool.park(*all[2], -1, now));
  CHECK_FALSE(pool.park(*all[0], -1, now));
  pool.removed(*all[0]);
  CHECK(pool.idle() == 2);
}

TEST_CASE_FIXTURE(bench, "who leaves the line makes room in it at once, wherever it stood") {
  configure({.size = 1, .overflow = 0, .max_pending = 3});
  pool_waiter first, middle, last, late;
  REQUIRE(pool.enqueue(first));
  REQUIRE(pool.enqueue(middle));
  REQUIRE(pool.enqueue(last));
  CHECK_FALSE(pool.enqueue(late));
  pool.leave(middle);
  pool.leave(middle);
  CHECK(pool.enqueue(late));
  CHECK(pool.next_waiter() == &first);
  CHECK(pool.next_waiter() == &last);
  CHECK(pool.next_waiter() == &late);
  CHECK(pool.waiting() == 0);
}

TEST_CASE_FIXTURE(bench, "what cannot be repeated keeps away from the time at which the upstream closes") {
  pool_member& m = parked();
  now += second;
  CHECK_FALSE(pool.unfit(m, false, now));
  pool.peer_closed(m, now);
  pool.removed(m);
  pool_member& other = parked();
  const std::int64_t margin = second / 4 * 3;
  CHECK_FALSE(pool.unfit(other, false, now + margin));
  CHECK(pool.unfit(other, false, now + margin + 1) == close_reason::idle);
  CHECK_FALSE(pool.unfit(other, true, now + margin + 1));
  now += 60 * second;  // it is forgotten
  pool.removed(other);
  pool_member& later = parked();
  CHECK_FALSE(pool.unfit(later, false, now + 3 * second));
}

TEST_CASE("the books of the pool agree with a list of everything, whatever happens") {
  std::mt19937_64 random(4);
  for (int seed = 0; seed < 40; ++seed) {
    bench b;
    b.configure({.size = static_cast<std::uint32_t>(1 + random() % 6),
                 .overflow = static_cast<std::uint32_t>(random() % 4),
                 .max_pending = static_cast<std::uint32_t>(random() % 6),
                 .idle_timeout = milliseconds(1 + random() % 3000)});
    std::list<pool_member> all;
    std::vector<pool_member*> connecting, lent, idle;
    std::list<pool_waiter> storage;
    std::deque<pool_waiter*> line;
    const auto take = [&](std::vector<pool_member*>& from) {
      std::swap(from[random() % from.size()], from.back());
      pool_member* m = from.back();
      from.pop_back();
      return m;
    };
    for (int step = 0; step < 5000; ++step) {
      b.now += static_cast<std::int64_t>(random() % 200'000);
      switch (random() % 8) {
        case 0:
        case 1:
          if (pool_member* m = b.pool.newest_idle()) {
            REQUIRE(m == idle.back());
            b.pool.lend(*m);
            lent.push_back(m);
            idle.pop_back();
          } else if (b.pool.may_open()) {
            connecting.push_back(&all.emplace_back());
            b.pool.opened(*connecting.back(), b.now, 100);
          } else if (pool_waiter& w = storage.emplace_back(); b.pool.enqueue(w)) {
            line.push_back(&w);
          } else {
            REQUIRE(line.size() == b.settings.max_pending);
          }
          break;
        case 2:
          if (!connecting.empty()) b.pool.lend(*lent.emplace_back(take(connecting)));
          break;
        case 3:
          if (!connecting.empty()) b.pool.removed(*take(connecting));
          break;
        case 4:
          if (!lent.empty()) b.pool.removed(*take(lent));
          break;
        case 5:
          if (lent.empty()) break;
          if (pool_waiter* w = b.pool.next_waiter()) {
            REQUIRE(w == line.front());
            line.pop_front();
            b.pool.lend(*lent.front());
          } else if (pool_member* m = take(lent); b.pool.park(*m, -1, b.now)) {
            idle.push_back(m);
          } else {
            b.pool.removed(*m);
          }
          break;
        case 6:
          if (!line.empty()) {
            const auto who = line.begin() + static_cast<std::ptrdiff_t>(random() % line.size());
            b.pool.leave(**who);
            line.erase(who);
          }
          break;
        default:
          while (pool_member* m = b.pool.expired(b.now)) {
            const auto found = std::find(idle.begin(), idle.end(), m);
            REQUIRE(found != idle.end());
            idle.erase(found);
            b.pool.removed(*m);
          }
      }
      REQUIRE(b.pool.idle() == idle.size());
      REQUIRE(b.pool.lent() == lent.size());
      REQUIRE(b.pool.busy() == lent.size() + connecting.size());
      REQUIRE(b.pool.waiting() == line.size());
      REQUIRE(b.pool.open() <= std::size_t{b.settings.size} + b.settings.overflow);
      REQUIRE(b.pool.idle() <= b.settings.size);
    }
  }
}
