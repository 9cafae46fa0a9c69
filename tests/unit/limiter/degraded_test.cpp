// SPDX-License-Identifier: Apache-2.0
// The limiter without its store, over the product's sharing store and a virtual clock.
#include "limiter/limiter.hpp"
#include "sharing_fakes.hpp"

#include <array>
#include <doctest/doctest.h>
#include <memory>
#include <string>
#include <vector>

using namespace weir::limiter;
using namespace weir::limiter::testing;

namespace {

struct request final : pending_decision {
  void on_decision() override { ++decisions; }
  int decisions = 0;
};

struct house {
  explicit house(std::int64_t members, std::int64_t grace_us = -1)
      : p(time),
        limiter(p.sharing, p.local_store, members,
                {.allow_grace_us = grace_us,
                 .clock = [this] { return time.now_us; },
                 .last_known = [this](const charge& c) { return p.sharing.last_known(c); }}) {}

  const decision& decide(const rule& r, int who = 1, std::int64_t cost = 1) {
    pending.charges.clear();
    pending.charges.push_back({.matched = &r, .subject = subject(who), .cost = cost});
    limiter.decide(pending);
    return pending.result;
  }
  bool allows(const rule& r, int who = 1) { return decide(r, who).verdict == verdict::allow; }
  int run(const rule& r, int count, std::int64_t gap_us) {
    int allowed = 0;
    for (int i = 0; i < count; ++i) {
      time.now_us += gap_us;
      allowed += allows(r) ? 1 : 0;
    }
    return allowed;
  }
  std::int64_t level(const rule& r) {
    const charge c{.matched = &r, .subject = subject(1)};
    store_reply reply;
    p.shared.table->execute(operation::peek, {&c, 1}, reply);
    return reply.states[0].remaining;
  }

  virtual_time time;
  process p;
  rate_limiter limiter;
  request pending;
};

const rule ten = make_rule(0, {.limit = 10, .period_us = second, .burst = 10});

}  // namespace

