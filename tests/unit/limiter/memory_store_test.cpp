// SPDX-License-Identifier: Apache-2.0
#include "limiter/stores/memory_store.hpp"

#include "limiter/time_zone.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <doctest/doctest.h>
#include <optional>
#include <random>
#include <thread>
#include <vector>

using namespace weir::limiter;

namespace {

constexpr std::int64_t second = 1'000'000;
constexpr std::int64_t epoch_us = 1'800'000'000'000'000;

rule rule_of(char id, quota q) {
  rule r;
  r.rid = {{'r', 'u', 'l', id}, {'0', '0', id}};
  r.quota = q;
  return r;
}

rule bucket(char id, std::int64_t limit, std::int64_t period_us, std::int64_t burst) {
  return rule_of(id, {algorithm::token_bucket, limit, period_us, burst});
}

rule log_of(char id, std::int64_t limit, std::int64_t period_us) {
  return rule_of(id, {algorithm::sliding_window_log, limit, period_us, limit});
}

subject_key subject(std::size_t number) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%022zu", number);
  subject_key key;
  std::copy_n(text.begin(), key.text.size(), key.text.begin());
  return key;
}

/// A table on a clock the test sets.
class table {
 public:
  explicit table(std::int64_t max_keys = 1'000'000, when_full full = when_full::evict)
      : table_({.max_keys = max_keys, .when_full = full, .clock = [this] { return now; }}) {}

  store_reply execute(operation op, std::vector<charge> charges) {
    store_reply reply;
    table_.execute(op, charges, reply);
    return reply;
  }
  rule_state take(const rule& r, std::size_t who, std::int64_t cost = 1) {
    return execute(operation::take, {{&r, subject(who), cost}}).states[0];
  }
  rule_state peek(const rule& r, std::size_t who) {
    return execute(operation::peek, {{&r, subject(who), 1}}).states[0];
  }
  store_reply take_equals(std::vector<charge> charges, std::int64_t k) {
    store_reply reply;
    table_.execute(operation::take, charges, reply, k);
    return reply;
  }
  [[nodiscard]] const memory_table& data() const { return table_; }

  std::int64_t now = epoch_us;

 private:
  memory_table table_;
};

}  // namespace

TEST_CASE("subjects and rules have buckets of their own") {
  table t;
  const rule a = bucket('a', 1, second, 1);
  const rule b = bucket('b', 1, second, 1);
  CHECK(t.take(a, 1).allowed);
  CHECK_FALSE(t.take(a, 1).allowed);
  CHECK(t.take(a, 2).allowed);
  CHECK(t.take(b, 1).allowed);
  CHECK(t.data().keys() == 3);
}

TEST_CASE("a take that one rule denies charges no rule") {
  for (const bool shared : {true, false}) {
    table t;
    const rule wide = bucket('a', 10, second, 10);
    const rule exact = log_of('b', 10, second);
    const rule narrow = bucket('c', 1, second, 1);
    const std::array<std::size_t, 3> who =
        shared ? std::array<std::size_t, 3>{1, 1, 1} : std::array<std::size_t, 3>{1, 2, 3};
    const std::vector<charge> charges{
        {&wide, subject(who[0]), 2}, {&exact, subject(who[1]), 3}, {&narrow, subject(who[2]), 1}};
    const auto allowed = t.execute(operation::take, charges);
    CHECK(allowed.states[0].remaining == 8);
    CHECK(allowed.states[1].remaining == 7);
    CHECK(allowed.states[2].remaining == 0);
    const auto denied = t.execute(operation::take, charges);
    CHECK(denied.states[0].allowed);
    CHECK(denied.states[0].remaining == 8);
    CHECK(denied.states[1].allowed);
    CHECK(denied.states[1].remaining == 7);
    CHECK_FALSE(denied.states[2].allowed);
    CHECK(t.peek(wide, who[0]).remaining == 8);
    CHECK(t.peek(exact, who[1]).remaining == 7);
  }
}

