// SPDX-License-Identifier: Apache-2.0
#include "limiter/redis/decide_call.hpp"

#include "limiter/time_zone.hpp"
#include "lua/scripts.hpp"

#include <algorithm>
#include <array>
#include <doctest/doctest.h>
#include <memory>
#include <openssl/sha.h>
#include <optional>
#include <string>
#include <vector>

using namespace weir::limiter;

namespace {

constexpr std::string_view subject_a = "AAAAAAAAAAAAAAAAAAAAAA";
constexpr std::string_view subject_b = "BBBBBBBBBBBBBBBBBBBBBB";

rule rule_of(std::string_view id, std::string_view digits, quota q) {
  rule r;
  std::copy_n(id.begin(), 4, r.rid.id.begin());
  std::copy_n(digits.begin(), 3, r.rid.digits.begin());
  r.quota = q;
  return r;
}

const rule first = rule_of("Ab-d", "042", {algorithm::token_bucket, 100, 1'000'000, 50});
const rule second = rule_of("xY_z", "007", {algorithm::token_bucket, 3, 1'000'000, 3});
const rule exact = rule_of("log0", "999", {algorithm::sliding_window_log, 20, 60'000'000, 20});

charge charge_of(const rule& r, std::string_view subject, std::int64_t cost) {
  charge c;
  c.matched = &r;
  std::copy_n(subject.begin(), c.subject.text.size(), c.subject.text.begin());
  c.cost = cost;
  return c;
}

// The arguments of one RESP command; empty when it is malformed or something follows it.
std::vector<std::string> arguments_of(std::string_view resp) {
  const auto line = [&](char type) -> std::optional<std::size_t> {
    const std::size_t end = resp.find("\r\n");
    if (end == std::string_view::npos || resp[0] != type) return std::nullopt;
    const std::size_t number = std::stoul(std::string(resp.substr(1, end - 1)));
    resp.remove_prefix(end + 2);
    return number;
  };
  std::vector<std::string> arguments;
  const auto count = line('*');
  for (std::size_t i = 0; count && i < *count; ++i) {
    const auto length = line('$');
    if (!length || resp.size() < *length + 2 || resp.substr(*length, 2) != "\r\n") return {};
    arguments.emplace_back(resp.substr(0, *length));
    resp.remove_prefix(*length + 2);
  }
  return resp.empty() ? arguments : std::vector<std::string>{};
}

std::vector<std::string> command(operation op, std::vector<charge> charges, std::int64_t clock_us = -1,
                                 std::int64_t k = 1) {
  std::string out;
  redis::append_decide(out, "EVALSHA", "sha", "rl:", op, charges, {.k = k, .clock_us = clock_us});
  return arguments_of(out);
}

using words = std::vector<std::string>;

}  // namespace

TEST_CASE("one token bucket: key, name, cost and credits") {
  CHECK(command(operation::take, {charge_of(first, subject_a, 3)}) ==
        words{"EVALSHA", "sha", "1", "rl:1:{AAAAAAAAAAAAAAAAAAAAAA}", "take", "1", "t", "1", "Ab-d042", "3",
              "1", "10000", "500000"});
}

TEST_CASE("a tier or an override is told by its numbers") {
  const quota tier{algorithm::token_bucket, 50, 1'000'000, 20};
  charge raised = charge_of(first, subject_a, 1);
  raised.special = &tier;
  CHECK(command(operation::take, {raised}) == words{"EVALSHA", "sha", "1", "rl:1:{AAAAAAAAAAAAAAAAAAAAAA}",
                                                    "take", "1", "t", "1", "Ab-d042", "1", "1", "20000",
                                                    "400000"});
}

TEST_CASE("shadow is a capital letter, a penalty a mark with the key of the block and its length") {
  rule punishing = exact;
  punishing.penalty_us = 60'000'000;
  rule both = first;
  both.penalty_us = 1'000'000;
  charge watched = charge_of(both, subject_a, 2);
  watched.shadow = true;
  const std::vector<charge> charges{charge_of(punishing, subject_a, 1), watched,
                                    charge_of(punishing, subject_b, 1)};
  CHECK(command(operation::take, charges) == words{"EVALSHA",
                                                   "sha",
                                                   "4",
                                                   "rl:1:{AAAAAAAAAAAAAAAAAAAAAA}:llog0",
                                                   "rl:1:{AAAAAAAAAAAAAAAAAAAAAA}",
                                                   "rl:1:{BBBBBBBBBBBBBBBBBBBBBB}:llog0",
                                                   "rl:1:{BBBBBBBBBBBBBBBBBBBBBB}",
                                                   "take",
                                                   "1",
                                                   "l!",
                                                   "1",
                                                   "log0999",
                                                   "1",
                                                   "2",
                                                   "60000000",
                                                   "20",
                                                   "60000000",
                                                   "T!",
                                                   "2",
                                                   "Ab-d042",
                                                   "2",
                                                   "2",
                                                   "1000000",
                                                   "1",
                                                   "10000",
                                                   "500000",
                                                   "l!",
                                                   "3",
                                                   "log0999",
                                                   "1",
                                                   "4",
                                                   "60000000",
                                                   "20",
                                                   "60000000"});
  const words settled = command(operation::take_upto, {watched});
  CHECK(settled[6] == "t");  // who settles asks for no admission
  CHECK(settled.size() == 13);
}