TEST_CASE("without the store a process enforces its share to the last credit") {
  house h(4);
  h.p.shared.down = errc::closed;
  // 2.5 units at once, 2.5 per second: 2 now, the third when half a unit came back
  CHECK(h.allows(ten));
  CHECK(h.allows(ten));
  const decision& third = h.decide(ten);
  CHECK(third.verdict == verdict::deny);
  CHECK(third.reason == decision_reason::over_limit);
  CHECK(third.retry_after_us == 200'000);
  h.time.now_us += 200'000;
  CHECK(h.allows(ten));
  CHECK(h.run(ten, 10'000, 1'000) == 25);
}

TEST_CASE("an outage of ten seconds admits at most burst and rate of all shares") {
  for (const std::int64_t n : {1, 3, 10}) {
    CAPTURE(n);
    house h(n);
    h.p.shared.down = errc::timeout;
    CHECK(h.run(ten, 10'000, 1'000) * n <= 10 + 100);
    CHECK(h.run(ten, 10'000, 1'000) * n >= 90);
  }
}

TEST_CASE("who had little left gets no fresh burst when the store goes") {
  house h(2);
  CHECK(h.run(ten, 8, 0) == 8);
  h.p.shared.down = errc::closed;
  CHECK(h.run(ten, 10, 0) == 1);  // half of two

  house exhausted(2);
  CHECK(exhausted.run(ten, 12, 0) == 10);
  exhausted.p.shared.down = errc::closed;
  CHECK(exhausted.run(ten, 10, 0) == 0);
}

TEST_CASE("below one unit each a key gets a whole one by lot, and nobody rounds up") {
  const rule two = make_rule(0, {.limit = 2, .period_us = second, .burst = 2});
  house h(10);
  h.p.shared.down = errc::closed;
  int lucky = 0;
  constexpr int keys = 2000;
  for (int who = 0; who < keys; ++who) lucky += h.allows(two, who) ? 1 : 0;
  CHECK(lucky > keys * 2 / 10 * 85 / 100);
  CHECK(lucky < keys * 2 / 10 * 115 / 100);
  // one unit in 5 s after the first, whoever won
  int later = 0;
  for (int i = 0; i < 100; ++i) {
    h.time.now_us += 500'000;
    later += h.allows(two, 1) ? 1 : 0;
  }
  CHECK(later <= 11);
}

TEST_CASE("a window is enforced as a bucket of its limit") {
  const rule window =
      make_rule(0, {.algorithm = algorithm::fixed_window, .limit = 100, .period_us = second, .burst = 100});
  house h(4);
  h.p.shared.down = errc::closed;
  CHECK(h.run(window, 100, 0) == 25);
  CHECK(h.run(window, 10'000, 1'000) == 250);
}

TEST_CASE("what was used during the outage is told before the next take") {
  const rule slow = make_rule(0, {.limit = 1, .period_us = 1000 * second, .burst = 100});
  house h(2);
  h.p.shared.down = errc::closed;
  CHECK(h.run(slow, 80, 0) == 50);
  h.p.shared.down = errc::ok;
  CHECK(h.level(slow) == 100);
  CHECK(h.allows(slow));
  CHECK(h.level(slow) == 49);
  CHECK(h.p.shared.grants == 1);
  CHECK(h.allows(slow));
  CHECK(h.p.shared.grants == 1);  // once
}

TEST_CASE("what was used is told under the readable name") {
  house h(2);
  h.p.shared.down = errc::closed;
  h.pending.charges.push_back(
      {.matched = &ten, .subject = subject(1), .name = std::make_shared<const std::string>("user=alice")});
  h.limiter.decide(h.pending);
  h.p.shared.down = errc::ok;
  h.limiter.decide(h.pending);
  CHECK(h.p.shared.grants == 1);
  CHECK(h.p.shared.names == std::vector<std::string>(3, "user=alice"));
}

TEST_CASE("usage of other subjects follows little by little, and what time gave back is not told") {
  const rule slow = make_rule(0, {.limit = 1, .period_us = 1000 * second, .burst = 100});
  const rule quick = make_rule(1, {.limit = 100, .period_us = second, .burst = 100});
  house h(1);
  h.p.shared.down = errc::closed;
  for (int who = 10; who < 20; ++who) CHECK(h.allows(slow, who));
  CHECK(h.allows(quick, 30));
  h.time.now_us += second;
  h.p.shared.down = errc::ok;
  for (int i = 0; i < 3; ++i) h.allows(ten, 99);
  CHECK(h.p.shared.grants == 10);
}

namespace {

/// Four processes over one store, each with a connection of its own; all ask for the same subject.
struct fleet {
  static constexpr int size = 4;
  static constexpr std::int64_t rate = 20;

  struct member {
    member(virtual_time& t, const std::shared_ptr<memory_table>& table)
        : p(t),
          limiter(p.sharing, p.local_store, size,
                  {.clock = [&t] { return t.now_us; },
                   .last_known = [this](const charge& c) { return p.sharing.last_known(c); }}) {
      p.shared.table = table;
    }
    process p;
    rate_limiter limiter;
    request pending;
  };

  explicit fleet(std::int64_t burst)
      : shared_rule(make_rule(0, {.limit = rate, .period_us = second, .burst = burst})) {
    const auto table = std::make_shared<memory_table>(
        memory_table::options{.max_keys = 1000, .shards = 1, .clock = [this] { return time.now_us; }});
    for (auto& m : members) m = std::make_unique<member>(time, table);
  }

  bool ask(int who) {
    member& m = *members[static_cast<std::size_t>(who)];
    m.pending.charges.clear();
    m.pending.charges.push_back({.matched = &shared_rule, .subject = subject(1)});
    m.limiter.decide(m.pending);
    return m.pending.result.verdict == verdict::allow;
  }

  /// Requests every `gap_us` until `until_us`, to each process in turn.
  void run(std::int64_t until_us, std::int64_t gap_us) {
    for (; time.now_us < until_us; time.now_us += gap_us) {
      const auto drained = static_cast<double>(time.now_us - last_us) * rate / second;
      if (!ask(next++ % size)) continue;
      level = std::max(0.0, level - drained) + 1;
      last_us = time.now_us;
      highest = std::max(highest, level);
      ++admitted;
    }
  }
  void cut() {
    for (auto& m : members) m->p.shared.down = errc::closed;
  }
  void mend(int who) { members[static_cast<std::size_t>(who)]->p.shared.down = errc::ok; }

  virtual_time time;
  const rule shared_rule;
  std::array<std::unique_ptr<member>, size> members;
  int next = 0, admitted = 0;
  double level = 0, highest = 0;  // of a queue that each admission raises and the rate drains
  std::int64_t last_us = start_us;
};

}  // namespace

TEST_CASE("an outage admits no more than the limit in any window, in whatever order processes come back") {
  for (const std::int64_t burst : {40, 400}) {
    for (const std::int64_t gap_us : {2'000, 7'300, 11'000, 45'000}) {
      CAPTURE(burst);
      CAPTURE(gap_us);
      fleet f(burst);
      std::int64_t end = start_us + 200 * second + 31'000;  // nothing is left
      f.run(end, gap_us);
      f.cut();
      f.run(end += 10 * second, gap_us);
      const int before = f.admitted;
      for (int who = 0; who < fleet::size; ++who) {
        f.mend(who);
        f.run(end += 650'000, gap_us);
      }
      f.run(end += 5 * second, gap_us);
      CHECK(f.highest <= static_cast<double>(burst) + 1e-6);
      CHECK(f.admitted - before >= fleet::rate * 7 * 8 / 10);
    }
  }
}

TEST_CASE("outage follows outage, and no share is fresh in the second") {
  fleet f(40);
  std::int64_t end = start_us + 3 * second;
  f.run(end, 7'300);
  for (int outage = 0; outage < 4; ++outage) {
    f.cut();
    f.run(end += 3 * second, 7'300);
    for (int who = 0; who < fleet::size; ++who) f.mend((who + outage) % fleet::size);
    f.run(end += 3 * second, 7'300);
  }
  CHECK(f.highest <= 40 + 1e-6);
}

TEST_CASE("one lost reply does not hold a subject to its share") {
  house h(4);
  h.p.shared.down = errc::timeout;
  CHECK(h.allows(ten));
  h.p.shared.down = errc::ok;
  CHECK(h.run(ten, 10, 0) == 9);
}

TEST_CASE("what the store denies after an outage costs the share nothing") {
  house h(2);
  h.p.shared.down = errc::closed;
  CHECK(h.run(ten, 4, 500'000) == 4);
  h.p.shared.down = errc::ok;
  const charge others{.matched = &ten, .subject = subject(1), .cost = 10};
  store_reply reply;
  h.p.shared.table->execute(operation::take_upto, {&others, 1}, reply);
  CHECK(h.run(ten, 4, 0) == 0);
  h.p.shared.table->execute(operation::refund, {&others, 1}, reply);
  h.p.sharing.forget_answers();
  CHECK(h.run(ten, 10, 0) == 4);  // of five one is used
}

TEST_CASE("the grace of `allow` runs from the first failure and is not begun anew") {
  const rule open = make_rule(0, ten.quota, sharing_mode::strict, failure_mode::allow);
  house h(1, 30 * second);
  h.p.shared.down = errc::closed;
  CHECK(h.allows(open));
  h.time.now_us += 30 * second - 1;
  CHECK(h.allows(open));
  h.time.now_us += 1;
  CHECK(!h.allows(open));
  CHECK(h.pending.result.reason == decision_reason::store_failed);
  CHECK(h.pending.result.mode == failure_mode::deny);

  h.p.shared.down = errc::ok;  // it flaps
  CHECK(h.allows(open));
  h.p.shared.down = errc::closed;
  CHECK(!h.allows(open));

  h.p.shared.down = errc::ok;  // and recovers
  for (int i = 0; i <= 30; ++i, h.time.now_us += second) h.allows(open);
  h.p.shared.down = errc::closed;
  CHECK(h.allows(open));
}

TEST_CASE("without a bound `allow` admits for as long as it takes") {
  const rule open = make_rule(0, ten.quota, sharing_mode::strict, failure_mode::allow);
  house h(1);
  h.p.shared.down = errc::closed;
  CHECK(h.run(open, 100, 3600 * second) == 100);
}

namespace {

/// Fails the charges of one rule, as a store of several servers does.
class half_store final : public store {
 public:
  explicit half_store(store& all) : all_(all) {}
  void execute(operation op, std::span<const charge> charges, store_waiter& waiter) override {
    last = op;
    ++calls;
    charge_list alive;
    for (const charge& c : charges) {
      if (c.matched->index != dead) alive.push_back(c);
    }
    struct : store_waiter {
      void on_store_reply(errc, const store_reply& r) override { reply = r; }
      store_reply reply;
    } part;
    if (!alive.empty()) all_.execute(op, alive, part);
    store_reply whole;
    whole.now_us = part.reply.now_us;
    std::size_t next = 0;
    for (const charge& c : charges) {
      const bool failed = c.matched->index == dead;
      whole.failures.push_back(failed ? errc::closed : errc::ok);
      whole.states.push_back(failed ? rule_state{} : part.reply.states[next++]);
    }
    waiter.on_store_reply(errc::ok, whole);
  }
  void cancel(store_waiter&) noexcept override {}
  [[nodiscard]] bool available() const noexcept override { return true; }
  std::uint32_t dead = 1;
  operation last = operation::peek;
  int calls = 0;

 private:
  store& all_;
};

struct half_house {
  explicit half_house(failure_mode mode)
      : p(time), half(p.shared), limiter(half, p.local_store, 1, {.clock = [this] { return time.now_us; }}) {
    dead = make_rule(1, {.limit = 1, .period_us = 1000 * second, .burst = 2}, sharing_mode::strict, mode);
    pending.charges.push_back({.matched = &alive, .subject = subject(1)});
    pending.charges.push_back({.matched = &dead, .subject = subject(2)});
  }
  std::int64_t level() {
    store_reply reply;
    p.shared.table->execute(operation::peek, {pending.charges.data(), 1}, reply);
    return reply.states[0].remaining;
  }
  virtual_time time;
  process p;
  half_store half;
  rate_limiter limiter;
  rule alive = make_rule(0, {.limit = 1, .period_us = 1000 * second, .burst = 5});
  rule dead;
  request pending;
};

}  // namespace

TEST_CASE("one server of several is away: its rules decide for themselves, the others as ever") {
  half_house h(failure_mode::allow);
  for (int i = 0; i < 5; ++i) {
    h.limiter.decide(h.pending);
    CHECK(h.pending.result.verdict == verdict::allow);
    CHECK(h.pending.result.failed == 2);
    CHECK(h.pending.result.failure == errc::closed);
  }
  h.limiter.decide(h.pending);
  CHECK(h.pending.result.verdict == verdict::deny);
  CHECK(h.pending.result.limiting == 0);
  CHECK(h.half.calls == 6);
}

TEST_CASE("a rule that fails and denies gives back once what the others took") {
  half_house h(failure_mode::deny);
  h.limiter.decide(h.pending);
  CHECK(h.pending.result.verdict == verdict::deny);
  CHECK(h.pending.result.limiting == 1);
  CHECK(h.pending.result.reason == decision_reason::store_failed);
  CHECK(h.level() == 5);
  CHECK(h.half.calls == 2);
  CHECK(h.half.last == operation::refund);
}

TEST_CASE("a rule that fails and is denied by its share gives back, too") {
  half_house h(failure_mode::local);
  for (int i = 0; i < 2; ++i) {
    h.limiter.decide(h.pending);
    CHECK(h.pending.result.verdict == verdict::allow);
  }
  CHECK(h.level() == 3);
  h.limiter.decide(h.pending);
  CHECK(h.pending.result.verdict == verdict::deny);
  CHECK(h.pending.result.limiting == 1);
  CHECK(h.level() == 3);
}

TEST_CASE("a subject used all through a long outage is told in full") {
  const rule steady = make_rule(0, {.limit = 1, .period_us = second, .burst = 10});
  house h(1);
  h.p.shared.down = errc::closed;
  for (int i = 0; i < 30; ++i) {
    CHECK(h.allows(steady, 10));
    h.time.now_us += second;
  }
  h.p.shared.down = errc::ok;
  h.allows(steady, 10);
  CHECK(h.p.shared.grants == 1);
}
