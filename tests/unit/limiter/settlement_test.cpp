// SPDX-License-Identifier: Apache-2.0
// What an allowed request owes, and that it is paid exactly once.
#include "limiter/limiter.hpp"
#include "limiter/stores/memory_store.hpp"

#include <algorithm>
#include <doctest/doctest.h>
#include <type_traits>
#include <utility>
#include <vector>

using namespace weir::limiter;

namespace {

rule response_rule(std::int64_t reserve, std::int64_t max = 100, std::int64_t unit = 1) {
  rule r;
  r.name = "r";
  r.rid = make_rule_id(r.name);
  r.quota = {.limit = 100, .period_us = 60'000'000, .burst = 100};
  r.response_cost = response_cost{.reserve = reserve, .unit = unit, .max = max};
  return r;
}

rule counting_rule(std::vector<int> codes) {
  rule r = response_rule(0);
  r.response_cost.reset();
  r.count.codes = std::move(codes);
  return r;
}

outcome response(int status, std::optional<std::int64_t> actual, bool complete = true) {
  return {status, complete, [actual](const rule&) { return actual; }};
}

/// Sees every order, then lets a real store answer, or fails it.
class recording_store final : public store {
 public:
  explicit recording_store(memory_table& table) : table_(table) {}
  void execute(operation op, std::span<const charge> charges, store_waiter& waiter) override {
    operations.push_back(op);
    costs.push_back(charges[0].cost);
    since.push_back(charges[0].charged_at_us);
    if (silent) {
      waiting.push_back(&waiter);
      return;
    }
    store_reply reply;
    if (failure == errc::ok) table_.execute(op, charges, reply);
    waiter.on_store_reply(failure, reply);
  }
  void cancel(store_waiter&) noexcept override { ++cancelled; }
  [[nodiscard]] bool available() const noexcept override { return failure == errc::ok; }

  errc failure = errc::ok;
  bool silent = false;
  int cancelled = 0;
  std::vector<operation> operations;
  std::vector<std::int64_t> costs, since;
  std::vector<store_waiter*> waiting;

 private:
  memory_table& table_;
};

struct request final : pending_decision {
  void on_decision() override { ++decisions; }
  int decisions = 0;
};

struct ledger final : settlement_observer {
  void on_settled(const settled& what) override {
    exact += what.exact;
    refunded += what.refunded;
    extra += what.extra;
    uncollected += what.uncollected;
    failures += what.failure != errc::ok;
    longest_us = std::max(longest_us, what.took_us);
    ++reports;
  }
  [[nodiscard]] std::int64_t now_us() const noexcept override { return clock_us; }
  std::int64_t exact = 0, refunded = 0, extra = 0, uncollected = 0;
  int failures = 0, reports = 0;
  std::int64_t clock_us = 1000, longest_us = -1;
};

struct house {
  house() { limiter.settlements().observe(&book); }

  std::optional<permit> ask(const rule& r, std::int64_t cost) {
    request pending;
    pending.charges.push_back({.matched = &r, .subject = {}, .cost = cost});
    limiter.decide(pending);
    if (pending.result.verdict != verdict::allow) return std::nullopt;
    return pending.take_permit();
  }
  std::int64_t remaining(const rule& r, memory_table& of) {
    store_reply reply;
    const charge c{.matched = &r, .subject = {}, .cost = 1};
    of.execute(operation::peek, {&c, 1}, reply);
    return reply.states[0].remaining;
  }
  std::int64_t remaining(const rule& r) { return remaining(r, table); }

  std::int64_t now = 4'000'000'000;
  memory_table table{{.clock = [this] { return now; }}};
  memory_table local_table{{.clock = [this] { return now; }}};
  recording_store primary{table};
  recording_store local{local_table};
  ledger book;
  rate_limiter limiter{primary, local, 1};
};

}  // namespace

static_assert(!std::is_copy_constructible_v<permit> && !std::is_copy_assignable_v<permit>);
static_assert(std::is_nothrow_move_constructible_v<permit> && std::is_nothrow_move_assignable_v<permit>);

