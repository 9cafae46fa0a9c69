// SPDX-License-Identifier: Apache-2.0
#include "proxy/retry/retry_budget.hpp"

#include "proxy/retry/retry_policy.hpp"

#include <algorithm>
#include <doctest/doctest.h>
#include <queue>
#include <random>
#include <vector>

using namespace weir::proxy;

namespace {

constexpr std::int64_t second = 1'000'000;

void requests(retry_budget& budget, int count, std::int64_t now) {
  for (int i = 0; i < count; ++i) budget.request(now);
}

int granted(retry_budget& budget, int wanted, std::int64_t now) {
  int count = 0;
  for (int i = 0; i < wanted; ++i) count += budget.try_retry(now) ? 1 : 0;
  return count;
}

/// Retries that all failed again: the minimum no longer helps.
void futile_retries(retry_budget& budget, int count, std::int64_t now) {
  for (int i = 0; i < count; ++i) {
    budget.finished();
    budget.futile(now);
  }
}

}  // namespace

TEST_CASE("the first retries may use the share of the last second's requests") {
  retry_budget budget(20, 0);
  requests(budget, 200, 0);
  CHECK(granted(budget, 100, 0) == 40);
}

TEST_CASE("what was saved before the first retry is no more than about a second's share") {
  retry_budget budget(20, 0);
  for (int i = 0; i < 10; ++i) requests(budget, 100, i * second);
  CHECK(granted(budget, 1000, 9 * second) == 40);
}

TEST_CASE("the head start is not added to what is earned afterwards") {
  retry_budget budget(20, 0);
  requests(budget, 100, 0);
  CHECK(granted(budget, 100, 0) == 20);
  requests(budget, 100, second);
  CHECK(granted(budget, 100, second) == 0);
  requests(budget, 50, 2 * second);
  CHECK(granted(budget, 100, 2 * second) == 10);
}

TEST_CASE("a retry that has ended still counts in the window") {
  retry_budget budget(20, 0);
  requests(budget, 100, 0);
  CHECK(granted(budget, 100, 0) == 20);
  for (int i = 0; i < 20; ++i) budget.finished();
  CHECK(budget.active() == 0);
  CHECK(granted(budget, 100, 5 * second) == 0);
}

TEST_CASE("requests and retries leave the window after ten seconds") {
  retry_budget budget(20, 0);
  requests(budget, 100, 0);
  CHECK(granted(budget, 100, 0) == 20);
  requests(budget, 100, 9 * second);
  CHECK(granted(budget, 100, 9 * second) == 0);
  CHECK(granted(budget, 100, 10 * second) == 20);  // the first retries are gone, these requests are not
  CHECK(granted(budget, 100, 30 * second) == 0);   // nothing is left of either
}

TEST_CASE("the minimum may be active whatever the share says while retries help") {
  retry_budget budget(20, 3);
  budget.request(0);
  CHECK(granted(budget, 10, 0) == 3);
  CHECK(granted(budget, 10, 1) == 0);
  for (int i = 0; i < 100; ++i) {
    budget.finished();
    CHECK(granted(budget, 10, i * 1000) == 1);
  }
}

TEST_CASE("retries in backoff are active until they are given up") {
  retry_budget budget(20, 1);
  budget.request(0);
  CHECK(budget.try_retry(0));
  CHECK(budget.active() == 1);
  CHECK_FALSE(budget.try_retry(second));
  budget.finished();
  CHECK(budget.active() == 0);
  CHECK(budget.try_retry(second));
}

TEST_CASE("the minimum ends when most retries are futile and comes back when they leave the window") {
  retry_budget budget(20, 3);
  budget.request(0);
  int count = 0;
  for (int i = 0; i < 20; ++i) {
    const int now_granted = granted(budget, 10, 0);
    futile_retries(budget, now_granted, 0);
    count += now_granted;
  }
  CHECK(count == 6);
  CHECK(granted(budget, 10, 9 * second) == 0);
  CHECK(granted(budget, 10, 10 * second) == 3);
}

TEST_CASE("a request that needs two retries is helped for ever") {
  retry_budget budget(20, 3);
  for (int i = 0; i < 200; ++i) {
    const std::int64_t now = i * 50'000;
    budget.request(now);
    REQUIRE(budget.try_retry(now));
    futile_retries(budget, 1, now);
    REQUIRE(budget.try_retry(now));
    budget.finished();
  }
}

