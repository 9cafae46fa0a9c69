// SPDX-License-Identifier: Apache-2.0
#include "proxy/replay/reorder_window.hpp"

#include <doctest/doctest.h>
#include <string>

using namespace weir::replay;

namespace {

void add(reorder_window& window, std::uint64_t number, std::int64_t end_us, std::int64_t duration_us = 0) {
  held_line& line = window.spare();
  line.request = {};
  line.request.time_us = end_us;
  line.request.duration_us = duration_us;
  line.number = number;
  window.hold();
}

std::string drain(reorder_window& window) {
  std::string order;
  while (!window.empty()) order += std::to_string(window.next().number) + " ";
  return order;
}

}  // namespace

TEST_CASE("requests leave in the order in which they came, not in that of their ends") {
  reorder_window window(8);
  add(window, 1, 1000);
  add(window, 2, 1500, 1400);
  add(window, 3, 1200);
  add(window, 4, 1000);
  CHECK(drain(window) == "2 1 4 3 ");
  CHECK(window.late() == 0);
}

TEST_CASE("a line that comes too late is moved to the time that was reached, and counted") {
  reorder_window window(2);
  add(window, 1, 1000);
  add(window, 2, 2000);
  REQUIRE(window.full());
  CHECK(window.next().number == 1);
  CHECK(window.next().number == 2);
  add(window, 3, 1500);
  const held_line& late = window.next();
  CHECK(late.number == 3);
  CHECK(late.arrival_us == 2000);
  CHECK(window.late() == 1);
}

TEST_CASE("one line from the far future does not push the others out of their time") {
  reorder_window window(3);
  add(window, 1, 9'000'000);
  add(window, 2, 1000);
  add(window, 3, 2000);
  CHECK(window.next().number == 2);
  add(window, 4, 3000);
  CHECK(drain(window) == "3 4 1 ");
  CHECK(window.late() == 0);
}

TEST_CASE(
    "requests that a client sent one after the other keep their order whatever the log's clock cuts off") {
  // the first ended at 10.0001 ms, the second ran from 10.0002 to 10.9 ms; the log knows milliseconds
  logged_request first, second;
  first.time_us = second.time_us = 10'000;
  first.resolution_us = second.resolution_us = 1000;
  first.duration_us = 100;
  second.duration_us = 880;
  CHECK(first.arrival_us() <= second.arrival_us());
}
