// SPDX-License-Identifier: Apache-2.0
// What the decision script stores and refuses: the parts of its contract that no decision shows.
#include "tests/conformance/clock_argv.hpp"
#include "tests/support/lua_host.hpp"

#include <cstdint>
#include <doctest/doctest.h>
#include <string>
#include <vector>

using weir::tests::lua_host;

namespace {

using words = std::vector<std::string>;

constexpr std::int64_t now_us = 1'800'000'000'000'000;
const std::string key = "rl:1:{s}";
const std::string log_key = "rl:1:{s}:lcccc";

std::string text(std::int64_t n) {
  return std::to_string(n);
}

// Buckets of 10 per second, so a token is 100,000 credits of 1 per microsecond; the burst is 5.
words rule_a(std::int64_t cost) {
  return {"t", "1", "aaaa001", text(cost), "1", "100000", "500000"};
}
words rule_b(std::int64_t cost) {
  return {"t", "1", "bbbb002", text(cost), "1", "100000", "500000"};
}
words rule_log(std::int64_t cost) {
  return {"l", "2", "cccc003", text(cost), "3", "1000000"};
}

struct script {
  lua_host host{weir::tests::script_with_argument_clock()};

  lua_host::result run(const std::string& op, const std::vector<words>& rules, std::int64_t at_us = now_us) {
    words arguments{op, "1"};
    for (const words& rule : rules) {
      arguments.insert(arguments.end(), rule.begin(), rule.end());
      if (op == "refund" && rule.size() > 4)
        arguments.insert(arguments.end() - static_cast<std::ptrdiff_t>(rule.size() - 4), "0");
    }
    arguments.push_back(text(at_us));
    return host.evaluate({key, log_key}, arguments);
  }
  std::string value() { return host.data.contains(key) ? host.data.at(key).text : "(none)"; }
  void put(const std::string& stored) { host.data[key] = {stored, {}, false, 1}; }
  words list() {
    const auto found = host.data.find(log_key);
    return found == host.data.end() ? words{} : words{found->second.list.begin(), found->second.list.end()};
  }
};

}  // namespace