TEST_CASE("a minimum of zero leaves nothing but the share") {
  retry_budget budget(20, 0);
  requests(budget, 4, 0);
  CHECK(granted(budget, 10, 0) == 0);
  budget.request(0);
  CHECK(granted(budget, 10, 0) == 1);
}

TEST_CASE("a share of zero leaves nothing but the minimum") {
  retry_budget budget(0, 3);
  requests(budget, 1000, 0);
  CHECK(granted(budget, 10, 0) == 3);
  futile_retries(budget, 3, 0);
  CHECK(granted(budget, 10, 0) == 3);
  futile_retries(budget, 3, 0);
  CHECK(granted(budget, 10, 0) == 0);
}

namespace {

std::uint64_t uniform(void* state, std::uint64_t bound) {
  return (*static_cast<std::mt19937_64*>(state))() % bound;
}

struct outage {
  double rate;              ///< requests a second, Poisson, over all workers
  std::size_t workers;      ///< each has its own budget and a random part of the requests
  std::int64_t attempt_us;  ///< how long an attempt takes to fail
  double healthy_s;         ///< time in which everything succeeds, before everything fails for 40 s
};

struct outage_load {
  double at_end = 0;   ///< attempts per request
  double highest = 0;  ///< the same at the worst moment after the first 5 s
};

/// The load of the upstream from the beginning of the outage, on virtual time.
outage_load run(const outage& o) {
  struct ending {
    std::int64_t at;
    std::size_t worker;
    int attempts_made;
    bool operator>(const ending& other) const { return at > other.at; }
  };
  std::mt19937_64 generator(5);
  const retry_settings settings;
  std::vector<retry_budget> budgets(o.workers, retry_budget(settings.budget_percent, settings.budget_min));
  std::priority_queue<ending, std::vector<ending>, std::greater<>> endings;
  double first_attempts = 0;
  double attempts = 0;
  outage_load load;

  const auto end_attempt = [&](const ending& e) {
    retry_budget& budget = budgets[e.worker];
    if (e.attempts_made > 1) budget.finished();
    const retry_facts facts{.method = "GET", .attempts_made = e.attempts_made, .time_left_us = 15 * second};
    const retry_step step =
        next_step(settings, {.outcome = outcome::connect_error}, facts, budget, e.at, uniform, &generator);
    if (!step.retry) return;
    ++attempts;
    endings.push({e.at + step.delay_us + o.attempt_us, e.worker, e.attempts_made + 1});
  };

  std::exponential_distribution<double> gap(o.rate);
  for (double now_s = gap(generator); now_s < o.healthy_s + 40; now_s += gap(generator)) {
    const auto now = static_cast<std::int64_t>(now_s * 1e6);
    while (!endings.empty() && endings.top().at <= now) {
      const ending e = endings.top();
      endings.pop();
      end_attempt(e);
    }
    const std::size_t worker = generator() % o.workers;
    budgets[worker].request(now);
    if (now_s < o.healthy_s) continue;
    ++first_attempts;
    ++attempts;
    endings.push({now + o.attempt_us, worker, 1});
    load.at_end = attempts / first_attempts;
    if (now_s >= o.healthy_s + 5) load.highest = std::max(load.highest, load.at_end);
  }
  return load;
}

}  // namespace

TEST_CASE("a full outage multiplies the upstream's load by at most 1.2 from 100 requests a second on") {
  for (const double rate : {100.0, 1000.0}) {
    for (const std::size_t workers : {std::size_t{1}, std::size_t{4}}) {
      for (const std::int64_t attempt_us : {std::int64_t{100}, std::int64_t{20'000}, second}) {
        for (const double healthy_s : {0.0, 2.0, 15.0}) {
          CAPTURE(rate);
          CAPTURE(workers);
          CAPTURE(attempt_us);
          CAPTURE(healthy_s);
          const outage_load load = run({rate, workers, attempt_us, healthy_s});
          CHECK(load.at_end <= 1.2);
          CHECK(load.highest <= 1.21);  // arrivals are random, so no single moment is exact
          CHECK(load.at_end > 1.18);    // and what is allowed is used
        }
      }
    }
  }
}