TEST_CASE("a shadow charge may be denied in a reply that admits, and only that") {
  const std::vector<std::int64_t> integers{5, 1, 1, 2, 0, 3, 4, 0, 0, 9, 3, 4};
  store_reply reply;
  CHECK_FALSE(redis::parse_decide(integers, operation::take, 2, reply));
  CHECK_FALSE(redis::parse_decide(integers, operation::take, 2, reply, 1, 1));
  REQUIRE(redis::parse_decide(integers, operation::take, 2, reply, 1, 2));
  CHECK_FALSE(reply.states[1].allowed);
  CHECK(reply.admitted == 1);
}

TEST_CASE("rules of one subject share its key; a log has its own with the same hash tag") {
  CHECK(command(operation::take_upto, {charge_of(first, subject_a, 1), charge_of(exact, subject_a, 2),
                                       charge_of(second, subject_a, 0), charge_of(first, subject_b, 1)}) ==
        words{"EVALSHA",
              "sha",
              "3",
              "rl:1:{AAAAAAAAAAAAAAAAAAAAAA}",
              "rl:1:{AAAAAAAAAAAAAAAAAAAAAA}:llog0",
              "rl:1:{BBBBBBBBBBBBBBBBBBBBBB}",
              "take_upto",
              "1",
              "t",
              "1",
              "Ab-d042",
              "1",
              "1",
              "10000",
              "500000",
              "l",
              "2",
              "log0999",
              "2",
              "20",
              "60000000",
              "t",
              "1",
              "xY_z007",
              "0",
              "3",
              "1000000",
              "3000000",
              "t",
              "3",
              "Ab-d042",
              "1",
              "1",
              "10000",
              "500000"});
}

