// SPDX-License-Identifier: Apache-2.0
#include "limiter/algorithms/algorithm.hpp"
#include "limiter/stores/memory_store.hpp"

#include <algorithm>
#include <doctest/doctest.h>

using namespace weir::limiter;

namespace {

constexpr std::int64_t second = 1'000'000;
constexpr std::int64_t epoch_us = 1'800'000'000'000'000;

/// One rule and one subject on a clock the test sets.
struct slots {
  explicit slots(std::int64_t limit, std::int64_t lease_us = 30 * second) {
    r.rid = {{'s', 'l', 'o', 't'}, {'0', '0', '1'}};
    r.quota = {algorithm::concurrency, limit, lease_us, limit};
    key.text.fill('k');
  }
  rule_state apply(operation op, std::string_view holder) {
    const charge c{&r, key, 1, 0, holder};
    store_reply reply;
    table.execute(op, {&c, 1}, reply);
    return reply.states[0];
  }
  rule_state acquire(std::string_view holder) { return apply(operation::take, holder); }
  rule_state release(std::string_view holder) { return apply(operation::refund, holder); }
  rule_state renew(std::string_view holder) { return apply(operation::renew, holder); }

  rule r;
  subject_key key;
  std::int64_t now = epoch_us;
  memory_table table{{.max_keys = 1000, .shards = 1, .clock = [this] { return now; }}};
};

}  // namespace

TEST_CASE("concurrency: as many holders as slots, and a released slot is free at once") {
  slots s(2);
  CHECK(s.acquire("a").remaining == 1);
  CHECK(s.acquire("b").used == 2);
  const auto denied = s.acquire("c");
  CHECK_FALSE(denied.allowed);
  CHECK(denied.retry_after_us == 30 * second);
  CHECK(s.release("a").allowed);
  CHECK(s.acquire("c").allowed);
}

TEST_CASE("concurrency: acquiring a held slot renews it and takes no other") {
  slots s(1);
  s.acquire("a");
  s.now += 20 * second;
  const auto again = s.acquire("a");
  CHECK(again.allowed);
  CHECK(again.remaining == 0);
  CHECK(again.reset_after_us == 30 * second);
}

TEST_CASE("concurrency: a lease that is not renewed ends") {
  slots s(1);
  s.acquire("a");
  s.now += 10 * second;
  CHECK(s.renew("a").allowed);
  s.now += 30 * second - 1;
  CHECK_FALSE(s.acquire("b").allowed);
  s.now += 1;
  CHECK(s.acquire("b").allowed);
  const auto late = s.renew("a");
  CHECK_FALSE(late.allowed);
  CHECK(late.retry_after_us == 0);
}

TEST_CASE("concurrency: releasing twice or what is not held changes nothing") {
  slots s(2);
  s.acquire("a");
  CHECK(s.release("a").allowed);
  const auto again = s.release("a");
  CHECK_FALSE(again.allowed);
  CHECK(again.remaining == 2);
  CHECK(s.apply(operation::peek, "a").used == 0);
}

TEST_CASE("concurrency: fewer slots after a reload wait for as many leases to end") {
  slots s(3);
  for (const char* holder : {"a", "b", "c"}) {
    s.acquire(holder);
    s.now += second;
  }
  s.r.quota.limit = s.r.quota.burst = 1;
  const auto denied = s.acquire("d");
  CHECK(denied.remaining == 0);
  CHECK(denied.retry_after_us == 29 * second);  // all three must end
}

TEST_CASE("concurrency: leases beyond the clock are shortened to one lease") {
  slots s(1);
  s.acquire("a");
  s.now -= 3600 * second;
  CHECK(s.acquire("b").retry_after_us == 30 * second);
  s.now += 30 * second;
  CHECK(s.acquire("b").allowed);
}

TEST_CASE("concurrency: each of several slots is released by itself") {
  slots s(1);
  rule other = s.r;
  other.rid.id[0] = 'o';
  const charge both[] = {{&s.r, s.key, 1, 0, "a"}, {&other, s.key, 1, 0, "a"}};
  s.acquire("a");
  store_reply reply;
  s.table.execute(operation::refund, both, reply);
  CHECK(reply.states[0].allowed);
  CHECK_FALSE(reply.states[1].allowed);
  CHECK(s.acquire("b").allowed);
}

TEST_CASE("concurrency: a hundred thousand holders fit and come free") {
  slots s(100'000);
  std::int64_t admitted = 0;
  for (int i = 0; i < 100'001; ++i) admitted += s.acquire("holder-" + std::to_string(i)).allowed ? 1 : 0;
  CHECK(admitted == 100'000);
  CHECK(s.release("holder-7").allowed);
  CHECK(s.acquire("holder-100000").allowed);
}