TEST_CASE("the final cost is the actual one in units rounded up, at most max") {
  const rule r = response_rule(10, 50, 8);
  CHECK(final_cost(r, 10, response(200, 0)) == 0);
  CHECK(final_cost(r, 10, response(200, 1)) == 1);
  CHECK(final_cost(r, 10, response(200, 8)) == 1);
  CHECK(final_cost(r, 10, response(200, 9)) == 2);
  CHECK(final_cost(r, 10, response(200, 401)) == 50);
  CHECK(final_cost(r, 10, response(200, std::int64_t{1} << 62)) == 50);
  CHECK(final_cost(r, 10, response(200, -5)) == 0);
}

TEST_CASE("a cost that was not found keeps the reserve or gives it back, as the file says") {
  rule r = response_rule(10);
  CHECK(final_cost(r, 10, response(200, std::nullopt)) == 10);
  CHECK(final_cost(r, 10, {}) == 10);
  r.response_cost->refund_missing = true;
  CHECK(final_cost(r, 10, response(200, std::nullopt)) == 0);
  CHECK(final_cost(r, 10, {}) == 0);
}

TEST_CASE("a response that was cut short never costs less than the reserve, unless the file says refund") {
  rule r = response_rule(10);
  CHECK(final_cost(r, 10, response(200, 3, false)) == 10);
  CHECK(final_cost(r, 10, response(200, 30, false)) == 30);
  r.response_cost->refund_missing = true;
  CHECK(final_cost(r, 10, response(200, 30, false)) == 0);
}

TEST_CASE("only listed statuses stay charged, and a request without a response does") {
  rule r = counting_rule({401, 403});
  CHECK(final_cost(r, 1, {.status = 401}) == 1);
  CHECK(final_cost(r, 1, {.status = 403}) == 1);
  CHECK(final_cost(r, 1, {.status = 200}) == 0);
  CHECK(final_cost(r, 1, {.status = 0}) == 1);
  r.count.classes[5] = true;
  CHECK(final_cost(r, 3, {.status = 599}) == 3);
  CHECK(final_cost(r, 3, {.status = 499}) == 0);
}

TEST_CASE("a rule that settles nothing has a permit that owes nothing") {
  house h;
  rule r = response_rule(0);
  r.response_cost.reset();
  const auto p = h.ask(r, 1);
  REQUIRE(p);
  CHECK_FALSE(p->owes());
}

TEST_CASE("a cheaper response gives the difference back, named by the instant of the charge") {
  house h;
  const rule r = response_rule(80);
  auto p = h.ask(r, 80);
  REQUIRE(p);
  CHECK(p->owes());
  CHECK(h.remaining(r) == 20);
  p->settle(response(200, 30));
  CHECK(h.remaining(r) == 70);
  CHECK(h.primary.operations == std::vector{operation::take, operation::refund});
  CHECK(h.primary.costs.back() == 50);
  CHECK(h.primary.since.back() == h.now);
  CHECK(h.book.refunded == 50);
  p->settle(response(200, 0));
  p.reset();
  CHECK(h.primary.operations.size() == 2);
  CHECK(h.remaining(r) == 70);
}

TEST_CASE("a dearer response takes the rest as far as units are left and counts what is not") {
  house h;
  const rule r = response_rule(20);
  auto p = h.ask(r, 20);
  p->settle(response(200, 60));
  CHECK(h.remaining(r) == 40);
  CHECK(h.book.extra == 40);
  auto q = h.ask(r, 20);
  q->settle(response(200, 90));
  CHECK(h.remaining(r) == 0);
  CHECK(h.book.extra == 60);
  CHECK(h.book.uncollected == 50);
  CHECK(h.primary.operations.back() == operation::take_upto);
}

TEST_CASE("an estimate that was right needs no call") {
  house h;
  const rule r = response_rule(20);
  h.ask(r, 20)->settle(response(200, 20));
  CHECK(h.primary.operations.size() == 1);
  CHECK(h.book.exact == 20);
}