TEST_CASE("operations have their names; the clock comes last and only when given") {
  const auto c = charge_of(exact, subject_a, 1);
  CHECK(command(operation::peek, {c}).at(4) == "peek");
  CHECK(command(operation::refund, {c}).at(4) == "refund");
  CHECK(command(operation::take, {c}).back() == "60000000");
  CHECK(command(operation::take, {c}, 0).back() == "0");
  CHECK(command(operation::take, {c}, 4'102'444'800'000'000).back() == "4102444800000000");
}

TEST_CASE("the number of equal requests follows the operation") {
  CHECK(command(operation::take, {charge_of(first, subject_a, 1)}, -1, 7).at(5) == "7");
}

TEST_CASE("a refund tells when it was charged") {
  auto c = charge_of(first, subject_a, 2);
  c.charged_at_us = 1'800'000'000'000'000;
  CHECK(command(operation::refund, {c}) == words{"EVALSHA", "sha", "1", "rl:1:{AAAAAAAAAAAAAAAAAAAAAA}",
                                                 "refund", "1", "t", "1", "Ab-d042", "2", "1800000000000000",
                                                 "1", "10000", "500000"});
}

TEST_CASE("an aged refund tells it by a negative instant") {
  auto c = charge_of(first, subject_a, 2);
  c.charged_at_us = 1'800'000'000'000'000;
  c.aged = true;
  CHECK(command(operation::refund, {c})[10] == "-1800000000000000");
}

TEST_CASE("slots have a key of their own and name their holder, at most 40 characters of it") {
  const rule slots = rule_of("slot", "001", {algorithm::concurrency, 5, 30'000'000, 5});
  auto c = charge_of(slots, subject_a, 1);
  c.holder = "proxy-1";
  CHECK(command(operation::renew, {c}) == words{"EVALSHA", "sha", "1", "rl:1:{AAAAAAAAAAAAAAAAAAAAAA}:cslot",
                                                "renew", "1", "s", "1", "slot001", "1", "5", "30000000",
                                                "proxy-1"});
  const std::string longest(50, 'h');
  c.holder = longest;
  CHECK(command(operation::take, {c}).back() == std::string(40, 'h'));
}

TEST_CASE("calendar windows are told by three instants around the estimate of the store's clock") {
  rule daily = rule_of("day0", "001", {algorithm::fixed_window, 5, 86'400'000'000, 5});
  CHECK(command(operation::take, {charge_of(daily, subject_a, 1)}).at(6) == "f");
  daily.quota.calendar = calendar_unit::day;
  daily.quota.zone = find_time_zone("UTC");
  const auto c = charge_of(daily, subject_a, 1);
  std::string out;
  redis::append_decide(out, "EVALSHA", "sha", "rl:", operation::take, {&c, 1},
                       {.estimate_us = 1'800'000'000'000'000});
  CHECK(arguments_of(out) == words{"EVALSHA", "sha", "1", "rl:1:{AAAAAAAAAAAAAAAAAAAAAA}", "take", "1", "k",
                                   "1", "day0001", "1", "5", "1799971200000000", "1800057600000000",
                                   "1800144000000000"});
}

TEST_CASE("of merged requests a part may be admitted") {
  store_reply reply;
  const std::array<std::int64_t, 7> some{5, 2, 0, 0, 40, 100, 9};
  REQUIRE(redis::parse_decide(some, operation::take, 1, reply, 5));
  CHECK(reply.admitted == 2);
  CHECK_FALSE(reply.states[0].allowed);
  CHECK(reply.states[0].used == 9);
  CHECK_FALSE(redis::parse_decide(some, operation::take, 1, reply, 2));  // all would be allowed
  CHECK_FALSE(redis::parse_decide(some, operation::take, 1, reply, 1));
}

TEST_CASE("only slots that are not held are refused without a wait") {
  store_reply reply;
  const std::array<std::int64_t, 7> refused{5, 0, 0, 2, 0, 100, 0};
  CHECK(redis::parse_decide(refused, operation::refund, 1, reply));
  CHECK(redis::parse_decide(refused, operation::renew, 1, reply));
  CHECK_FALSE(redis::parse_decide(refused, operation::take, 1, reply));
}

TEST_CASE("commands are appended") {
  const auto c = charge_of(first, subject_a, 1);
  std::string once;
  std::string twice = "x";
  redis::append_decide(once, "EVAL", "return 1", "p:", operation::take, {&c, 1});
  redis::append_decide(twice, "EVAL", "return 1", "p:", operation::take, {&c, 1});
  CHECK(twice == "x" + once);
  CHECK(arguments_of(once).at(1) == "return 1");
}

TEST_CASE("a reply has two integers and five per charge") {
  CHECK(redis::decide_reply_size(1) == 7);
  CHECK(redis::decide_reply_size(3) == 17);
}

TEST_CASE("an allowed take is read") {
  const std::array<std::int64_t, 12> integers{1'800'000'000'000'000, 1, 1, 9, 0, 100, 5, 1, 3, 0, 200, 7};
  store_reply reply;
  REQUIRE(redis::parse_decide(integers, operation::take, 2, reply));
  CHECK(reply.now_us == 1'800'000'000'000'000);
  REQUIRE(reply.states.size() == 2);
  CHECK(reply.states[1].allowed);
  CHECK(reply.states[1].remaining == 3);
  CHECK(reply.states[1].retry_after_us == 0);
  CHECK(reply.states[1].reset_after_us == 200);
  CHECK(reply.states[1].granted == 0);
}

TEST_CASE("a denial and a grant are read") {
  store_reply reply;
  const std::array<std::int64_t, 12> denied{5, 0, 1, 9, 0, 100, 5, 0, 0, -1, 200, 7};
  REQUIRE(redis::parse_decide(denied, operation::take, 2, reply));
  CHECK(reply.states[0].allowed);
  CHECK_FALSE(reply.states[1].allowed);
  CHECK(reply.states[1].retry_after_us == -1);
  const std::array<std::int64_t, 7> granted{5, 1, 4, 0, 0, 100, 5};
  REQUIRE(redis::parse_decide(granted, operation::take, 1, reply));
  CHECK(reply.states[0].granted == 3);
}

TEST_CASE("impossible replies are refused") {
  constexpr std::int64_t two53 = std::int64_t{1} << 53;
  const std::array<std::int64_t, 7> good{5, 1, 1, 9, 0, 100, 5};
  store_reply reply;
  REQUIRE(redis::parse_decide(good, operation::take, 1, reply));
  CHECK_FALSE(redis::parse_decide(good, operation::take, 2, reply));
  CHECK_FALSE(redis::parse_decide(good, operation::take, 0, reply));
  CHECK_FALSE(redis::parse_decide(std::span(good).first(6), operation::take, 1, reply));
  const std::vector<std::pair<std::size_t, std::int64_t>> faults{
      {0, 0},  {0, -1}, {0, two53}, {1, 2},
      {1, -1}, {1, 0},  // clock, m, m against the verdicts
      {2, 0},  {2, -1}, {3, -1},    {4, 1},
      {4, -1}, {4, -2},  // verdict without its retry and the reverse
      {5, -1}, {6, -1}, {3, two53}, {5, two53},
  };
  for (const auto& [index, value] : faults) {
    CAPTURE(index);
    CAPTURE(value);
    auto bad = good;
    bad[index] = value;
    CHECK_FALSE(redis::parse_decide(bad, operation::take, 1, reply));
  }
}

namespace {

std::string sha1_of(std::string_view script) {
  std::array<unsigned char, SHA_DIGEST_LENGTH> digest{};
  SHA1(reinterpret_cast<const unsigned char*>(script.data()), script.size(), digest.data());
  std::string hex;
  for (const unsigned char byte : digest) {
    constexpr std::string_view digits = "0123456789abcdef";
    hex += digits[byte >> 4];
    hex += digits[byte & 15];
  }
  return hex;
}

}  // namespace

TEST_CASE("the script is named by its SHA-1") {
  CHECK(weir::lua::decide_sha1() == sha1_of(weir::lua::decide_script()));
}

TEST_CASE("the script for a proxy's clock is the same core, with its own name, and never asks for the time") {
  const std::string_view script = weir::lua::proxy_clock_script();
  CHECK(script.ends_with(weir::lua::decide_core()));
  CHECK(script.find("redis.call('TIME')") == std::string_view::npos);
  CHECK(weir::lua::proxy_clock_members_script().find("redis.call('TIME')") == std::string_view::npos);
  CHECK(weir::lua::members_script().find("redis.call('TIME')") != std::string_view::npos);
  CHECK(sha1_of(script) == weir::lua::proxy_clock_sha1());
  CHECK(weir::lua::proxy_clock_sha1() != weir::lua::decide_sha1());
}

TEST_CASE("the production prelude reads the server's clock once and no argument") {
  const std::string_view script = weir::lua::decide_script();
  const std::string_view core = weir::lua::decide_core();
  REQUIRE(script.ends_with(core));
  const std::string_view prelude = script.substr(0, script.size() - core.size());
  const std::size_t time = prelude.find("redis.call('TIME')");
  CHECK(time != std::string_view::npos);
  CHECK(prelude.find("TIME", time + 15) == std::string_view::npos);
  CHECK(prelude.find("ARGV") == std::string_view::npos);
  CHECK(prelude.find("KEYS") == std::string_view::npos);
  CHECK(core.find("'TIME'") == std::string_view::npos);
}

TEST_CASE("what a store without data does not know was used up at an instant") {
  const auto c = charge_of(first, subject_a, 1);
  std::string out;
  redis::append_decide(out, "EVALSHA", "sha", "rl:", operation::take, {&c, 1}, {.since_us = 17});
  const auto words = arguments_of(out);
  CHECK(words[4] == "cold");
  CHECK(words[5] == "17");
  CHECK(words[6] == "take");
}

TEST_CASE("a store counts as cold until a bucket that was empty then is full") {
  const auto c = charge_of(first, subject_a, 1);
  const std::int64_t full_us = forgotten_after_us(first.quota);
  constexpr std::int64_t since_us = 1'000'000'000, error_us = 10'000'000;
  CHECK(redis::may_be_cold({&c, 1}, since_us, since_us));
  CHECK(redis::may_be_cold({&c, 1}, since_us, since_us + full_us + error_us - 1));
  CHECK(!redis::may_be_cold({&c, 1}, since_us, since_us + full_us + error_us));
  CHECK(!redis::may_be_cold({&c, 1}, 0, since_us));
}

TEST_CASE("a readable name stands in the key, and logs append to it") {
  for (const rule* r : {&first, &exact}) {
    auto c = charge_of(*r, subject_a, 1);
    c.name = std::make_shared<const std::string>("user=" + std::string(longest_readable_name - 5, 'x'));
    std::string out;
    redis::append_decide(out, "EVALSHA", "sha", "abcdefghijklmnop", operation::take, {&c, 1});
    const auto words = arguments_of(out);
    REQUIRE(words.size() > 3);
    CHECK(words[3] == "abcdefghijklmnop1:{" + *c.name + (r == &exact ? "}:llog0" : "}"));
    CHECK(words[3].size() <= 128);
  }
}
