// SPDX-License-Identifier: Apache-2.0
#include "proxy/http/accept.hpp"

#include <doctest/doctest.h>
#include <memory>
#include <string>
#include <string_view>

using namespace weir::http;

namespace {

int weight(std::string_view ranges, std::string_view subtype = "problem+json") {
  accept_quality quality("application", subtype);
  quality.add(ranges);
  return quality.value();
}

bool problem_for(const std::string& lines) {
  const std::string bytes = "GET / HTTP/1.1\r\nHost: a\r\n" + lines + "\r\n";
  const auto head = std::make_unique<request_head>();
  head->begin({});
  REQUIRE(head->scan(bytes) == scan_status::complete);
  return prefers_problem_json(*head, bytes);
}

}  // namespace

TEST_CASE("the most specific range of an Accept decides, whatever its place") {
  CHECK(weight("*/*") == 1000);
  CHECK(weight("application/*;q=0.5, */*;q=0.9") == 500);
  CHECK(weight("application/problem+json;q=0.1, application/*, */*") == 100);
  CHECK(weight("text/html") == 0);
  CHECK(weight("APPLICATION/Problem+JSON") == 1000);
}

TEST_CASE("weights have at most three decimals and are at most 1") {
  CHECK(weight("application/problem+json;q=0.001") == 1);
  CHECK(weight("application/problem+json ; Q=1.000") == 1000);
  CHECK(weight("application/problem+json;q=0") == 0);
  CHECK(weight("application/problem+json;q=0.") == 0);
  for (const std::string_view bad : {"2", "1.001", "0.1234", "-1", "x", "", "0,5", ".5", "1.0.0"}) {
    CAPTURE(bad);
    CHECK(weight("application/problem+json;q=" + std::string(bad)) == 0);
  }
}

TEST_CASE("parameters of a range do not matter, and malformed ranges are passed over") {
  CHECK(weight("application/problem+json;charset=utf-8;q=0.3") == 300);
  CHECK(weight("application, , /, application/problem+json;q=0.7, text/") == 700);
}

TEST_CASE("a problem is written only to whom wants it more than the envelope") {
  CHECK_FALSE(problem_for(""));
  CHECK_FALSE(problem_for("Accept: */*\r\n"));
  CHECK_FALSE(problem_for("Accept: application/json\r\n"));
  CHECK_FALSE(problem_for("Accept: text/html\r\n"));
  CHECK_FALSE(problem_for("Accept: application/json, application/problem+json;q=0.9\r\n"));
  CHECK(problem_for("Accept: application/problem+json\r\n"));
  CHECK(problem_for("Accept: application/json;q=0.8\r\nAccept: application/problem+json\r\n"));
  CHECK(problem_for("Accept: application/json;q=0, */*;q=0.1\r\n"));
}