TEST_CASE("a permit that is dropped settles as a request without a response") {
  house h;
  rule r = response_rule(80);
  { const auto p = h.ask(r, 80); }
  CHECK(h.remaining(r) == 20);
  h.now += 60'000'000;
  r.response_cost->refund_missing = true;
  {
    auto p = h.ask(r, 80);
    auto moved = std::move(*p);
    CHECK_FALSE(p->owes());  // NOLINT(bugprone-use-after-move)
    p.reset();
    CHECK(h.remaining(r) == 20);
  }
  CHECK(h.remaining(r) == 100);
  CHECK(h.book.refunded == 80);
}

TEST_CASE("a permit that takes another's place pays for its own request first") {
  house h;
  rule r = response_rule(40);
  r.response_cost->refund_missing = true;
  auto a = h.ask(r, 40);
  auto b = h.ask(r, 40);
  CHECK(h.remaining(r) == 20);
  *a = std::move(*b);
  CHECK(h.remaining(r) == 60);
  a.reset();
  CHECK(h.remaining(r) == 100);
}

TEST_CASE("of a hundred requests that reserve 80 of 100 units one is admitted and the settling is exact") {
  house h;
  const rule r = response_rule(80);
  std::vector<permit> permits;
  for (int i = 0; i < 100; ++i) {
    if (auto p = h.ask(r, 80)) permits.push_back(std::move(*p));
  }
  REQUIRE(permits.size() == 1);
  permits[0].settle(response(200, 5));
  CHECK(h.remaining(r) == 95);
}

TEST_CASE("what failure_mode decided is settled where it was decided") {
  house h;
  rule r = response_rule(80);
  h.primary.failure = errc::timeout;
  auto p = h.ask(r, 80);
  REQUIRE(p);
  h.primary.failure = errc::ok;
  p->settle(response(200, 10));
  CHECK(h.primary.operations.size() == 1);
  CHECK(h.remaining(r, h.local_table) == 90);
  CHECK(h.remaining(r) == 100);

  r.failure_mode = failure_mode::allow;
  h.primary.failure = errc::timeout;
  p = h.ask(r, 80);
  REQUIRE(p);
  CHECK_FALSE(p->owes());
}

TEST_CASE("a settlement whose outcome is unknown is not repeated") {
  house h;
  const rule r = response_rule(80);
  auto p = h.ask(r, 80);
  h.primary.failure = errc::closed;
  p->settle(response(200, 10));
  p.reset();
  CHECK(h.primary.operations.size() == 2);
  CHECK(h.book.failures == 1);
  CHECK(h.book.refunded == 0);
  h.primary.failure = errc::ok;
  p = h.ask(r, 10);
  h.primary.failure = errc::timeout;
  p->settle(response(200, 60));
  CHECK(h.book.uncollected == 50);
}

TEST_CASE("a settlement tells how long the store took, or that it was not asked") {
  house h;
  const rule r = response_rule(20);
  h.ask(r, 20)->settle(response(200, 20));
  CHECK(h.book.longest_us == -1);
  auto permit = h.ask(r, 20);
  h.primary.silent = true;
  permit->settle(response(200, 5));
  h.book.clock_us += 250;
  store_reply reply;
  reply.states.resize(1);
  h.primary.waiting.front()->on_store_reply(errc::ok, reply);
  CHECK(h.book.longest_us == 250);
}

TEST_CASE("nobody waits for a settlement, and the number of those on their way is bounded") {
  house h;
  rule r = response_rule(1);
  r.quota = {.limit = 10'000, .period_us = 60'000'000, .burst = 10'000};
  std::vector<permit> permits;
  for (std::size_t i = 0; i <= settler::max_outstanding; ++i) permits.push_back(std::move(*h.ask(r, 1)));
  h.primary.silent = true;
  for (permit& p : permits) p.settle(response(200, 0));
  CHECK(h.limiter.settlements().outstanding() == settler::max_outstanding);
  CHECK(h.book.failures == 1);
  const auto waiting = std::exchange(h.primary.waiting, {});
  store_reply reply;
  reply.states.resize(1);
  for (std::size_t i = 1; i < waiting.size(); ++i) waiting[i]->on_store_reply(errc::ok, reply);
  CHECK(h.limiter.settlements().outstanding() == 1);
  CHECK(h.book.refunded == static_cast<std::int64_t>(settler::max_outstanding) - 1);
}
