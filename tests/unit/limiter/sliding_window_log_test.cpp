// SPDX-License-Identifier: Apache-2.0
#include "limiter/algorithms/sliding_window_log.hpp"

#include "algorithm_checks.hpp"
#include "limiter/algorithms/stamp_ring.hpp"

using weir::limiter::algorithm;
using weir::limiter::quota;
using namespace weir::tests;

namespace {

constexpr std::int64_t second = 1'000'000;

quota log_of(std::int64_t limit, std::int64_t period_us) {
  return {algorithm::sliding_window_log, limit, period_us, limit};
}

}  // namespace

TEST_CASE("sliding window log: properties after random histories") {
  check_properties([](auto& random) {
    const std::int64_t periods[] = {3, 1000, 333'333, second};
    return log_of(1 + static_cast<std::int64_t>(random() % 12), periods[random() % 4]);
  });
}

TEST_CASE("sliding window log: a unit counts until exactly one window has passed") {
  single_rule rule(log_of(1, second));
  rule.take(1, epoch_us);
  CHECK_FALSE(rule.take(1, epoch_us + second - 1).allowed);
  CHECK(rule.take(1, epoch_us + second).allowed);
}

TEST_CASE("sliding window log: never more than the limit in any window") {
  single_rule rule(log_of(5, 1000));
  std::vector<std::int64_t> admitted;
  for (std::int64_t t = epoch_us; t < epoch_us + 20'000; t += 37) {
    if (rule.take(1, t).allowed) admitted.push_back(t);
  }
  REQUIRE(admitted.size() > 5);
  for (std::size_t i = 5; i < admitted.size(); ++i) CHECK(admitted[i] - admitted[i - 5] >= 1000);
}

TEST_CASE("sliding window log: a refund takes away the newest units") {
  single_rule rule(log_of(3, second));
  rule.take(1, epoch_us);
  rule.take(2, epoch_us + 500'000);
  const auto after = rule.refund(2, epoch_us + 600'000);
  CHECK(after.remaining == 2);
  CHECK(after.reset_after_us == 400'000);  // the oldest is the newest now
}

TEST_CASE("sliding window log: a smaller limit after a reload leaves nothing, and the count stays") {
  single_rule rule(log_of(5, second));
  for (int i = 0; i < 5; ++i) rule.take(1, epoch_us + i * 1000);
  rule.reload(log_of(2, second));
  const auto denied = rule.take(1, epoch_us + 5000);
  CHECK(denied.remaining == 0);
  CHECK(denied.retry_after_us == 3000 + second - 5000);  // the fourth oldest must leave
  rule.reload(log_of(6, second));
  CHECK(rule.look(epoch_us + 5000).remaining == 1);
}

TEST_CASE("sliding window log: stamps beyond the clock count as taken now") {
  single_rule rule(log_of(2, second));
  rule.take(1, epoch_us);
  rule.take(1, epoch_us + 100);
  const std::int64_t earlier = epoch_us - 3600 * second;
  CHECK(rule.look(earlier).retry_after_us == second);
  CHECK(rule.state().expires_at_us == epoch_us + 100 + second);  // a peek repairs nothing
  CHECK(rule.take(1, earlier).retry_after_us == second);
  CHECK(rule.state().expires_at_us == earlier + second);  // written although denied
  CHECK(rule.take(2, earlier + second).allowed);
}

TEST_CASE("sliding window log: the longest log fills and empties") {
  single_rule rule(log_of(10'000, second));
  CHECK(rule.take(10'000, epoch_us).remaining == 0);
  CHECK(rule.take(1, epoch_us + 1).retry_after_us == second - 1);
  CHECK(rule.take(10'001, epoch_us).retry_after_us == -1);
  CHECK(rule.take(10'000, epoch_us + second).allowed);
  CHECK(weir::limiter::stamp_ring(rule.state()).size() == 10'000);  // what left the window is gone
}
