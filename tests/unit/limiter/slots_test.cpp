// SPDX-License-Identifier: Apache-2.0
// Slots: held by a permit, released exactly once whatever ends the request.
#include "limiter/limiter.hpp"
#include "limiter/stores/memory_store.hpp"

#include <doctest/doctest.h>
#include <string>
#include <vector>

using namespace weir::limiter;

namespace {

rule slot_rule(std::string name, std::int64_t max, bool this_process = false) {
  rule r;
  r.name = std::move(name);
  r.rid = make_rule_id(r.name);
  r.quota = {.algorithm = algorithm::concurrency, .limit = max, .period_us = 30'000'000, .burst = max};
  r.slots = slot_limit{.this_process = this_process};
  return r;
}

rule unit_rule(std::int64_t limit) {
  rule r;
  r.name = "units";
  r.rid = make_rule_id(r.name);
  r.quota = {.limit = limit, .period_us = 3'600'000'000, .burst = limit};
  return r;
}

struct failing_store final : store {
  void execute(operation, std::span<const charge>, store_waiter& waiter) override {
    waiter.on_store_reply(errc::timeout, {});
  }
  void cancel(store_waiter&) noexcept override {}
  [[nodiscard]] bool available() const noexcept override { return false; }
};

/// Never answers.
struct silent_store final : store {
  void execute(operation op, std::span<const charge> charges, store_waiter& waiter) override {
    operations.push_back(op);
    holders.emplace_back(charges[0].holder);
    last = &waiter;
  }
  void cancel(store_waiter&) noexcept override {}
  [[nodiscard]] bool available() const noexcept override { return true; }
  std::vector<operation> operations;
  std::vector<std::string> holders;
  store_waiter* last = nullptr;
};

struct request final : pending_decision {
  void on_decision() override { ++decisions; }
  int decisions = 0;
};

struct house {
  std::unique_ptr<request> ask(std::vector<const rule*> rules, std::string_view holder) {
    auto pending = std::make_unique<request>();
    for (const rule* r : rules) {
      const charge c{
          .matched = r, .subject = {}, .cost = 1, .holder = r->slots ? holder : std::string_view{}};
      (r->slots && r->slots->this_process ? pending->here : pending->charges).push_back(c);
    }
    limiter.decide(*pending);
    return pending;
  }
  std::optional<permit> take(std::vector<const rule*> rules, std::string_view holder) {
    const auto pending = ask(std::move(rules), holder);
    if (pending->result.verdict != verdict::allow) return std::nullopt;
    return pending->take_permit();
  }
  std::int64_t held(const rule& r, memory_table& of) {
    store_reply reply;
    const charge c{.matched = &r, .subject = {}, .cost = 1, .holder = "nobody"};
    of.execute(operation::peek, {&c, 1}, reply);
    return r.quota.limit - reply.states[0].remaining;
  }
  std::int64_t held(const rule& r) { return held(r, table); }

  std::int64_t now = 4'000'000'000;
  memory_table table{{.clock = [this] { return now; }}};
  memory_table local_table{{.clock = [this] { return now; }}};
  std::shared_ptr<memory_table> borrowed{&table, [](memory_table*) {}};
  std::shared_ptr<memory_table> borrowed_local{&local_table, [](memory_table*) {}};
  memory_store primary{borrowed};
  memory_store local{borrowed_local};
  rate_limiter limiter{primary, local, 1};
};

}  // namespace

TEST_CASE("a permit holds its slot until it is settled or dropped, and releases it once") {
  house h;
  const rule r = slot_rule("s", 2);
  auto a = h.take({&r}, "a");
  auto b = h.take({&r}, "b");
  REQUIRE((a && b));
  CHECK(h.held(r) == 2);
  const auto refused = h.ask({&r}, "c");
  CHECK(refused->result.verdict == verdict::deny);
  CHECK(refused->result.no_slot == &r);
  CHECK(refused->result.retry_after_us > 0);
  a->settle({200, true});
  CHECK(h.held(r) == 1);
  auto d = h.take({&r}, "d");
  a.reset();
  CHECK(h.held(r) == 2);
  b.reset();
  d.reset();
  CHECK(h.held(r) == 0);
}

TEST_CASE("slots can go before the costs are known, and go once") {
  house h;
  rule units = unit_rule(10);
  units.count.codes = {401};
  const rule slots = slot_rule("s", 1);
  auto a = h.take({&units, &slots}, "a");
  a->release_slots();
  a->release_slots();
  CHECK(h.held(slots) == 0);
  CHECK(a->owes());
  CHECK(a->renew_every_us() == 0);
  const auto b = h.take({&units, &slots}, "b");
  a->settle({200, true});
  CHECK(h.held(slots) == 1);
  store_reply reply;
  const charge c{.matched = &units, .subject = {}, .cost = 1};
  h.table.execute(operation::peek, {&c, 1}, reply);
  CHECK(reply.states[0].remaining == 9);
}

TEST_CASE("a rule that denies is told instead of the missing slot, and no slot is taken") {
  house h;
  const rule units = unit_rule(1);
  const rule slots = slot_rule("s", 1);
  auto a = h.take({&units, &slots}, "a");
  REQUIRE(a);
  auto refused = h.ask({&units, &slots}, "b");
  CHECK(refused->result.no_slot == nullptr);
  CHECK(refused->result.limiting == 0);
  a.reset();
  refused = h.ask({&units, &slots}, "c");
  CHECK(refused->result.verdict == verdict::deny);
  CHECK(h.held(slots) == 0);
}

TEST_CASE("a request without a slot leaves the units of its rules alone") {
  house h;
  const rule units = unit_rule(10);
  const rule slots = slot_rule("s", 1);
  const auto a = h.take({&units, &slots}, "a");
  for (int i = 0; i < 50; ++i) CHECK_FALSE(h.take({&units, &slots}, "b"));
  store_reply reply;
  const charge c{.matched = &units, .subject = {}, .cost = 1};
  h.table.execute(operation::peek, {&c, 1}, reply);
  CHECK(reply.states[0].remaining == 9);
}

TEST_CASE("slots of this process are taken before the store is asked and given back when it denies") {
  house h;
  const rule units = unit_rule(1);
  const rule here = slot_rule("here", 1, true);
  auto a = h.take({&units, &here}, "a");
  REQUIRE(a);
  CHECK(h.held(here, h.local_table) == 1);
  CHECK(h.held(here) == 0);
  const auto refused = h.ask({&here}, "b");
  CHECK(refused->result.no_slot == &here);
  a.reset();
  CHECK(h.held(here, h.local_table) == 0);
  CHECK_FALSE(h.take({&units, &here}, "c"));
  CHECK(h.held(here, h.local_table) == 0);
}

TEST_CASE("renewing keeps a slot beyond its lease, and a lease that ended is not taken again") {
  house h;
  const rule r = slot_rule("s", 1);
  auto a = h.take({&r}, "a");
  CHECK(a->renew_every_us() == 10'000'000);
  for (int i = 0; i < 10; ++i) {
    h.now += 10'000'000;
    a->renew();
  }
  CHECK(h.held(r) == 1);
  h.now += 30'000'001;
  CHECK(h.held(r) == 0);
  a->renew();
  CHECK(h.held(r) == 0);
  auto b = h.take({&r}, "b");
  REQUIRE(b);
  a.reset();
  CHECK(h.held(r) == 1);
}

TEST_CASE("slots that failure_mode took are released where they were taken") {
  house h;
  failing_store away;
  rate_limiter limiter{away, h.local, 1};
  rule r = slot_rule("s", 1);
  request pending;
  pending.charges.push_back({.matched = &r, .subject = {}, .cost = 1, .holder = "a"});
  limiter.decide(pending);
  REQUIRE(pending.result.verdict == verdict::allow);
  auto p = pending.take_permit();
  CHECK(h.held(r, h.local_table) == 1);
  p.settle({200, true});
  CHECK(h.held(r, h.local_table) == 0);

  r.failure_mode = failure_mode::allow;
  limiter.decide(pending);
  REQUIRE(pending.result.verdict == verdict::allow);
  CHECK_FALSE(pending.take_permit().owes());

  r.failure_mode = failure_mode::deny;
  limiter.decide(pending);
  CHECK(pending.result.reason == decision_reason::store_failed);
  CHECK(pending.result.no_slot == nullptr);
}

TEST_CASE("a client that leaves while the store is asked has its slot released behind the question") {
  house h;
  silent_store store;
  rate_limiter limiter{store, h.local, 1};
  const rule r = slot_rule("s", 1);
  const rule here = slot_rule("here", 1, true);
  request pending;
  pending.charges.push_back({.matched = &r, .subject = {}, .cost = 1, .holder = "a"});
  pending.here.push_back({.matched = &here, .subject = {}, .cost = 1, .holder = "a"});
  limiter.decide(pending);
  CHECK(h.held(here, h.local_table) == 1);
  limiter.cancel(pending);
  CHECK(store.operations == std::vector{operation::take, operation::refund});
  CHECK(store.holders == std::vector<std::string>{"a", "a"});
  CHECK(h.held(here, h.local_table) == 0);
}

TEST_CASE("a million requests that end in any way leave no slot behind") {
  house h;
  const rule shared = slot_rule("s", 8);
  const rule here = slot_rule("h", 8, true);
  const rule units = unit_rule(std::int64_t{1} << 30);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  constexpr int cycles = 100'000;
#else
  constexpr int cycles = 1'000'000;
#endif
  std::optional<permit> kept;
  int allowed = 0;
  for (int i = 0; i < cycles; ++i) {
    const std::string holder = "p-" + std::to_string(i);
    auto p = h.take({&units, &shared, &here}, holder);
    if (!p) continue;
    ++allowed;
    switch (i % 4) {
      case 0:
        p->settle({200, true});
        break;
      case 1:
        break;  // abandoned
      case 2:
        kept = std::move(p);  // the one before it is released by its successor
        break;
      default:
        p->renew();
        p->settle({0, false});
        p->settle({0, false});
        break;
    }
  }
  kept.reset();
  CHECK(allowed == cycles);
  CHECK(h.held(shared) == 0);
  CHECK(h.held(here, h.local_table) == 0);
}
