// SPDX-License-Identifier: Apache-2.0
#include "proxy/http/rate_limit_merge.hpp"

#include "proxy/http/structured_list.hpp"

#include <doctest/doctest.h>
#include <memory>
#include <string>

using namespace weir::http;

namespace {

struct merged {
  std::string lines;
  header_set replaced = 0;
};

merged merge(std::string ours, const std::string& theirs) {
  const std::string bytes = "HTTP/1.1 200 OK\r\n" + theirs + "\r\n";
  const auto head = std::make_unique<response_head>();
  head->begin(false);
  REQUIRE(head->scan(bytes) == scan_status::complete);
  REQUIRE(tells_limits(*head));
  merged result{std::move(ours)};
  result.replaced = merge_rate_limit_fields(result.lines, *head, bytes);
  return result;
}

const std::string own_11 = "RateLimit-Policy: \"burst\";q=100;w=60\r\nRateLimit: \"burst\";r=50;t=30\r\n";
constexpr header_set both_11 = headers(header_id::ratelimit, header_id::ratelimit_policy);

}  // namespace

TEST_CASE("items of the upstream stay and ours follow") {
  const merged m =
      merge(own_11, "RateLimit-Policy: \"daily\";q=1000;w=86400\r\nRateLimit: \"daily\";r=7;t=9\r\n");
  CHECK(m.lines ==
        "RateLimit-Policy: \"daily\";q=1000;w=86400, \"burst\";q=100;w=60\r\n"
        "RateLimit: \"daily\";r=7;t=9, \"burst\";r=50;t=30\r\n");
  CHECK(m.replaced == both_11);
}

TEST_CASE("of two items with one name the stricter numbers are told, ours not again") {
  const auto state = [](const std::string& theirs) {
    return merge(own_11, "RateLimit: " + theirs + "\r\n").lines;
  };
  const std::string policy = "RateLimit-Policy: \"burst\";q=100;w=60\r\nRateLimit: ";
  CHECK(state("\"burst\";r=10;t=5") == policy + "\"burst\";r=10;t=30\r\n");
  CHECK(state("\"burst\";t=99;r=90") == policy + "\"burst\";t=99;r=50\r\n");
  CHECK(state("\"burst\";r=90") == policy + "\"burst\";r=50;t=30\r\n");
  CHECK(state("\"burst\";r=90;pk=:aGk=:;t=1") == policy + "\"burst\";r=50;pk=:aGk=:;t=30\r\n");
}

TEST_CASE("a policy of the upstream stays as it is written") {
  const merged m = merge(own_11, "RateLimit-Policy: \"burst\";q=7;w=1;x=?1\r\n");
  CHECK(m.lines == "RateLimit-Policy: \"burst\";q=7;w=1;x=?1\r\nRateLimit: \"burst\";r=50;t=30\r\n");
}

TEST_CASE("lists over several lines are one list") {
  const merged m = merge(own_11, "RateLimit: \"a\";r=1\r\nratelimit: \"b\";r=2\r\n");
  CHECK(m.lines.find("RateLimit: \"a\";r=1, \"b\";r=2, \"burst\";r=50;t=30\r\n") != std::string::npos);
}

TEST_CASE("what does not parse stays untouched, and ours is left out") {
  for (const std::string theirs :
       {"limit=100, remaining=50, reset=5", "\"burst\"", "burst;r=5", "\"burst\";r=-1", "\"burst\";r=1.5",
        "\"burst\";r=5,", "\"burst;r=5", "\"burst\";r=5;t=;", "\"b\";R=5", "\"b\";r=1234567890123456",
        "5;w=1", "(\"a\");r=5", "\"b\\x\";r=1"}) {
    CAPTURE(theirs);
    const merged m = merge(own_11, "RateLimit: " + theirs + "\r\n");
    CHECK(m.lines.empty());
    CHECK(m.replaced == 0);
  }
}

TEST_CASE("of two X-RateLimit sets the one with less remaining goes out whole") {
  const std::string ours = "X-RateLimit-Limit: 100\r\nX-RateLimit-Remaining: 50\r\nX-RateLimit-Reset: 5\r\n";
  constexpr header_set all =
      headers(header_id::x_ratelimit_limit, header_id::x_ratelimit_remaining, header_id::x_ratelimit_reset);
  const auto with = [&](const std::string& theirs) { return merge(ours, theirs); };
  CHECK(with("X-RateLimit-Limit: 9\r\nX-RateLimit-Remaining: 49\r\n").lines.empty());
  CHECK(with("X-RateLimit-Remaining: 50\r\n").lines.empty());
  CHECK(with("X-RateLimit-Remaining: 51\r\nX-RateLimit-Reset: 1\r\n").lines == ours);
  CHECK(with("X-RateLimit-Remaining: 51\r\n").replaced == all);
  CHECK(with("X-RateLimit-Limit: 9\r\n").lines.empty());
  CHECK(with("X-RateLimit-Remaining: many\r\n").lines.empty());
  CHECK(with("X-RateLimit-Remaining: 51\r\nX-RateLimit-Remaining: 60\r\n").lines.empty());
}

TEST_CASE("older drafts are sets, too") {
  const std::string ours_07 = "RateLimit-Policy: 100;w=60\r\nRateLimit: limit=100, remaining=5, reset=30\r\n";
  CHECK(merge(ours_07, "RateLimit: limit=9, remaining=4, reset=1\r\n").lines.empty());
  CHECK(merge(ours_07, "RateLimit: limit=9, remaining=6;x=\"y\", reset=1\r\n").lines == ours_07);
  CHECK(merge(ours_07, "RateLimit: \"burst\";r=90\r\n").lines.empty());
  const std::string ours_06 =
      "RateLimit-Limit: 100\r\nRateLimit-Policy: 100;w=60\r\nRateLimit-Remaining: 5\r\n";
  CHECK(merge(ours_06, "RateLimit-Remaining: 6\r\n").lines == ours_06);
  CHECK(merge(ours_06, "RateLimit-Remaining: 4\r\n").lines.empty());
  CHECK(merge(ours_06, "RateLimit-Policy: \"a\";q=1\r\n").lines.empty());
}

TEST_CASE("an upstream's Retry-After is never changed") {
  const merged m = merge("Retry-After: 5\r\n" + own_11, "Retry-After: 1\r\n");
  CHECK(m.lines == own_11);
  CHECK(m.replaced == 0);
}

TEST_CASE("without fields of ours the upstream's stay") {
  CHECK(merge("", "RateLimit: \"a\";r=1\r\nX-RateLimit-Remaining: 5\r\n").replaced == 0);
}

TEST_CASE("every kind of parameter is read over") {
  const auto list = parse_string_list(
      "\"a\";b;c=?0;d=:aGk=:;e=tok/en:x;f=1.250;g=-5;h=@12;i=%\"x\";j=\"q\\\"\\\\\";*k=1;r=3,\t\"b\"");
  REQUIRE(list);
  REQUIRE(list->size() == 2);
  CHECK((*list)[0].r.value == 3);
  CHECK((*list)[1].text == "\"b\"");
  CHECK(parse_string_list("")->empty());
  std::string many = "\"a\"";
  for (std::size_t i = 1; i < max_list_items; ++i) many += ",\"a\"";
  CHECK(parse_string_list(many)->size() == max_list_items);
  CHECK_FALSE(parse_string_list(many + ",\"a\""));
}
