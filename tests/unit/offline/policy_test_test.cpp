// SPDX-License-Identifier: Apache-2.0
// Tests of policies: what passes, what fails, and which request is shown as the first wrong one.
#include "proxy/offline/policy_test.hpp"

#include "tests/support/offline_policy.hpp"

#include <doctest/doctest.h>
#include <filesystem>

using namespace weir::proxy::offline;
using weir::tests::tests_of;

namespace {

constexpr const char* two_a_minute = "rules: [{name: per-ip, key: [client_ip], limit: 2/minute}]\n";

/// The result of the only test of a file.
test_result result_of(const std::string& text) {
  const auto loaded = tests_of(text);
  REQUIRE(loaded.tests.size() == 1);
  return run_test(loaded.settings, loaded.tests[0]);
}

std::string failures_of(const std::string& text) {
  std::string all;
  for (const unmet& f : result_of(text).failures) {
    if (!all.empty()) all += "; ";
    all += f.what + " " + f.expected + " got " + f.got;
  }
  return all;
}

std::string test_with(const std::string& send, const std::string& expect) {
  return std::string(two_a_minute) + "tests: [{name: t, send: " + send + ", expect: " + expect + "}]\n";
}

}  // namespace

TEST_CASE("requests are spread evenly, the first at once and the last at the end") {
  CHECK(failures_of(test_with("{times: 3, over: 30s}", "{allowed: 3, remaining: {per-ip: 0}}")).empty());
  CHECK(failures_of(test_with("{times: 3, over: 29s}", "{allowed: 2, retry_after: 1s}")).empty());
  CHECK(failures_of(test_with("[{times: 2}, {wait: 29s}, {wait: 1s}]", "{allowed: 3, denied: 1}")).empty());
}

TEST_CASE("a failure says what was expected, what came, and shows the first wrong request") {
  const auto too_few = result_of(test_with("{times: 5}", "{allowed: 3}"));
  REQUIRE(too_few.failures.size() == 1);
  CHECK(too_few.failures[0].expected == "3");
  CHECK(too_few.failures[0].got == "2");
  REQUIRE(too_few.wrong);
  CHECK(too_few.wrong->number == 3);
  CHECK(too_few.wrong->rule == "per-ip");
  CHECK(too_few.wrong->status == 429);

  const auto too_many = result_of(test_with("{times: 2}", "{allowed: \"<2\"}"));
  REQUIRE(too_many.wrong);
  CHECK(too_many.wrong->number == 2);
  CHECK(result_of(test_with("{times: 5}", "{denied: 2}")).wrong->number == 5);
  CHECK(result_of(test_with("{times: 5}", "{denied: \">3\"}")).wrong->number == 1);
}

TEST_CASE("every expectation can fail") {
  CHECK(failures_of("concurrency: [{name: other, key: [client_ip], max: 1}]\n" +
                    test_with("{times: 3}", "{denied_by: other}")) == "denied_by other got per-ip");
  CHECK(failures_of(test_with("{}", "{denied_by: per-ip}")) == "denied_by per-ip got no request was denied");
  CHECK(failures_of(test_with("{times: 3}", "{status: 200}")) == "status 200 got 429");
  CHECK(failures_of(test_with("{respond: {status: 204}}", "{status: 200}")) == "status 200 got 204");
  CHECK(failures_of(test_with("{times: 3}", "{retry_after: \"<30s\"}")) == "retry_after <30s got 30s");
  CHECK(failures_of(test_with("{}", "{retry_after: 1s}")) == "retry_after 1s got 0s");
  CHECK(failures_of(test_with("{}", "{remaining: {per-ip: \">1\"}}")) == "remaining.per-ip >1 got 1");
  CHECK(failures_of(test_with("{path: \"/%zz\"}", "{remaining: {per-ip: 1}}")) ==
        "remaining.per-ip 1 got the rule does not count the last request");
  CHECK(failures_of(test_with("{}", "{headers: {Retry-After: \"*\"}}")) ==
        "headers.retry-after * got no such field");
  CHECK(failures_of(test_with("{times: 3}", "{headers: {Retry-After: \"31\"}}")) ==
        "headers.retry-after 31 got 30");
  CHECK(failures_of(test_with("{respond: {headers: {X-A: b}}}", "{headers: {X-A: b}}")).empty());
}

TEST_CASE("a request waits for a slot in line, and goes when its patience or the line ends") {
  const std::string limit =
      "concurrency: [{name: one, key: [client_ip], max: 1, queue: 2, queue_timeout: 150ms, status: 429}]\n";
  const auto failures = [&](const std::string& send, const std::string& expect) {
    return failures_of(limit + "tests: [{name: t, send: " + send + ", expect: " + expect + "}]\n");
  };
  // the second and the third wait, the fourth finds the line full; the third's patience ends before its turn
  CHECK(failures("{times: 4, respond: {after: 100ms}}", "{allowed: 2, denied: 2, denied_by: one}").empty());
  CHECK(failures("{times: 3, over: 150ms, respond: {after: 100ms}}", "{allowed: 3}").empty());
  CHECK(failures("{times: 2, respond: {after: 150ms}}", "{allowed: 2}").empty());
  CHECK(failures("{times: 2, respond: {after: 151ms}}", "{allowed: 1, status: 429, denied_by: one}").empty());
  // whoever comes later must not be served first
  CHECK(failures("[{respond: {after: 100ms}}, {respond: {after: 1s}}, {wait: 100ms}]",
                 "{allowed: 2, status: 429}")
            .empty());
}

TEST_CASE("a waiting request is charged when it gets its slot, and its rules may refuse it then") {
  CHECK(
      failures_of("concurrency: [{name: one, match: {path: /slow}, key: [client_ip], max: 1, queue: 5, "
                  "queue_timeout: 1s}]\n"
                  "rules: [{name: two, key: [client_ip], limit: 2/hour}]\n"
                  "tests: [{name: t, send: [{path: /slow, times: 2, respond: {after: 100ms}}, {path: /fast, "
                  "wait: 50ms}], expect: {allowed: 2, denied_by: two, remaining: {two: 0}}}]\n")
          .empty());
}

TEST_CASE("every test of the examples passes") {
  int tests = 0;
  for (const auto& file :
       std::filesystem::directory_iterator{std::filesystem::path{WEIR_SOURCE_DIR} / "config/examples"}) {
    if (file.path().extension() != ".yaml") continue;
    CAPTURE(file.path().string());
    const auto loaded =
        weir::config::load_file(file.path().string(), [](std::string_view) { return std::nullopt; });
    REQUIRE(loaded.settings);
    for (const policy_test& test : loaded.tests) {
      CAPTURE(test.name);
      ++tests;
      CHECK(run_test(loaded.settings, test).failures.empty());
    }
  }
  CHECK(tests >= 5);
}
