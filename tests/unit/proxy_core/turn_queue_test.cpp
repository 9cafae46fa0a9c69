// SPDX-License-Identifier: Apache-2.0
#include "proxy/runtime/turn_queue.hpp"

#include <doctest/doctest.h>
#include <memory>
#include <stdexcept>
#include <vector>

using weir::proxy::turn_queue;
using weir::proxy::yielding;

namespace {

/// Notes its number when it is its turn, and waits again as long as `again` lasts.
struct waiter final : yielding {
  waiter(int which, std::vector<int>& list) : number(which), served(list) {}
  void on_turn() override {
    served.push_back(number);
    if (throws) throw std::runtime_error("on its turn");
    if (leaves != nullptr) leaves->leave_turns();
    if (again-- > 0) line->add(*this);
  }
  using yielding::leave_turns;
  int number;
  std::vector<int>& served;
  int again = 0;
  turn_queue* line = nullptr;
  waiter* leaves = nullptr;
  bool throws = false;
};

}  // namespace

TEST_CASE("who waits is served once per run, in the order of coming") {
  std::vector<int> served;
  turn_queue line;
  waiter first(1, served), second(2, served);
  first.line = &line;
  first.again = 1;
  CHECK(line.empty());
  line.add(first);
  line.add(second);
  line.run();
  CHECK(served == std::vector<int>{1, 2});
  CHECK_FALSE(line.empty());
  line.run();
  CHECK(served == std::vector<int>{1, 2, 1});
  CHECK(line.empty());
}

TEST_CASE("a run serves no more than its share, and the others keep their places") {
  std::vector<int> served;
  turn_queue line(2);
  std::vector<std::unique_ptr<waiter>> all;
  all.reserve(5);
  for (int i = 0; i < 5; ++i) all.push_back(std::make_unique<waiter>(i, served));
  for (const auto& one : all) line.add(*one);
  line.run();
  CHECK(served == std::vector<int>{0, 1});
  line.add(*all[0]);  // behind those who wait
  line.run();
  line.run();
  CHECK(served == std::vector<int>{0, 1, 2, 3, 4, 0});
  CHECK(line.empty());
}

TEST_CASE("who waits already keeps the place it has, in another line too") {
  std::vector<int> served;
  turn_queue one, other;
  waiter a(1, served), b(2, served);
  one.add(a);
  one.add(b);
  one.add(a);
  other.add(a);
  CHECK(other.empty());
  one.run();
  CHECK(served == std::vector<int>{1, 2});
}

TEST_CASE("who leaves or ends is not served") {
  std::vector<int> served;
  turn_queue line;
  waiter a(1, served), b(2, served), c(3, served);
  auto ended = std::make_unique<waiter>(4, served);
  line.add(a);
  line.add(b);
  line.add(*ended);
  line.add(c);
  a.leaves = &b;  // in the middle of a run
  ended.reset();
  line.run();
  CHECK(served == std::vector<int>{1, 3});
  b.leave_turns();  // again: nothing
  CHECK(line.empty());
}

TEST_CASE("an exception on a turn leaves the others in line") {
  std::vector<int> served;
  turn_queue line;
  waiter a(1, served), b(2, served);
  a.throws = true;
  line.add(a);
  line.add(b);
  CHECK_THROWS_AS(line.run(), std::runtime_error);
  line.run();
  CHECK(served == std::vector<int>{1, 2});
  CHECK(line.empty());
}
