// SPDX-License-Identifier: Apache-2.0
#include "config/override_file.hpp"

#include <doctest/doctest.h>
#include <string>
#include <vector>

using namespace weir::config;

namespace {

using cells = std::vector<std::string>;

struct parsed_file {
  explicit parsed_file(std::string_view content) {
    reporter report{"f", problems};
    items = parse_override_file(content, {7, 3, 4}, report);
  }
  /// Messages, one a line.
  [[nodiscard]] std::string complaints() const {
    std::string all;
    for (const auto& p : problems) {
      CHECK(p.code == "E0502");
      CHECK(p.line == 7);
      all += p.message + "\n";
    }
    return all;
  }
  std::vector<problem> problems;
  std::vector<override_draft> items;
};

}  // namespace

TEST_CASE("a line of CSV: commas part, quotes hold together, white space around goes") {
  CHECK(split_csv("a,b") == cells{"a", "b"});
  CHECK(split_csv(" a , ,b\r") == cells{"a", "", "b"});
  CHECK(split_csv("a,") == cells{"a", ""});
  CHECK(split_csv(R"("a, b",c)") == cells{"a, b", "c"});
  CHECK(split_csv(R"( "say ""no""" , "" )") == cells{R"(say "no")", ""});
  CHECK_FALSE(split_csv(R"("a)"));
  CHECK_FALSE(split_csv(R"("a"b)"));
  CHECK_FALSE(split_csv(R"(a"b")"));
}

TEST_CASE("the first line names the columns, in any order") {
  const parsed_file f(
      "# written by the shop\n"
      "reason,limit,user,until,burst\r\n"
      "contract,300/minute,acme,2027-01-31T00:00:00Z,600\n"
      "\n"
      "\"a, b\",unlimited,globex,,\n");
  REQUIRE(f.complaints().empty());
  REQUIRE(f.items.size() == 2);
  CHECK(f.items[0].from->text == "user");
  CHECK(f.items[0].value == "acme");
  CHECK(f.items[0].quota.limit->limit == 300);
  CHECK(f.items[0].quota.burst == 600);
  CHECK(f.items[0].until_us == 1'801'353'600'000'000);
  CHECK(f.items[0].line == "line 3: ");
  CHECK(f.items[1].reason == "a, b");
  CHECK(f.items[1].quota.unlimited);
  CHECK_FALSE(f.items[1].quota.burst);
  CHECK(f.items[1].until_us == 0);
  CHECK(parsed_file("claim:org,limit,reason\nx,1/second,y\n").items.front().from->text == "claim:org");
}

TEST_CASE("what is wrong in a file of overrides is told with its line") {
  CHECK(parsed_file("").complaints() == "line 0: the first line must name the columns\n");
  CHECK(parsed_file("user,limit\n").complaints() ==
        "line 1: the first line must name one selector, `limit` and `reason`, each once\n");
  CHECK(parsed_file("limit,limit,user,reason\n").complaints() ==
        "line 1: the first line must name one selector, `limit` and `reason`, each once\n");
  CHECK(parsed_file("user,route,limit,reason\n").complaints() == "line 1: `route` is no column\n");
  CHECK(parsed_file("user,limit,reason,brust\n").complaints() == "line 1: `brust` is no column\n");
  CHECK(parsed_file("user,limit,reason,until,burst\n"
                    "a,1/second\n"
                    ",1/second,x,,\n"
                    "a,5,x,,\n"
                    "a,1/second,,,\n"
                    "a,1/second,x,soon,\n"
                    "a,1/second,x,,many\n"
                    "a,1/second,\"x,,\n"
                    "fine,1/second,x,,\n")
            .complaints() ==
        "line 2: 2 columns, but the first line names 5\n"
        "line 3: there is no value\n"
        "line 4: a rate needs its period\n"
        "line 5: a reason has 1 to 256 bytes\n"
        "line 6: expected an instant\n"
        "line 7: expected an integer\n"
        "line 8: this is no line of CSV\n");
}

TEST_CASE("a file of overrides is bounded, and so are the complaints about it") {
  std::string bad = "user,limit,reason\n", lines = bad;
  for (int i = 0; i < 100; ++i) bad += "a,b,c\n";
  CHECK(parsed_file(bad).problems.size() == 10);
  for (std::size_t i = 0; i < override_lines_max; ++i) lines += "a,1/second,c\n";
  CHECK(parsed_file(lines).complaints() == "line 100001: the file has more than 100000 lines\n");
}
