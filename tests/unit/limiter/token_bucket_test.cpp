// SPDX-License-Identifier: Apache-2.0
#include "limiter/algorithms/token_bucket.hpp"

#include "algorithm_checks.hpp"

using weir::limiter::algorithm;
using weir::limiter::quota;
using namespace weir::tests;

namespace {

quota bucket(std::int64_t limit, std::int64_t period_us, std::int64_t burst) {
  return {algorithm::token_bucket, limit, period_us, burst};
}

constexpr std::int64_t second = 1'000'000;

}  // namespace

TEST_CASE("token bucket: properties after random histories") {
  check_properties([](auto& random) {
    const std::int64_t limits[] = {1, 3, 7, 100, 700'003};
    const std::int64_t periods[] = {1, 333'333, second, 86'400 * second};
    return bucket(limits[random() % 5], periods[random() % 4], 1 + static_cast<std::int64_t>(random() % 12));
  });
}

TEST_CASE("token bucket: a full bucket gives its burst at once and then its rate") {
  single_rule rule(bucket(10, second, 3));
  for (int i = 2; i >= 0; --i) CHECK(rule.take(1, epoch_us).remaining == i);
  const auto denied = rule.take(1, epoch_us);
  CHECK_FALSE(denied.allowed);
  CHECK(denied.retry_after_us == 100'000);
  CHECK(denied.reset_after_us == 300'000);
  CHECK(rule.take(1, epoch_us + 100'000).allowed);
}

TEST_CASE("token bucket: an interval that is no whole microsecond loses nothing") {
  single_rule rule(bucket(700'000, second, 1));  // 10/7 us per token
  std::int64_t admitted = 0;
  for (std::int64_t t = 0; t < 100'000; ++t) admitted += rule.take(1, epoch_us + t).allowed ? 1 : 0;
  // A client that asks every microsecond gets the first at 0 and then one per started 10/7 us.
  CHECK(admitted >= 50'000);
  single_rule deep(bucket(700'000, second, 10));
  admitted = 0;
  for (std::int64_t t = 0; t < 100'000; ++t) admitted += deep.take(1, epoch_us + t).allowed ? 1 : 0;
  CHECK(admitted == 10 + 69'999);
}

TEST_CASE("token bucket: a cost above the capacity is never allowed") {
  single_rule rule(bucket(10, second, 5));
  CHECK(rule.take(6, epoch_us).retry_after_us == -1);
  CHECK(rule.take(std::int64_t{1} << 31, epoch_us).retry_after_us == -1);
  CHECK(rule.take(5, epoch_us).allowed);
}

TEST_CASE("token bucket: cost 0 is allowed on an empty bucket and changes nothing") {
  single_rule rule(bucket(10, second, 5));
  rule.take(5, epoch_us);
  const auto zero = rule.take(0, epoch_us);
  CHECK(zero.allowed);
  CHECK(zero.remaining == 0);
  CHECK(zero.retry_after_us == 0);
}

TEST_CASE("token bucket: a reload keeps the instant at which the bucket is full") {
  single_rule rule(bucket(10, second, 10));
  rule.take(10, epoch_us);
  rule.reload(bucket(100, second, 100));
  CHECK(rule.look(epoch_us).reset_after_us == second);
  CHECK(rule.look(epoch_us).remaining == 0);
  rule.reload(bucket(10, second, 4));
  CHECK(rule.look(epoch_us).reset_after_us == 400'000);  // clamped to what the smaller bucket holds
}

TEST_CASE("token bucket: a fraction is rescaled to the new rate, rounded up") {
  single_rule rule(bucket(700'000, second, 10));  // r = 7, q = 10
  rule.take(1, epoch_us);                         // full at +1 us and 3/7
  CHECK(rule.state().count == 3);
  CHECK(rule.state().base == 7);
  rule.reload(bucket(300'000, second, 10));  // r = 3: 3/7 us becomes 2/3 us, so D = 5 of q = 10
  CHECK(rule.look(epoch_us).remaining == 9);
  rule.take(1, epoch_us);
  CHECK(rule.state().expires_at_us == epoch_us + 5);
  CHECK(rule.state().count == 0);
}

TEST_CASE("token bucket: a clock that went back empties the bucket and heals within its time to full") {
  single_rule rule(bucket(10, second, 10));
  rule.take(1, epoch_us);
  const std::int64_t earlier = epoch_us - 3600 * second;
  const auto peeked = rule.look(earlier);
  CHECK_FALSE(peeked.allowed);
  CHECK(rule.state().expires_at_us == epoch_us + 100'000);  // a peek repairs nothing
  const auto denied = rule.take(1, earlier);
  CHECK_FALSE(denied.allowed);
  CHECK(denied.retry_after_us == 100'000);
  CHECK(rule.state().expires_at_us == earlier + second);  // written although denied
  CHECK(rule.take(10, earlier + second).allowed);
}

TEST_CASE("token bucket: an entry that denies knows until when") {
  single_rule rule(bucket(10, second, 2));
  rule.take(1, epoch_us);
  CHECK(rule.state().pinned_until_us <= epoch_us);
  rule.take(1, epoch_us);
  CHECK(rule.state().pinned_until_us == epoch_us + 100'000);
}
