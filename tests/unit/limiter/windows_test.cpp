// SPDX-License-Identifier: Apache-2.0
// Fixed windows, calendar windows and the sliding counter.
#include "algorithm_checks.hpp"
#include "limiter/limiter.hpp"
#include "limiter/time_zone.hpp"

using namespace weir::limiter;
using namespace weir::tests;

namespace {

constexpr std::int64_t second = 1'000'000;
constexpr std::int64_t day = 86'400 * second;

quota fixed(std::int64_t limit, std::int64_t period_us) {
  return {algorithm::fixed_window, limit, period_us, limit};
}
quota counter(std::int64_t limit, std::int64_t period_us) {
  return {algorithm::sliding_window_counter, limit, period_us, limit};
}
quota daily(std::int64_t limit, std::string_view zone) {
  return {algorithm::fixed_window, limit, day, limit, calendar_unit::day, find_time_zone(zone)};
}

constexpr std::int64_t midnight = epoch_us - epoch_us % day;  // UTC

}  // namespace

TEST_CASE("fixed window: properties after random histories") {
  check_properties([](auto& random) {
    const std::int64_t periods[] = {3, 1000, 333'333, second};
    return fixed(1 + static_cast<std::int64_t>(random() % 12), periods[random() % 4]);
  });
}

TEST_CASE("sliding window counter: properties after random histories") {
  check_properties([](auto& random) {
    const std::int64_t periods[] = {3, 1000, 333'333, second};
    return counter(1 + static_cast<std::int64_t>(random() % 12), periods[random() % 4]);
  });
}

TEST_CASE("calendar window: properties after random histories") {
  check_properties([](auto& random) {
    const char* const zones[] = {"UTC", "Europe/Berlin", "+05:45"};
    return daily(1 + static_cast<std::int64_t>(random() % 12), zones[random() % 3]);
  });
}

TEST_CASE("fixed window: the count starts anew at each edge and twice the limit fits around it") {
  single_rule rule(fixed(3, second));
  CHECK(rule.take(3, epoch_us + second - 1).allowed);
  const auto denied = rule.take(1, epoch_us + second - 1);
  CHECK(denied.retry_after_us == 1);
  CHECK(denied.used == 3);
  CHECK(rule.take(3, epoch_us + second).allowed);
}

TEST_CASE("fixed window: a clock that went back keeps the count in the window of now") {
  single_rule rule(fixed(3, second));
  rule.take(3, epoch_us);
  const std::int64_t earlier = epoch_us - 3600 * second;
  CHECK_FALSE(rule.look(earlier).allowed);
  CHECK(rule.state().expires_at_us == epoch_us + second);  // a peek repairs nothing
  CHECK_FALSE(rule.take(1, earlier).allowed);
  CHECK(rule.state().expires_at_us == earlier + second);
}

TEST_CASE("sliding window counter: the window before weighs as much as it overlaps") {
  single_rule rule(counter(10, second));
  rule.take(10, epoch_us);
  CHECK(rule.look(epoch_us + second).remaining == 0);
  CHECK(rule.look(epoch_us + second + 99'999).remaining == 0);
  CHECK(rule.look(epoch_us + second + 100'000).remaining == 1);
  CHECK(rule.look(epoch_us + second + 500'000).remaining == 5);
  CHECK(rule.look(epoch_us + 2 * second).remaining == 10);
}

TEST_CASE("sliding window counter: products beyond 64 bits decide right after a limit was lowered") {
  single_rule rule(counter(4'000'000, 2'000'000'000));
  rule.take(4'000'000, epoch_us - epoch_us % 2'000'000'000);
  rule.reload(counter(1, 2'000'000'000));
  const std::int64_t next = epoch_us - epoch_us % 2'000'000'000 + 2'000'000'000;
  CHECK_FALSE(rule.take(1, next).allowed);
  const std::int64_t wait = rule.take(1, next).retry_after_us;
  CHECK_FALSE(rule.peek(1, next + wait - 1).allowed);
  CHECK(rule.peek(1, next + wait).allowed);
}

TEST_CASE("calendar window: a request just before midnight and one just after it are of two days") {
  single_rule rule(daily(1, "UTC"));
  CHECK(rule.take(1, midnight + day - 1).allowed);
  CHECK(rule.take(1, midnight + day - 1).retry_after_us == 1);
  CHECK(rule.take(1, midnight + day).allowed);
  CHECK(rule.take(1, midnight + day).retry_after_us == day);
}

TEST_CASE("calendar window: another zone at a reload ends with the window that is stored") {
  single_rule rule(daily(1, "UTC"));
  rule.take(1, midnight + 3600 * second);
  rule.reload(daily(1, "-01:00"));  // whose day began this very instant and ends an hour later
  CHECK(rule.take(1, midnight + 3600 * second).retry_after_us == day - 3600 * second);
  rule.reload(daily(1, "+01:00"));
  CHECK(rule.take(1, midnight + 3600 * second).retry_after_us == day - 2 * 3600 * second);
}

TEST_CASE("the share of a window is a bucket, also of a calendar window; slots are divided") {
  const quota part = quota_share(daily(10, "Europe/Berlin"), 2);
  CHECK(part.algorithm == algorithm::token_bucket);
  CHECK(part.calendar == calendar_unit::none);
  CHECK(part.zone == nullptr);
  CHECK(part.burst == 5);
  const quota slots = quota_share({algorithm::concurrency, 10, 30 * second, 10}, 3);
  CHECK(slots == quota{algorithm::concurrency, 3, 30 * second, 3});
}
