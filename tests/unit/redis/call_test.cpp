// SPDX-License-Identifier: Apache-2.0
#include "limiter/redis/call.hpp"

#include "limiter/redis/link_age.hpp"
#include "store_fixture.hpp"

#include <deque>
#include <doctest/doctest.h>

using namespace std::chrono_literals;
using namespace weir::limiter::redis;
using weir::limiter::charge;
using weir::limiter::charge_list;
using weir::limiter::operation;
using weir::limiter::store_reply;

namespace {

const call::clock::time_point start{std::chrono::hours(1)};

const weir::limiter::rule& some_rule() {
  static const auto made = weir::tests::make_rule(100);
  return made;
}

struct test_call final : call {
  explicit test_call(char subject = 's', std::int64_t cost = 1) {
    own.push_back({.matched = &some_rule(), .subject = {}, .cost = cost});
    own.front().subject.text.fill(subject);
    charges = own;
    deadline = start + 50ms;
  }
  void on_done(const call_answer&) override {}
  charge_list own;
};

}  // namespace

TEST_CASE("equal takes that wait become one command in the order of arrival") {
  std::deque<test_call> calls(3);
  test_call other('t');
  call_queue queue;
  queue.push(calls[0]);
  queue.push(other);
  queue.push(calls[1]);
  queue.push(calls[2]);
  CHECK(queue.size() == 4);
  const auto groups = queue.take_all();
  REQUIRE(groups.size() == 2);
  REQUIRE(groups[0].members.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) CHECK(groups[0].members[i] == &calls[i]);
  CHECK(groups[1].members.size() == 1);
  CHECK(queue.empty());
  queue.push(calls[0]);  // nothing waits any more that it could join
  CHECK(queue.take_all().size() == 1);
}

TEST_CASE("what differs in subject, cost, operation, holder or history stays apart") {
  test_call plain;
  test_call subject('t');
  test_call cost('s', 2);
  test_call peek;
  peek.op = operation::peek;
  test_call holder;
  holder.own.front().holder = "a";
  test_call healed;
  healed.healed = 1;
  test_call asking;
  asking.asking = true;
  const weir::limiter::quota tier{.limit = 9, .period_us = 1, .burst = 9};
  test_call special;
  special.own.front().special = &tier;
  test_call shadow;
  shadow.own.front().shadow = true;
  for (call* other :
       std::initializer_list<call*>{&subject, &cost, &peek, &holder, &healed, &asking, &special, &shadow}) {
    CHECK_FALSE(mergeable(plain, *other));
    call_queue queue;
    queue.push(plain);
    queue.push(*other);
    CHECK(queue.take_all().size() == 2);
  }
  CHECK_FALSE(mergeable(holder, holder));
  CHECK_FALSE(mergeable(shadow, shadow));  // the first may be charged and the second not
  CHECK(mergeable(special, special));
  weir::limiter::rule punishing = *plain.own.front().matched;
  punishing.penalty_us = 1;
  test_call block;
  block.own.front().matched = &punishing;
  CHECK_FALSE(mergeable(block, block));  // the denial of the first blocks the second
}

TEST_CASE("a call that leaves before its command is sent is not asked for") {
  std::deque<test_call> calls(3);
  call_queue queue;
  for (auto& c : calls) queue.push(c);
  CHECK(queue.withdraw(calls[0]));
  CHECK_FALSE(queue.withdraw(calls[0]));
  CHECK(queue.size() == 2);
  const auto groups = queue.take_all();
  REQUIRE(groups.size() == 1);
  CHECK(groups[0].members.size() == 2);
  CHECK(groups[0].first() == &calls[1]);
}

TEST_CASE("every call keeps its own deadline") {
  std::deque<test_call> calls(3);
  calls[1].deadline = start;
  call_queue queue;
  for (auto& c : calls) queue.push(c);
  CHECK(queue.deadline() == start);
  CHECK(queue.take_expired(start - 1ms) == nullptr);
  CHECK(queue.take_expired(start) == &calls[1]);
  CHECK(queue.take_expired(start) == nullptr);
  CHECK(queue.deadline() == start + 50ms);
  CHECK(queue.size() == 2);
}

TEST_CASE("a command holds a bounded number of calls") {
  std::deque<test_call> calls(call_queue::max_merged + 1);
  call_queue queue;
  for (auto& c : calls) queue.push(c);
  const auto groups = queue.take_all();
  REQUIRE(groups.size() == 2);
  CHECK(groups[0].members.size() == call_queue::max_merged);
}

TEST_CASE("a command that is done with leaves its room to the next large one") {
  std::deque<test_call> calls(5);
  call_queue queue;
  const auto fill = [&] {
    for (auto& c : calls) queue.push(c);
    call_group sent = std::move(queue.take_all().front());
    REQUIRE(sent.members.size() == calls.size());
    return sent;
  };
  call_group first = fill();
  call* const* const room = first.members.data();
  queue.recycle(std::move(first));
  const call_group again = fill();
  CHECK(again.members.data() == room);
  CHECK(again.members.front() == &calls.front());
  CHECK(again.members.back() == &calls.back());
  CHECK(queue.roomy().members.data() != room);
}

TEST_CASE("a place in a sent command outlives its call") {
  test_call a, b;
  call_group group;
  group.members.push_back(&a);
  group.members.push_back(&b);
  CHECK(group.withdraw(a));
  CHECK(group.members.size() == 2);
  CHECK(group.first() == &b);
  CHECK(group.withdraw(b));
  CHECK(group.empty());
  CHECK_FALSE(group.deadline());
}

TEST_CASE("the first of merged calls pass and count down, the others hear the denial") {
  const test_call asked('s', 10);
  store_reply whole;
  whole.now_us = 7;
  whole.admitted = 3;
  whole.states.push_back({});
  whole.states[0].allowed = false;
  whole.states[0].remaining = 4;
  whole.states[0].retry_after_us = 500;
  store_reply own;
  for (std::size_t i = 0; i < 5; ++i) {
    CAPTURE(i);
    member_reply(whole, i, 5, 3, asked.charges, own);
    CHECK(own.now_us == 7);
    CHECK(own.admitted == (i < 3 ? 1 : 0));
    CHECK(own.states[0].allowed == (i < 3));
    CHECK(own.states[0].remaining == (i < 3 ? 4 + 10 * static_cast<std::int64_t>(2 - i) : 4));
    CHECK(own.states[0].retry_after_us == (i < 3 ? 0 : 500));
  }
}

TEST_CASE("a connection is asked after ten idle seconds and replaced at about its age") {
  link_age age(start, 100s, 0.5);
  CHECK(age.recycle_at() == start + 100s);
  CHECK(link_age(start, 100s, 0.0).recycle_at() == start + 90s);
  CHECK_FALSE(age.ping_first(start + 10s));
  CHECK(age.ping_first(start + 10s + 1ms));
  age.used(start + 11s);
  CHECK_FALSE(age.ping_first(start + 20s));
  age.postpone(start + 200s);
  CHECK(age.recycle_at() == start + 200s);
}
