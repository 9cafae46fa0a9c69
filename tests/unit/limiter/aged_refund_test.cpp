// SPDX-License-Identifier: Apache-2.0
// Units that were charged and given back admit nobody beyond the limit, when the refund is aged.
#include "limiter/stores/memory_store.hpp"

#include <algorithm>
#include <doctest/doctest.h>
#include <random>
#include <vector>

namespace {

using namespace weir::limiter;

constexpr std::int64_t start_us = 1'800'000'000'000'000;
constexpr std::int64_t token_us = 10'000;  // 100/s
constexpr std::int64_t burst = 20;

/// A bucket whose takes are kept or given back later.
class bucket {
 public:
  explicit bucket(bool aged) : aged_(aged) {
    rule_.rid = make_rule_id("test");
    rule_.quota = {algorithm::token_bucket, 100, 1'000'000, burst};
  }

  bool take(std::int64_t cost) { return run(operation::take, cost, 0).admitted == 1; }
  void give_back(std::int64_t cost, std::int64_t charged_at_us) {
    run(operation::refund, cost, charged_at_us);
  }

  std::int64_t now_us = start_us;

 private:
  store_reply run(operation op, std::int64_t cost, std::int64_t charged_at_us) {
    charge c{.matched = &rule_, .subject = hash_subject("subject"), .cost = cost};
    c.charged_at_us = charged_at_us;
    c.aged = aged_ && op == operation::refund;
    store_reply reply;
    const charge_list charges{c};
    table_.execute(op, charges, reply);
    return reply;
  }

  bool aged_;
  rule rule_;
  memory_table table_{{.max_keys = 10, .shards = 1, .clock = [this] { return now_us; }}};
};

/// The largest level of kept units above the rate, in microseconds of it, over a history of overlapping takes
/// and refunds: above burst * token_us somebody was admitted beyond burst + rate * window.
std::int64_t largest_level(bool aged, unsigned seed) {
  struct pending {
    std::int64_t cost, charged_at_us, due_us;
  };
  bucket b(aged);
  std::mt19937 random(seed);
  const auto below = [&random](unsigned n) { return static_cast<std::int64_t>(random() % n); };
  std::vector<pending> outstanding;
  std::int64_t level = 0;
  std::int64_t largest = 0;
  std::int64_t seen_us = start_us;
  for (int step = 0; step < 3'000; ++step) {
    b.now_us += below(20'000);
    std::erase_if(outstanding, [&](const pending& p) {
      if (p.due_us > b.now_us) return false;
      b.give_back(p.cost, p.charged_at_us);
      return true;
    });
    const std::int64_t cost = 1 + below(8);
    if (!b.take(cost)) continue;
    if (below(2) == 0) {
      outstanding.push_back({cost, b.now_us, b.now_us + below(400'000)});
      continue;
    }
    level = std::max<std::int64_t>(0, level - (b.now_us - seen_us)) + cost * token_us;
    seen_us = b.now_us;
    largest = std::max(largest, level);
  }
  return largest;
}

}  // namespace

TEST_CASE("aged refunds admit nobody beyond burst + rate * window, plain ones do") {
  std::int64_t plain = 0;
  for (unsigned seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    CHECK(largest_level(true, seed) <= burst * token_us);
    plain = std::max(plain, largest_level(false, seed));
  }
  CHECK(plain > burst * token_us);
}

TEST_CASE(
    "an aged refund at the instant of its charge gives everything back, and nothing once it has flowed in") {
  bucket b(true);
  REQUIRE(b.take(burst));
  b.give_back(burst, start_us);
  CHECK(b.take(burst));
  b.now_us = start_us + burst * token_us;
  REQUIRE(b.take(burst));
  b.give_back(burst, start_us);
  CHECK_FALSE(b.take(1));
}

TEST_CASE("an aged refund with nothing in between leaves the bucket as if never charged") {
  for (const std::int64_t wait_us : {1, 4'999, 30'000, 50'000, 900'000}) {
    CAPTURE(wait_us);
    bucket b(true);
    REQUIRE(b.take(5));
    b.now_us += wait_us;
    b.give_back(5, start_us);
    CHECK(b.take(burst));
    CHECK_FALSE(b.take(1));
  }
}