TEST_CASE("a denied take_upto grants nothing in any rule") {
  table t;
  const rule wide = bucket('a', 10, second, 10);
  const rule narrow = bucket('b', 1, second, 1);
  t.take(narrow, 1);
  const auto reply = t.execute(operation::take_upto, {{&wide, subject(1), 4}, {&narrow, subject(1), 4}});
  CHECK(reply.states[0].allowed);
  CHECK(reply.states[0].granted == 0);
  CHECK_FALSE(reply.states[1].allowed);
  CHECK(t.peek(wide, 1).remaining == 10);
}

TEST_CASE("k equal requests at once are k requests one after the other, under every algorithm") {
  std::mt19937_64 random(7);
  const std::vector<rule> kinds{
      bucket('a', 700'003, second, 9), rule_of('b', {algorithm::fixed_window, 9, second, 9}),
      rule_of('c', {algorithm::sliding_window_counter, 9, second, 9}), log_of('d', 9, second),
      rule_of('e', {algorithm::fixed_window, 9, 86'400 * second, 9, calendar_unit::day,
                    find_time_zone("Asia/Kathmandu")})};
  for (int trial = 0; trial < 500; ++trial) {
    table merged;
    table single;
    const rule& first = kinds[random() % kinds.size()];
    rule second_rule = kinds[random() % kinds.size()];
    second_rule.rid.id[0] = 'x';
    for (int step = 0; step < 8; ++step) {
      std::vector<charge> charges{{&first, subject(1), static_cast<std::int64_t>(random() % 4)}};
      if (trial % 2 != 0)
        charges.push_back({&second_rule, subject(2), static_cast<std::int64_t>(random() % 3)});
      const auto k = static_cast<std::int64_t>(2 + random() % 5);
      const store_reply together = merged.take_equals(charges, k);
      std::int64_t admitted = 0;
      store_reply last;
      for (std::int64_t j = 1; j <= k; ++j) {
        last = single.execute(operation::take, charges);
        if (last.admitted == 0) break;
        ++admitted;
        for (std::size_t i = 0; i < charges.size() && j <= together.admitted; ++i) {
          CHECK(last.states[i].remaining ==
                together.states[i].remaining + (together.admitted - j) * charges[i].cost);
        }
      }
      CHECK(together.admitted == admitted);
      for (std::size_t i = 0; i < charges.size(); ++i) {
        CHECK(together.states[i].allowed == last.states[i].allowed);
        CHECK(together.states[i].retry_after_us == last.states[i].retry_after_us);
        CHECK(together.states[i].remaining == last.states[i].remaining);
        CHECK(together.states[i].reset_after_us == last.states[i].reset_after_us);
        CHECK(together.states[i].used == last.states[i].used);
      }
      merged.now += static_cast<std::int64_t>(random() % 900'000);
      single.now = merged.now;
    }
  }
}

TEST_CASE("a refund gives nothing back to a window that has closed since the charge") {
  table t;
  const rule window = rule_of('a', {algorithm::fixed_window, 5, second, 5});
  const rule always = bucket('b', 1, 3600 * second, 5);
  const std::int64_t charged = t.now;
  t.execute(operation::take, {{&window, subject(1), 2}, {&always, subject(1), 2}});
  t.now += second;
  t.take(window, 1, 3);
  const auto late =
      t.execute(operation::refund, {{&window, subject(1), 2, charged}, {&always, subject(1), 2, charged}});
  CHECK(late.states[0].allowed);
  CHECK(late.states[0].remaining == 2);
  CHECK(late.states[1].remaining == 5);
  CHECK(t.execute(operation::refund, {{&window, subject(1), 2, t.now}}).states[0].remaining == 4);
  CHECK(t.execute(operation::refund, {{&window, subject(1), 1, 0}}).states[0].remaining == 5);
}

TEST_CASE("no algorithm's blocked key is freed by spraying others") {
  for (const quota& q : {quota{algorithm::fixed_window, 1, 3600 * second, 1},
                         quota{algorithm::sliding_window_counter, 1, 3600 * second, 1},
                         quota{algorithm::sliding_window_log, 1, 3600 * second, 1}}) {
    table t(256);
    const rule r = rule_of('a', q);
    const rule open = rule_of('b', {q.algorithm, 5, q.period_us, 5});
    CHECK(t.take(r, 0).allowed);
    for (std::size_t i = 1; i <= 5000; ++i) t.take(open, i);
    CHECK_FALSE(t.take(r, 0).allowed);
  }
}

TEST_CASE("the reply carries the clock of the store") {
  table t;
  const rule r = bucket('a', 1, second, 1);
  t.now = epoch_us + 7;
  CHECK(t.execute(operation::take, {{&r, subject(1), 1}}).now_us == epoch_us + 7);
}

TEST_CASE("a denied or read-only call on a new subject stores nothing") {
  table t;
  const rule r = bucket('a', 1, second, 1);
  t.take(r, 1, 2);
  t.peek(r, 2);
  t.execute(operation::refund, {{&r, subject(3), 1}});
  t.take(r, 4, 0);
  CHECK(t.data().keys() == 0);
}

TEST_CASE("the table never holds more than max_keys") {
  table t(300);
  const rule r = bucket('a', 10, second, 10);
  for (std::size_t i = 0; i < 5000; ++i) {
    t.take(r, i);
    REQUIRE(t.data().keys() <= 300);
  }
  CHECK(t.data().evictions() > 4000);
}

TEST_CASE("expired entries give up their places and are no evictions") {
  table t(300);
  const rule r = bucket('a', 10, second, 10);
  for (std::size_t i = 0; i < 5000; ++i) {
    t.now += 2 * second;  // every earlier bucket is full again
    t.take(r, i);
  }
  CHECK(t.data().evictions() == 0);
  CHECK(t.data().keys() <= 300);
}

TEST_CASE("among the sampled entries the one nearest to full is evicted") {
  table t(16);
  const rule r = bucket('a', 100, second, 100);
  for (std::size_t i = 0; i < 8; ++i) t.take(r, i, 90);
  for (std::size_t i = 8; i < 1000; ++i) t.take(r, i, 1);
  int kept = 0;
  for (std::size_t i = 0; i < 8; ++i) kept += t.peek(r, i).remaining < 100 ? 1 : 0;
  CHECK(kept == 8);
}

TEST_CASE("a million new keys do not free a blocked one") {
  table t(1000);
  const rule r = bucket('a', 1, 3600 * second, 2);
  CHECK(t.take(r, 0, 2).allowed);
  for (std::size_t i = 1; i <= 1'000'000; ++i) t.take(r, i);
  CHECK_FALSE(t.take(r, 0).allowed);
  t.now += 3600 * second;
  CHECK(t.take(r, 0).allowed);
}

TEST_CASE("when every key denies, new keys share one bucket per rule") {
  table t(64);
  const rule r = bucket('a', 1, 3600 * second, 1);
  const rule other = bucket('b', 5, 3600 * second, 5);
  for (std::size_t i = 0; i < 64; ++i) REQUIRE(t.take(r, i).allowed);
  CHECK(t.take(r, 100).allowed);        // the shared bucket's only token
  CHECK_FALSE(t.take(r, 101).allowed);  // another new key, the same bucket
  CHECK(t.take(other, 102).remaining == 4);
  CHECK(t.take(other, 103).remaining == 3);
  CHECK_FALSE(t.take(r, 5).allowed);  // nobody was evicted
  CHECK(t.data().evictions() == 0);
}

TEST_CASE("deny_new refuses new keys until one expires, and the known ones go on") {
  table t(64, when_full::deny_new);
  const rule r = bucket('a', 1, 100'000, 5);
  const rule slow = bucket('b', 1, 3600 * second, 5);
  for (std::size_t i = 0; i < 63; ++i) REQUIRE(t.take(slow, i).allowed);
  REQUIRE(t.take(r, 100).allowed);
  const auto refused = t.take(r, 101);
  CHECK_FALSE(refused.allowed);
  CHECK(refused.remaining == 0);
  CHECK(refused.retry_after_us >= 1);
  CHECK(refused.retry_after_us <= second + 1);
  CHECK_FALSE(t.execute(operation::take, {{&slow, subject(3), 1}, {&r, subject(101), 1}}).states[1].allowed);
  CHECK(t.peek(slow, 3).remaining == 4);
  CHECK(t.execute(operation::refund, {{&r, subject(101), 1}}).states[0].allowed);
  t.now += 100'001;  // the key of r has expired; a sample finds it sooner or later
  bool admitted = false;
  for (int i = 0; i < 64 && !admitted; ++i) admitted = t.take(r, 101).allowed;
  CHECK(admitted);
  CHECK(t.data().evictions() == 0);
}

TEST_CASE("share_overflow lets new keys share one bucket and evicts nobody") {
  table t(64, when_full::share_overflow);
  const rule r = bucket('a', 1, 3600 * second, 3);
  for (std::size_t i = 0; i < 64; ++i) REQUIRE(t.take(r, i).allowed);
  CHECK(t.take(r, 100).remaining == 2);
  CHECK(t.take(r, 101).remaining == 1);
  CHECK(t.take(r, 5).remaining == 1);
  CHECK(t.data().evictions() == 0);
}

TEST_CASE("a refund to the shared bucket reaches it") {
  table t(64);
  const rule r = bucket('a', 1, 3600 * second, 1);
  for (std::size_t i = 0; i < 64; ++i) t.take(r, i);
  CHECK(t.take(r, 100).allowed);
  t.execute(operation::refund, {{&r, subject(100), 1}});
  CHECK(t.take(r, 101).allowed);
}

TEST_CASE("a call that names more new keys than the table holds is answered") {
  table t(1);
  std::vector<rule> rules;
  for (char id = 'A'; id < 'A' + 32; ++id) rules.push_back(bucket(id, 5, second, 5));
  std::vector<charge> charges;
  for (std::size_t i = 0; i < rules.size(); ++i) charges.push_back({&rules[i], subject(i), 1});
  for (std::int64_t left = 4; left >= 0; --left) {
    const auto reply = t.execute(operation::take, charges);
    CHECK(reply.states.front().remaining == left);
    CHECK(reply.states.back().remaining == left);
  }
  CHECK(t.data().keys() == 32);  // one, and the shared buckets of the other rules
}

TEST_CASE("growing keeps every live entry") {
  table t;
  const rule r = bucket('a', 10, 3600 * second, 10);
  for (std::size_t i = 0; i < 20'000; ++i) t.take(r, i, static_cast<std::int64_t>(1 + i % 9));
  CHECK(t.data().keys() == 20'000);
  bool all = true;
  for (std::size_t i = 0; i < 20'000; ++i) {
    all = all && t.peek(r, i).remaining == 10 - static_cast<std::int64_t>(1 + i % 9);
  }
  CHECK(all);
}

TEST_CASE("threads that share keys admit exactly the limit") {
  memory_table data({.max_keys = 1000, .clock = [] { return epoch_us; }});
  const rule a = bucket('a', 1000, second, 1000);
  const rule b = log_of('b', 1000, second);
  std::atomic<int> admitted{0};
  std::vector<std::thread> threads;
  for (std::size_t n = 0; n < 4; ++n) {
    threads.emplace_back([&, n] {
      // Opposite orders: taking locks as they come would deadlock.
      const std::size_t first = n % 2;
      const std::vector<charge> charges{{first == 0 ? &a : &b, subject(first), 1},
                                        {first == 0 ? &b : &a, subject(1 - first), 1}};
      store_reply reply;
      for (int i = 0; i < 500; ++i) {
        data.execute(operation::take, charges, reply);
        if (reply.states[0].allowed && reply.states[1].allowed) ++admitted;
      }
    });
  }
  for (std::thread& t : threads) t.join();
  CHECK(admitted == 1000);
}

TEST_CASE("the default clock is the time since the epoch") {
  memory_table data({});
  const rule r = bucket('a', 1, second, 1);
  store_reply reply;
  const charge c{&r, subject(1), 1};
  data.execute(operation::take, {&c, 1}, reply);
  CHECK(reply.now_us > 1'700'000'000 * second);
  CHECK(reply.now_us < 9'000'000'000 * second);
}

TEST_CASE("a worker's handle answers before it returns") {
  struct waiter final : store_waiter {
    void on_store_reply(errc error, const store_reply& reply) override {
      CHECK(error == errc::ok);
      remaining = reply.states.at(0).remaining;
    }
    std::optional<std::int64_t> remaining;
  } w;
  memory_store store(std::make_shared<memory_table>(memory_table::options{}));
  const rule r = bucket('a', 5, second, 5);
  const charge c{&r, subject(1), 2};
  CHECK(store.available());
  store.execute(operation::take, {&c, 1}, w);
  CHECK(w.remaining == 3);
}