TEST_CASE("script: a lone bucket is stored as its instant and three digits, alive until it is full") {
  script s;
  s.run("take", {rule_a(1)});
  CHECK(s.value() == text(now_us + 100'000) + "001");
  CHECK(s.host.data.at(key).expires_at_ms == (now_us + 100'000) / 1000 + 1);
}

TEST_CASE("script: the TTL is rounded up") {
  script s;
  s.run("take", {rule_a(1)}, now_us + 999);
  CHECK(s.host.data.at(key).expires_at_ms == (now_us + 100'999) / 1000 + 1);
}

TEST_CASE("script: a fraction keeps its denominator and needs the packed form") {
  script s;
  s.run("take", {{"t", "1", "aaaa001", "1", "7", "10", "100"}});
  CHECK(s.value() == "aaaa=" + text(now_us + 1) + ":3:7");
}

TEST_CASE("script: a second rule packs the value and the first keeps its state") {
  script s;
  s.run("take", {rule_a(1)});
  const auto reply = s.run("take", {rule_b(2)});
  CHECK(reply.integers.at(3) == 3);
  CHECK(s.value() == "bbbb=" + text(now_us + 200'000) + ";#001=" + text(now_us + 100'000));
  CHECK(s.host.data.at(key).expires_at_ms == (now_us + 200'000) / 1000 + 1);
  CHECK(s.run("peek", {rule_a(1)}).integers.at(3) == 4);
  s.run("take", {rule_a(1)});
  CHECK(s.value() == "aaaa=" + text(now_us + 200'000) + ";bbbb=" + text(now_us + 200'000));
}

TEST_CASE("script: a packed value lives as long as its longest entry, wherever that stands") {
  for (const bool reversed : {false, true}) {
    script s;
    s.run("take",
          reversed ? std::vector<words>{rule_b(3), rule_a(1)} : std::vector<words>{rule_a(1), rule_b(3)});
    CHECK(s.host.data.at(key).expires_at_ms == (now_us + 300'000) / 1000 + 1);
  }
}

TEST_CASE("script: entries are found by id, whatever their order") {
  script s;
  s.put("bbbb=" + text(now_us + 200'000) + ";aaaa=" + text(now_us + 100'000));
  const auto reply = s.run("peek", {rule_a(1), rule_b(1)});
  CHECK(reply.integers.at(3) == 4);
  CHECK(reply.integers.at(8) == 3);
}

TEST_CASE("script: an id inside another word is not found") {
  script s;
  s.put("xaaaa=" + text(now_us + 400'000) + ";aaaa=" + text(now_us + 100'000));
  CHECK(s.run("peek", {rule_a(1)}).integers.at(3) == 4);
}

TEST_CASE("script: live entries of unknown rules are copied through, dead and broken ones dropped") {
  script s;
  const std::string later = text(now_us + 9'000'000);
  const std::string window = "wwww=f" + later + ":1000000:3";
  const std::string calendar = "kkkk=k" + later + ":4";
  const std::string counter = "vvvv=c" + later + ":1000000:3:2";
  const std::string penalty = "pppp!=p" + text(now_us + 20'000'000);
  const std::string at_now = "zzzz=" + text(now_us);
  const std::string dead = "dddd=f" + text(now_us - 1) + ":1000000:3";
  s.put(window + ";" + calendar + ";" + dead + ";" + counter + ";brok=?;" + penalty + ";" + at_now);
  s.run("take", {rule_a(1)});
  CHECK(s.value() == "aaaa=" + text(now_us + 100'000) + ";" + window + ";" + calendar + ";" + counter + ";" +
                         penalty + ";" + at_now);
  CHECK(s.host.data.at(key).expires_at_ms == (now_us + 20'000'000) / 1000 + 1);
}

TEST_CASE("script: an entry of another algorithm or a broken one counts as absent and is overwritten") {
  for (const std::string entry : {"f1900000000000000:1000000:3", "1900000000000000:9:7", "12x", ""}) {
    CAPTURE(entry);
    script s;
    s.put("aaaa=" + entry);
    const auto reply = s.run("take", {rule_a(1)});
    CHECK(reply.error.empty());
    CHECK(reply.integers.at(3) == 4);
    CHECK(s.value() == text(now_us + 100'000) + "001");
  }
}

TEST_CASE("script: the digits of a lone bucket tell whose it is") {
  script s;
  s.put(text(now_us + 100'000) + "999");
  CHECK(s.run("peek", {rule_a(1)}).integers.at(3) == 5);
  s.run("take", {rule_a(1)});
  CHECK(s.value() == "aaaa=" + text(now_us + 100'000) + ";#999=" + text(now_us + 100'000));
}

TEST_CASE(
    "script: an emptied entry goes, a foreign lone one becomes compact again, the last one takes the key "
    "along") {
  script s;
  s.put("#999=" + text(now_us + 100'000) + ";aaaa=" + text(now_us + 100'000));
  s.run("refund", {rule_a(1)});
  CHECK(s.value() == text(now_us + 100'000) + "999");
  script alone;
  alone.run("take", {rule_a(1)});
  alone.run("refund", {rule_a(5)});
  CHECK(alone.host.data.empty());
  script packed;
  packed.put("aaaa=" + text(now_us + 1) + ":3:7");
  packed.run("refund", {{"t", "1", "aaaa001", "1", "7", "10", "100"}});
  CHECK(packed.host.data.empty());
}

TEST_CASE("script: a peek and a denied take change no byte") {
  script s;
  s.run("take", {rule_a(5), rule_log(3)});
  const auto before = s.host.data;
  const auto writes = s.host.writes;
  CHECK(s.run("peek", {rule_a(1), rule_log(1)}).integers.at(1) == 0);
  CHECK(s.run("take", {rule_a(1), rule_log(1)}, now_us + 1000).integers.at(1) == 0);
  CHECK(s.run("take_upto", {rule_a(1), rule_log(1)}, now_us + 1000).integers.at(1) == 0);
  CHECK(s.run("take", {rule_a(0), rule_b(6)}).integers.at(1) == 0);
  CHECK(s.host.data == before);
  CHECK(s.host.writes == writes);
}

TEST_CASE("script: when one rule denies, the others are left untouched") {
  script s;
  s.run("take", {rule_a(1), rule_b(5), rule_log(1)});
  const auto before = s.host.data;
  const auto reply = s.run("take", {rule_a(1), rule_b(1), rule_log(1)}, now_us + 10);
  CHECK(reply.integers.at(2) == 1);
  CHECK(reply.integers.at(7) == 0);
  CHECK(reply.integers.at(12) == 1);
  CHECK(s.host.data == before);
}

TEST_CASE("script: a repair writes its own entry only, and a peek none") {
  script s;
  s.run("take", {rule_a(1), rule_b(5)});
  const std::int64_t earlier = now_us - 60'000'000;
  const auto before = s.host.data;
  s.run("peek", {rule_a(1)}, earlier);
  CHECK(s.host.data == before);
  CHECK(s.run("take", {rule_a(1)}, earlier).integers.at(1) == 0);
  CHECK(s.value() == "aaaa=" + text(earlier + 500'000) + ";bbbb=" + text(now_us + 500'000));
}

TEST_CASE("script: a log holds one stamp per unit and lives for one window") {
  script s;
  s.run("take", {rule_log(2)});
  CHECK(s.list() == words{text(now_us), text(now_us)});
  CHECK(s.host.data.at(log_key).expires_at_ms == (now_us + 1'000'000) / 1000 + 1);
  s.run("take", {rule_log(1)}, now_us + 1'000'000);
  CHECK(s.list() == words{text(now_us + 1'000'000)});  // what left the window is trimmed
  s.run("refund", {rule_log(1)}, now_us + 1'000'001);
  CHECK(s.list().empty());
}

TEST_CASE("script: a refund sets the TTL of a log by the newest unit that stays") {
  script s;
  s.run("take", {rule_log(1)});
  s.run("take", {rule_log(2)}, now_us + 500'000);
  s.run("refund", {rule_log(2)}, now_us + 600'000);
  CHECK(s.list() == words{text(now_us)});
  CHECK(s.host.data.at(log_key).expires_at_ms == (now_us + 1'000'000) / 1000 + 1);
}

TEST_CASE("script: a long log is written in pieces") {
  script s;
  CHECK(s.run("take", {{"l", "2", "cccc003", "10000", "10000", "1000000"}}).error.empty());
  CHECK(s.list().size() == 10'000);
}

TEST_CASE("script: the reply is now, m and five integers per rule") {
  script s;
  CHECK(s.run("take", {rule_a(2), rule_log(1)}).integers ==
        std::vector<std::int64_t>{now_us, 1, 1, 3, 0, 200'000, 200'000, 1, 2, 0, 1'000'000, 1});
  CHECK(s.run("take", {rule_a(4), rule_log(4)}).integers ==
        std::vector<std::int64_t>{now_us, 0, 0, 3, 100'000, 200'000, 200'000, 0, 2, -1, 1'000'000, 1});
  CHECK(s.run("take_upto", {rule_a(9)}).integers ==
        std::vector<std::int64_t>{now_us, 1, 4, 0, 0, 500'000, 500'000});
}

TEST_CASE("script: one unit denied by a log costs four commands, whatever its length") {
  script s;
  const words full{"l", "2", "cccc003", "1000", "1000", "1000000"};
  s.run("take", {full});
  const auto reads = s.host.reads;
  s.run("take", {{"l", "2", "cccc003", "1", "1000", "1000000"}}, now_us + 1);
  CHECK(s.host.reads - reads <= 4);
}

TEST_CASE("script: an invalid argument is an error before anything is read") {
  const std::vector<std::string> bad_costs{"-1",  "2147483649", "1.5", "nan",
                                           "inf", "",           "abc", "99999999999999999"};
  script s;
  for (const std::string& cost : bad_costs) {
    CAPTURE(cost);
    auto rule = rule_b(1);
    rule[3] = cost;
    CHECK_FALSE(s.run("take", {rule_a(1), rule}).error.empty());
  }
  const std::vector<std::string> bad_parameters{
      "0", "-1", "0.5", "nan", "inf", "", "abc", "9007199254740992", "99999999999999999"};
  for (std::size_t position = 4; position < 7; ++position) {
    for (const std::string& parameter : bad_parameters) {
      CAPTURE(position);
      CAPTURE(parameter);
      auto rule = rule_b(1);
      rule[position] = parameter;
      CHECK_FALSE(s.run("take", {rule_a(1), rule}).error.empty());
    }
  }
  for (std::size_t position = 4; position < 6; ++position) {
    for (const std::string& parameter : bad_parameters) {
      auto rule = rule_log(1);
      rule[position] = parameter;
      CHECK_FALSE(s.run("take", {rule_a(1), rule}).error.empty());
    }
  }
  const std::vector<words> bad_rules{
      {"x", "1", "aaaa001", "1", "1", "100000", "500000"},  // no such algorithm
      {"t", "3", "aaaa001", "1", "1", "100000", "500000"},  // no such key
      {"t", "0", "aaaa001", "1", "1", "100000", "500000"},
      {"t", "1", "aaaa01", "1", "1", "100000", "500000"},  // not a rule's name
      {"t", "1", "aa=a001", "1", "1", "100000", "500000"},
      {"t", "1", "aaaa001", "1", "1", "100000", "500001"},  // not a whole number of tokens
      {"t", "1", "aaaa001", "1", "1", "4503599627370496", "4503599627370496"},  // full only after 2^52 us
      {"l", "2", "cccc003", "1", "10001", "1000000"},                           // too long a log
      {"l", "2", "cccc003", "1", "10", "4503599627370496"},
      {"t", "1", "aaaa001"},  // cut short
  };
  for (const words& rule : bad_rules) {
    CAPTURE(rule[0] + " " + rule[1] + " " + rule[2]);
    CHECK_FALSE(s.run("take", {rule_a(1), rule}).error.empty());
  }
  CHECK_FALSE(s.run("drop", {rule_a(1)}).error.empty());
  CHECK_FALSE(s.run("take", {}).error.empty());
  CHECK(s.host.reads == 0);
  CHECK(s.host.writes == 0);
}
