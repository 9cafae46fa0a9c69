// SPDX-License-Identifier: Apache-2.0
#include "config/against.hpp"

#include <algorithm>
#include <doctest/doctest.h>
#include <string>

using namespace weir::config;

namespace {

load_result load(const std::string& text) {
  return load_text("version: 1\nupstreams: {web: {url: \"http://127.0.0.1:3000\"}}\n" + text, "weir.yaml", "",
                   [](std::string_view) -> std::optional<std::string> { return std::nullopt; });
}

load_result with_rule(const std::string& rest) {
  return load("rules: [{name: r, " + rest + "}]\n");
}

outlook compared(const std::string& before, const std::string& after) {
  return compare(with_rule(before), with_rule(after));
}

bool has(const outlook& what, std::string_view code) {
  return std::any_of(what.problems.begin(), what.problems.end(),
                     [&](const auto& p) { return p.code == code; });
}

}  // namespace

TEST_CASE("a raised limit of a bucket is no refill: the time until it is full carries over") {
  const auto what = compared("key: [client_ip], limit: 100/minute", "key: [client_ip], limit: 200/minute");
  REQUIRE(what.rules.size() == 1);
  CHECK(fate_name(what.rules[0].fate) == "changed");
  CHECK(what.rules[0].remarks ==
        std::vector<std::string>{
            "who has used 50 of 100 is then at 100 of 200: the time until the bucket is full carries over"});
  CHECK_FALSE(has(what, "W0401"));
}

TEST_CASE("a smaller bucket holds what is in it, and no more") {
  CHECK(carried_over({.limit = 60, .period_us = 60'000'000, .burst = 100},
                     {.limit = 60, .period_us = 60'000'000, .burst = 10})
            .starts_with("who has used 50 of 100 is then at 10 of 10"));
}

TEST_CASE("the counts of windows carry over") {
  const auto what = compared("key: [client_ip], limit: 100/minute, algorithm: fixed_window",
                             "key: [client_ip], limit: 40/minute, algorithm: fixed_window");
  CHECK(what.rules[0].remarks ==
        std::vector<std::string>{"counts carry over: who has used 50 of 100 has 0 of 40 left"});
  const auto longer = compared("key: [client_ip], limit: 100/minute, algorithm: fixed_window",
                               "key: [client_ip], limit: 100/hour, algorithm: fixed_window");
  CHECK(longer.rules[0].remarks.at(0).ends_with("other windows: at most one limit more at the change"));
}

TEST_CASE("a rule that starts empty is a warning") {
  const auto what = compared("key: [client_ip], limit: 1/minute", "key: [host], limit: 1/minute");
  CHECK(fate_name(what.rules[0].fate) == "reset");
  CHECK(what.rules[0].remarks.empty());
  REQUIRE(has(what, "W0401"));
  CHECK(what.problems[0].message == "rule `r` starts empty for every client: key: [client_ip] -> [host]");
}

TEST_CASE("what needs a restart is told as by a reload") {
  const auto what = compare(load("workers: 1\n"), load("workers: 2\n"));
  CHECK(has(what, "E0406"));
  CHECK(what.rules.empty());
}

TEST_CASE("what names clients otherwise is told where a rule counts by it") {
  const std::string rules =
      "rules: [{name: a, key: [client_ip], limit: 1/second}, {name: b, key: [host], limit: 1/second}]\n";
  const auto what = compare(load(rules), load("client_ip: {group: {ipv6: 48}}\n" + rules));
  CHECK(what.rules[0].remarks ==
        std::vector<std::string>{
            "clients that this names otherwise start empty: `client_ip.group.ipv6`: 64 -> 48"});
  CHECK(what.rules[1].remarks.empty());
  CHECK(fate_name(what.rules[0].fate) == "kept");
}

TEST_CASE("a changed fallback is told") {
  const std::string head = "key: [user], missing: fallback, limit: 1/second, fallback: ";
  const auto what = compared(head + "[client_ip]", head + "[host]");
  CHECK(what.rules[0].remarks ==
        std::vector<std::string>{"requests without a key start empty: fallback: [client_ip] -> [host]"});
}

TEST_CASE("limits on requests at the same time are compared, too") {
  const auto what = compare(load("concurrency: [{name: c, key: [client_ip], max: 10}]\n"),
                            load("concurrency: [{name: c, key: [client_ip], max: 5}]\n"));
  CHECK(what.rules.at(0).remarks == std::vector<std::string>{"slots that are held stay held"});
}

TEST_CASE("the words tell of each rule what becomes of it") {
  const auto old = load(
      "rules: [{name: same, key: [client_ip], limit: 1/minute}, {name: more, key: [client_ip], limit: "
      "10/minute},\n"
      "  {name: other, key: [client_ip], limit: 1/minute}, {name: gone, key: [client_ip], limit: "
      "1/minute}]\n");
  const auto next = load(
      "rules: [{name: same, key: [client_ip], limit: 1/minute}, {name: more, key: [client_ip], limit: "
      "20/minute},\n"
      "  {name: other, key: [host], limit: 1/minute}, {name: fresh, key: [client_ip], limit: 1/minute}]\n");
  const auto what = compare(old, next);
  CHECK(outlook_in_words(what) ==
        "against weir.yaml (" + what.hash_before + " -> " + what.hash_after +
            "):\n"
            "  same   kept     what was counted stays\n"
            "  more   changed  from token bucket: 10 at once, then 1 every 6s; at most 19 in any 60s\n"
            "                  to   token bucket: 20 at once, then 1 every 3s; at most 39 in any 60s\n"
            "                  who has used 5 of 10 is then at 10 of 20: the time until the bucket is full "
            "carries over\n"
            "  other  reset    every client starts empty: key: [client_ip] -> [host]\n"
            "  fresh  new      token bucket: 1 at once, then 1 every 60s; at most 1 in any 60s\n"
            "  gone   removed  is not applied any more\n");
}
