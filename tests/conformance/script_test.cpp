// SPDX-License-Identifier: Apache-2.0
// What the decision script stores and refuses: the parts of its contract that no decision shows.
#include "tests/conformance/clock_argv.hpp"
#include "tests/support/lua_host.hpp"

#include <cstdint>
#include <doctest/doctest.h>
#include <random>
#include <string>
#include <vector>

using weir::tests::lua_host;

namespace {

using words = std::vector<std::string>;

constexpr std::int64_t now_us = 1'800'000'000'000'000;
const std::string key = "rl:1:{s}";
const std::string log_key = "rl:1:{s}:lcccc";
const std::string slot_key = "rl:1:{s}:cssss";
constexpr std::int64_t day = 86'400'000'000;
constexpr std::int64_t today = now_us - now_us % day;  // UTC

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

words rule_window(std::int64_t cost) {
  return {"f", "1", "ffff004", text(cost), "5", "1000000"};
}
words rule_counter(std::int64_t cost) {
  return {"c", "1", "vvvv005", text(cost), "5", "1000000"};
}
words rule_day(std::int64_t cost, std::int64_t from = today) {
  return {"k", "1", "dddd006", text(cost), "5", text(from), text(from + day), text(from + 2 * day)};
}
words rule_slots(const std::string& holder, std::int64_t limit = 2) {
  return {"s", "3", "ssss007", "1", text(limit), "30000000", holder};
}

// Marked: `T` shadow, `!` with a penalty that is kept in the value of key 1.
words shadow(words rule) {
  rule[0][0] = static_cast<char>(rule[0][0] - 'a' + 'A');
  return rule;
}
words punishing(words rule, std::int64_t penalty_us) {
  rule[0] += '!';
  rule.insert(rule.begin() + 4, {"1", text(penalty_us)});
  return rule;
}

struct script {
  lua_host host{weir::tests::script_with_argument_clock()};

  lua_host::result run(const std::string& op, const std::vector<words>& rules, std::int64_t at_us = now_us,
                       const std::string& k = "1", const std::string& charged_at = "0") {
    words arguments{op, k};
    for (const words& rule : rules) {
      arguments.insert(arguments.end(), rule.begin(), rule.end());
      if (op == "refund" && rule.size() > 4)
        arguments.insert(arguments.end() - static_cast<std::ptrdiff_t>(rule.size() - 4), charged_at);
    }
    arguments.push_back(text(at_us));
    return host.evaluate(keys, arguments);
  }
  words keys{key, log_key, slot_key};
  std::string value() { return host.data.contains(key) ? host.data.at(key).text : "(none)"; }
  void put(const std::string& stored) { host.data[key] = {stored, {}, false, 1, {}}; }
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

TEST_CASE("script: an invalid argument is an error before anything is written") {
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
      {"t", "4", "aaaa001", "1", "1", "100000", "500000"},  // no such key
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
  CHECK(s.host.writes == 0);
  CHECK(s.host.data.empty());
}

TEST_CASE("script: windows are stored with their end and die with it") {
  script s;
  s.run("take", {rule_window(2)}, now_us + 7);
  CHECK(s.value() == "ffff=f" + text(now_us + 1'000'000) + ":1000000:2");
  CHECK(s.host.data.at(key).expires_at_ms == (now_us + 1'000'000) / 1000 + 1);
  s.run("refund", {rule_window(2)}, now_us + 8);
  CHECK(s.host.data.empty());
}

TEST_CASE("script: a counter lives for two windows and keeps the one before") {
  script s;
  s.run("take", {rule_counter(3)});
  s.run("take", {rule_counter(1)}, now_us + 1'500'000);
  CHECK(s.value() == "vvvv=c" + text(now_us + 3'000'000) + ":1000000:1:3");
  CHECK(s.host.data.at(key).expires_at_ms == (now_us + 3'000'000) / 1000 + 1);
  s.run("refund", {rule_counter(1)}, now_us + 1'500'000);
  CHECK(s.value() == "vvvv=c" + text(now_us + 3'000'000) + ":1000000:0:3");
}

TEST_CASE("script: a calendar window is picked by the clock, to the microsecond") {
  script s;
  CHECK(s.run("take", {rule_day(5)}, today + day - 1).integers.at(1) == 1);
  CHECK(s.value() == "dddd=k" + text(today + day) + ":5");
  CHECK(s.run("take", {rule_day(1)}, today + day - 1).integers.at(4) == 1);
  CHECK(s.run("take", {rule_day(1)}, today + day).integers.at(3) ==
        4);  // the caller still believed in yesterday
  CHECK(s.value() == "dddd=k" + text(today + 2 * day) + ":1");
}

TEST_CASE("script: a clock in neither window is told, and nothing is written") {
  script s;
  s.run("take", {rule_day(1)});
  const auto before = s.host.data;
  const std::int64_t hour = 3'600'000'000;
  const std::vector<std::int64_t> far{today - 1, today + 2 * day, today - hour, today + 40 * day,
                                      today - 40 * day};
  for (const std::int64_t at_us : far) {
    CHECK(s.run("take", {rule_a(1), rule_day(1)}, at_us).error == "WINDOW " + text(at_us));
  }
  CHECK(s.host.data == before);
  for (const std::int64_t at_us : {today, today + day - 1, today + day, today + 2 * day - 1}) {
    CHECK(s.run("peek", {rule_day(1)}, at_us).error.empty());
  }
}

TEST_CASE("script: two callers whose zone data differ share the window that is stored") {
  script s;
  s.run("take", {rule_day(5)});
  const auto other = s.run("take", {rule_day(1, today - 3'600'000'000)});  // its day ends an hour earlier
  CHECK(other.integers.at(2) == 0);
  CHECK(other.integers.at(4) == today + day - 3'600'000'000 - now_us);
  CHECK(s.value() ==
        "dddd=k" + text(today + day - 3'600'000'000) + ":5");  // repaired: it lay beyond the caller's
}

TEST_CASE("script: the stored end of a calendar window stands when the caller's is later") {
  script s;
  s.run("take", {rule_day(5)});
  CHECK(s.run("take", {rule_day(1, today + 3'600'000'000)}).integers.at(4) == today + day - now_us);
  CHECK(s.run("take", {rule_day(5, today + 3'600'000'000)}, today + day).integers.at(1) == 1);
}

TEST_CASE("script: a lowered limit leaves nothing, never less") {
  script s;
  s.run("take", {rule_window(5), rule_counter(5)});
  const auto reply =
      s.run("peek", {{"f", "1", "ffff004", "1", "2", "1000000"}, {"c", "1", "vvvv005", "1", "2", "1000000"}});
  CHECK(reply.integers.at(3) == 0);
  CHECK(reply.integers.at(8) == 0);
}

TEST_CASE("script: windows ahead of the clock are repaired by a denied take and then end as usual") {
  script s;
  const std::int64_t earlier = now_us - 3'600'000'000;
  s.run("take", {rule_window(5)});
  s.run("take", {rule_window(1)}, earlier);
  CHECK(s.value() == "ffff=f" + text(earlier + 1'000'000) + ":1000000:5");
  script counted;
  counted.run("take", {rule_counter(5)});
  counted.run("take", {rule_counter(1)}, earlier);
  CHECK(counted.value() == "vvvv=c" + text(earlier + 2'000'000) + ":1000000:5:0");
}

TEST_CASE("script: slots are a sorted set that dies with its last lease") {
  script s;
  s.run("take", {rule_slots("a")});
  s.run("take", {rule_slots("b")}, now_us + 10);
  CHECK(s.host.data.at(slot_key).scores.size() == 2);
  CHECK(s.host.data.at(slot_key).expires_at_ms == (now_us + 30'000'010) / 1000 + 1);
  const auto before = s.host.data;
  CHECK(s.run("take", {rule_slots("c")}, now_us + 20).integers.at(4) == 29'999'980);
  CHECK(s.run("renew", {rule_slots("c")}, now_us + 20).integers.at(2) == 0);
  CHECK(s.run("peek", {rule_slots("a")}, now_us + 20).integers.at(1) == 1);
  CHECK(s.host.data == before);
  s.run("take", {rule_slots("c")}, now_us + 40'000'000);
  CHECK(s.host.data.at(slot_key).scores.size() == 1);  // ended leases go with a commit
  s.run("refund", {rule_slots("c")}, now_us + 40'000'001);
  CHECK(s.host.data.empty());
}

TEST_CASE("script: a slot that is not held does not keep another one from being released") {
  script s;
  s.run("take", {rule_slots("a")});
  auto elsewhere = rule_slots("a");
  elsewhere[1] = "2";
  const auto reply = s.run("refund", {elsewhere, rule_slots("a")});
  CHECK(reply.integers.at(1) == 0);
  CHECK(reply.integers.at(2) == 0);
  CHECK(reply.integers.at(7) == 1);
  CHECK(s.host.data.empty());
}

TEST_CASE("script: of k equal requests the first that fit are charged at once") {
  script s;
  const auto reply = s.run("take", {rule_a(2), rule_window(1)}, now_us, "4");
  CHECK(reply.integers ==
        std::vector<std::int64_t>{now_us, 2, 0, 1, 100'000, 400'000, 400'000, 1, 3, 0, 1'000'000, 2});
  CHECK(s.run("take", {rule_a(1)}, now_us, "1").integers.at(1) == 1);
  const auto before = s.host.data;
  CHECK(s.run("take", {rule_a(1)}, now_us, "3").integers.at(1) == 0);
  CHECK(s.host.data == before);
}

TEST_CASE("script: a refund knows the window of its charge") {
  script s;
  s.run("take", {rule_window(2), rule_counter(2), rule_log(2), rule_a(2)});
  const std::int64_t later = now_us + 1'000'000;
  s.run("take", {rule_window(3), rule_counter(1), rule_log(1)}, later);
  const auto late =
      s.run("refund", {rule_window(2), rule_counter(2), rule_log(2), rule_a(2)}, later, "1", text(now_us));
  CHECK(late.integers.at(3) == 2);
  CHECK(late.integers.at(6) == 3);
  CHECK(late.integers.at(11) == 1);
  CHECK(late.integers.at(16) == 1);
  CHECK(s.run("refund", {rule_window(2)}, later, "1", text(later)).integers.at(6) == 1);
  CHECK(s.run("refund", {rule_window(1)}, later, "1", "0").integers.at(6) == 0);
}

TEST_CASE("script: arguments of windows, slots, k and refunds are checked before anything is written") {
  script s;
  const words bad_numbers{"0", "-1", "0.5", "nan", "inf", "", "abc", "9007199254740992", "99999999999999999"};
  for (const std::string& bad : bad_numbers) {
    CAPTURE(bad);
    for (const words& good : {rule_window(1), rule_counter(1), rule_day(1), rule_slots("a")}) {
      for (std::size_t position = 4; position < good.size() - (good[0] == "s" ? 1 : 0); ++position) {
        words rule = good;
        rule[position] = bad;
        CHECK_FALSE(s.run("take", {rule_a(1), rule}).error.empty());
      }
    }
    CHECK_FALSE(s.run("take", {rule_a(1)}, now_us, bad).error.empty());
    if (bad != "0" && bad != "-1") CHECK_FALSE(s.run("refund", {rule_a(1)}, now_us, "1", bad).error.empty());
  }
  for (const std::string& holder :
       {std::string(), std::string("a b"), std::string("a\n"), std::string(41, 'h')}) {
    CHECK_FALSE(s.run("take", {rule_slots(holder)}).error.empty());
  }
  for (const char* op : {"peek", "refund", "take_upto", "renew"}) {
    CHECK_FALSE(s.run(op, {rule_slots("a")}, now_us, "2").error.empty());
  }
  CHECK_FALSE(s.run("renew", {rule_a(1)}).error.empty());
  CHECK_FALSE(s.run("take", {rule_day(1, today - 33 * day)}).error.empty());
  auto long_day = rule_day(1);
  long_day[7] = text(today + day + 33 * day);
  CHECK_FALSE(s.run("take", {long_day}).error.empty());
  CHECK_FALSE(
      s.run("take", {{"c", "1", "vvvv005", "1", "2147483648", "4194304"}}).error.empty());  // L * W = 2^53
  CHECK(s.host.writes == 0);
  CHECK(s.run("take", {{"c", "1", "vvvv005", "1", "2147483648", "4194303"}}).error.empty());
}

TEST_CASE("script: old and new configurations share a key and neither loses what was counted") {
  script s;
  s.run("take", {rule_a(1)});
  for (int i = 0; i < 2; ++i) {
    s.run("take", {rule_b(1), rule_window(1)});               // new: a rule less, two more
    s.run("take", {rule_a(1), rule_counter(1)});              // old
    s.run("take", {rule_window(1), rule_day(1), rule_b(1)});  // newest: reordered, one more
  }
  CHECK(s.run("peek", {rule_a(1)}).integers.at(3) == 2);
  CHECK(s.run("peek", {rule_b(1)}).integers.at(3) == 1);
  CHECK(s.run("peek", {rule_window(1)}).integers.at(3) == 1);
  CHECK(s.run("peek", {rule_counter(1)}).integers.at(3) == 3);
  CHECK(s.run("peek", {rule_day(1)}).integers.at(3) == 3);
  // a changed limit and period read the same entries
  CHECK(s.run("peek", {{"f", "1", "ffff004", "1", "7", "1000000"}}).integers.at(3) == 3);
  CHECK(s.run("peek", {{"t", "1", "aaaa001", "1", "1", "50000", "500000"}}).integers.at(5) == 300'000);
}

TEST_CASE("script: an entry of another algorithm counts as absent under each of them") {
  const std::int64_t X = now_us + 1'000'000;
  const words texts{text(X),
                    "f" + text(X) + ":1000000:5",
                    "k" + text(X) + ":5",
                    "c" + text(X + 1'000'000) + ":1000000:5:0",
                    "p" + text(X),
                    "f" + text(X) + ":1000000:99999999999",
                    "k" + text(X),
                    "c1:2",
                    "f::",
                    "?"};
  const std::vector<words> rules{rule_window(1), rule_counter(1), rule_day(1)};
  for (std::size_t i = 0; i < texts.size(); ++i) {
    CAPTURE(texts[i]);
    for (std::size_t j = 0; j < rules.size(); ++j) {
      script s;
      s.put(rules[j][2].substr(0, 4) + "=" + texts[i]);
      const bool own = (i == 1 && j == 0) || (i == 3 && j == 1) || (i == 2 && j == 2);
      CHECK(s.run("take", {rules[j]}).integers.at(3) == (own ? 0 : 4));
    }
  }
}

namespace {

/// The verdict of a take over data that the server has since `since_us`.
std::int64_t admitted_cold(script& s, const words& rule, std::int64_t since_us, std::int64_t at_us) {
  words arguments{"cold", text(since_us), "take", "1"};
  arguments.insert(arguments.end(), rule.begin(), rule.end());
  arguments.push_back(text(at_us));
  return s.host.evaluate({key, log_key, slot_key}, arguments).integers.at(1);
}

}  // namespace

TEST_CASE("script: what a cold server does not know was used up when it began") {
  constexpr std::int64_t began = now_us + 300'000;  // windows of one second begin at now_us
  const std::int64_t midnight = today + day;
  struct {
    words rule;
    std::int64_t first_us;  // a unit is there
  } const cases[] = {{rule_a(1), began + 100'000},
                     {rule_log(1), began + 1'000'000},
                     {rule_window(1), now_us + 1'000'000},
                     {rule_counter(1), now_us + 1'200'000},
                     {rule_day(1), midnight}};
  for (const auto& [rule, first_us] : cases) {
    CAPTURE(rule[0]);
    script s;
    CHECK(admitted_cold(s, rule, began, began) == 0);
    CHECK(admitted_cold(s, rule, began, first_us - 1) == 0);
    CHECK(s.host.data.empty());  // a denial writes nothing
    CHECK(admitted_cold(s, rule, began, first_us) == 1);
    CHECK(s.host.data.size() == 1);
  }
}

TEST_CASE("script: a cold server admits the rate and no burst") {
  script s;
  int admitted = 0;
  for (std::int64_t at = now_us; at < now_us + 10'000'000; at += 1'000)
    admitted += static_cast<int>(admitted_cold(s, rule_a(1), now_us, at));
  CHECK(admitted == 99);
  script fractions;
  const words seven{"t", "1", "aaaa001", "1", "7", "10", "100"};
  CHECK(admitted_cold(fractions, seven, now_us, now_us + 1) == 0);
  CHECK(admitted_cold(fractions, seven, now_us, now_us + 2) == 1);
}

TEST_CASE("script: a cold server believes what it knows") {
  script s;
  s.run("take", {rule_a(1), rule_log(1)});
  CHECK(admitted_cold(s, rule_a(4), now_us, now_us) == 1);
  CHECK(admitted_cold(s, rule_log(2), now_us, now_us) == 1);
  CHECK(admitted_cold(s, rule_b(1), now_us, now_us) == 0);  // another rule of the subject
}

TEST_CASE("script: since when there is data must be an instant") {
  for (const char* since : {"0", "-1", "0.5", "x", "", "9007199254740992"}) {
    script s;
    words arguments{"cold", since, "take", "1"};
    const words rule = rule_a(1);
    arguments.insert(arguments.end(), rule.begin(), rule.end());
    arguments.push_back(text(now_us));
    CHECK(!s.host.evaluate({key, log_key, slot_key}, arguments).error.empty());
    CHECK(s.host.data.empty());
  }
}

TEST_CASE("script: a lone bucket is written by a cost above 0 alone") {
  for (const std::int64_t before : {0, 2}) {
    script s;
    if (before > 0) s.run("take", {rule_a(before)});
    const std::int64_t writes = s.host.writes;
    CHECK(s.run("take", {rule_a(0)}, now_us + 1).integers.at(1) == 1);
    CHECK(s.host.writes == writes);
  }
}

TEST_CASE("script: a lone bucket is checked argument by argument") {
  const words good = rule_a(1);
  const std::vector<std::pair<std::size_t, words>> bad{
      {1, {"0", "2.5", "9", "x"}},                                        // key
      {2, {"aaaa0011", "aaaa01", "aa=a001", "aaa;001"}},                  // name
      {3, {"-1", "0.5", "2147483649", "nan", "inf", "x"}},                // cost
      {5, {"0", "-1", "0.5", "nan", "x", "1000000"}},                     // q, here also above cap
      {6, {"0", "-1", "500001", "nan", "inf", "9007199300000000", "x"}},  // cap
  };
  for (const auto& [place, values] : bad) {
    for (const std::string& value : values) {
      CAPTURE(place);
      CAPTURE(value);
      script s;
      words rule = good;
      rule[place] = value;
      CHECK(!s.run("take", {rule}).error.empty());
      CHECK(s.host.data.empty());
    }
  }
}

// With one key the script may take a short way for several buckets of one subject; with a second one it never
// does.
TEST_CASE("script: several buckets of one subject are decided and stored alike on either way") {
  std::mt19937 random(11);
  const auto below = [&](unsigned n) { return static_cast<std::int64_t>(random() % n); };
  int same_form = 0;
  for (int round = 0; round < 300; ++round) {
    script quick, thorough;
    quick.keys = {key};
    thorough.keys = {key, log_key};
    std::int64_t at = now_us;
    for (int step = 0; step < 20; ++step) {
      const auto cost = [&] {
        const std::int64_t which = below(12);
        return which == 0 ? 0 : which == 1 ? std::int64_t{1} << (30 + below(3)) : 1 + below(4);
      };
      std::vector<words> rules{rule_a(cost()), rule_b(cost())};
      if (below(2) == 0) rules.push_back({"t", "1", "cccc009", text(cost()), "1", "250000", "1000000"});
      if (below(4) == 0)
        rules.push_back({"t", "1", "wide008", text(cost()), "1", "1", text(std::int64_t{1} << 34)});
      if (below(16) == 0) rules.push_back({"t", "1", "aaab001", text(cost()), "3", "250000", "1000000"});
      if (below(16) == 0) rules.push_back(rule_window(1));
      if (below(16) == 0) std::swap(rules[0], rules[1]);
      if (below(24) == 0)
        rules[static_cast<std::size_t>(below(2))][static_cast<std::size_t>(2 + below(5))] = "-1";
      if (below(24) == 0) {
        const std::string stored = "aaaa=" + text(at + below(3'000'000)) + ";zzzz=" + text(at + day);
        quick.put(stored);
        thorough.put(stored);
      }
      static const std::vector<std::string> other_ops{"peek", "refund", "take_upto"};
      const std::string op = below(8) == 0 ? other_ops[static_cast<std::size_t>(below(3))] : "take";
      const std::string k = op == "take" && below(8) == 0 ? "3" : "1";
      const auto got = quick.run(op, rules, at, k), wanted = thorough.run(op, rules, at, k);
      CAPTURE(round);
      CAPTURE(step);
      CHECK(got.error.empty() == wanted.error.empty());
      CHECK(got.integers == wanted.integers);
      CHECK(quick.value() == thorough.value());
      if (quick.host.data.contains(key) && thorough.host.data.contains(key)) {
        CHECK(quick.host.data.at(key).expires_at_ms == thorough.host.data.at(key).expires_at_ms);
      }
      if (op == "take" && got.integers.size() >= 12) ++same_form;
      at += below(10) == 0 ? -below(4'000'000) : below(300'000);
    }
  }
  CHECK(same_form > 2000);
}

/// A pack: the shapes of its decisions, and which of them has which.
struct pack {
  static constexpr std::int64_t failed = -(std::int64_t{1} << 53);
  lua_host host{weir::tests::pack_script_with_argument_clock()};
  std::string letters;
  words keys, shapes;
  char last = 'A' - 1;

  char shape(const std::string& kind, std::size_t key_count, const std::vector<words>& rules) {
    std::size_t size = 2;
    for (const words& rule : rules) size += rule.size();
    for (const std::string& word : words{kind, std::to_string(key_count), std::to_string(size),
                                         std::to_string(rules.size()), "take", "1"})
      shapes.push_back(word);
    for (const words& rule : rules) shapes.insert(shapes.end(), rule.begin(), rule.end());
    return ++last;
  }
  void add(char letter, const words& of) {
    letters += letter;
    keys.insert(keys.end(), of.begin(), of.end());
  }
  lua_host::result run(std::int64_t at = now_us) {
    words arguments{letters, std::to_string(last - 'A' + 1)};
    arguments.insert(arguments.end(), shapes.begin(), shapes.end());
    arguments.push_back(text(at));
    return host.evaluate(keys, arguments);
  }
  std::vector<std::int64_t> integers(std::int64_t at = now_us) {
    const lua_host::result reply = run(at);
    REQUIRE(reply.error == "");
    REQUIRE(reply.integers.front() == at);
    return {reply.integers.begin() + 1, reply.integers.end()};
  }
};

TEST_CASE("in a pack each decision stands by itself") {
  pack p;
  const std::vector<std::int64_t> all_allowed{100'000, 100'000, 100'000};
  const char one = p.shape("b", 1, {rule_a(1)});
  for (const char* name : {"rl:1:{a}", "rl:1:{b}", "rl:1:{c}"}) p.add(one, {name});
  auto& second = p.host.data[p.keys[1]];

  SUBCASE("all are decided") {
    p.host.data.clear();
    CHECK(p.integers() == all_allowed);
    CHECK(p.host.data.size() == 3);
    CHECK(p.host.data[p.keys[0]].text == text(now_us + 100'000) + "001");
    CHECK(p.host.data[p.keys[0]].expires_at_ms == (now_us + 100'000) / 1000 + 1);
  }
  SUBCASE("what is used adds up, to the last token; what is denied says so and writes nothing") {
    second.text = text(now_us + 400'000) + "001";
    CHECK(p.integers() == std::vector<std::int64_t>{100'000, 500'000, 100'000});
    const auto writes = p.host.writes;
    p.letters = "A";
    p.keys = {p.keys[1]};
    CHECK(p.integers(now_us + 99'999) == std::vector<std::int64_t>{-1 - 400'001});
    CHECK(p.host.writes == writes);
  }
  SUBCASE("a bucket of another rule stays beside") {
    const std::string other = text(now_us + 400'000);
    second.text = other + "999";
    CHECK(p.integers() == all_allowed);
    CHECK(second.text == "aaaa=" + text(now_us + 100'000) + ";#999=" + other);
  }
  SUBCASE("what has been idle is full") {
    second.text = text(now_us - 5) + "001";
    CHECK(p.integers() == all_allowed);
  }
  SUBCASE("an instant beyond the capacity is repaired") {
    second.text = text(now_us + 900'000) + "001";
    CHECK(p.integers() == std::vector<std::int64_t>{100'000, -1 - 500'000, 100'000});
    CHECK(second.text == text(now_us + 500'000) + "001");
  }
  SUBCASE("a key of another type fails alone") {
    second.is_list = true;
    CHECK(p.integers() == std::vector<std::int64_t>{100'000, pack::failed, 100'000});
  }
  SUBCASE("what cannot be written says so") {
    p.host.data.clear();
    p.host.full = true;
    CHECK(p.integers() == std::vector<std::int64_t>(3, pack::failed));
    CHECK(p.host.data.empty());
  }
  SUBCASE("what asks for nothing writes nothing, and what asks too much is denied") {
    p.host.data.clear();
    p.add(p.shape("b", 1, {rule_a(0)}), {"rl:1:{d}"});
    p.add(p.shape("b", 1, {rule_a(6)}), {"rl:1:{e}"});
    CHECK(p.integers() == std::vector<std::int64_t>{100'000, 100'000, 100'000, 0, -1});
    CHECK(p.host.data.size() == 3);
  }
  SUBCASE("the same subject is charged twice") {
    p.add(one, {p.keys[0]});
    CHECK(p.integers().back() == 200'000);
  }
}

TEST_CASE("a pack takes several buckets of a request all or none") {
  pack p;
  const words narrow{"t", "1", "b-b_002", "2", "1", "100000", "300000"};
  const words elsewhere{"t", "2", "cccc003", "1", "1", "100000", "200000"};
  const char both = p.shape("b", 2, {rule_a(1), narrow, elsewhere});
  const words keys{"rl:1:{a}", "rl:1:{c}"};
  p.add(both, keys);
  const std::string stored = "aaaa=" + text(now_us + 100'000) + ";b-b_=" + text(now_us + 200'000);

  SUBCASE("they are charged together") {
    CHECK(p.integers() == std::vector<std::int64_t>{100'000, 200'000, 100'000});
    CHECK(p.host.data[keys[0]].text == stored);
    CHECK(p.host.data[keys[0]].expires_at_ms == (now_us + 200'000) / 1000 + 1);
    CHECK(p.host.data[keys[1]].text == text(now_us + 100'000) + "003");
  }
  SUBCASE("one that denies keeps the others from being charged, and the next request is not told so") {
    p.add(both, keys);
    p.add(both, {"rl:1:{d}", "rl:1:{e}"});
    CHECK(p.integers() == std::vector<std::int64_t>{100'000, 200'000, 100'000, 100'000, -1 - 200'000, 100'000,
                                                    100'000, 200'000, 100'000});
    CHECK(p.host.data[keys[0]].text == stored);
  }
  SUBCASE("a key that holds more goes through the driver, with the same answer") {
    p.host.data[keys[0]].text =
        "b-b_=" + text(now_us + 100'000) + ";zzzz=k" + text(now_us + 9'000'000) + ":7";
    CHECK(p.integers() == std::vector<std::int64_t>{100'000, 300'000, 100'000});
    CHECK(p.host.data[keys[0]].text == "aaaa=" + text(now_us + 100'000) + ";b-b_=" + text(now_us + 300'000) +
                                           ";zzzz=k" + text(now_us + 9'000'000) + ":7");
    CHECK(p.integers() == std::vector<std::int64_t>{100'000, -1 - 300'000, 100'000});
  }
  SUBCASE("an instant beyond the capacity is repaired") {
    const std::string first = "aaaa=" + text(now_us + 100'000);
    p.host.data[keys[0]].text = first + ";b-b_=" + text(now_us + 900'000);
    CHECK(p.integers() == std::vector<std::int64_t>{100'000, -1 - 300'000, 0});
    CHECK(p.host.data[keys[0]].text == "b-b_=" + text(now_us + 300'000) + ";" + first);
  }
  SUBCASE("what cannot be read or written fails and leaves the next one alone") {
    p.host.data[keys[1]].is_list = true;
    p.add(both, {"rl:1:{d}", "rl:1:{e}"});
    const auto said = p.integers();
    CHECK(said.front() == pack::failed);
    CHECK(std::vector<std::int64_t>(said.begin() + 3, said.end()) ==
          std::vector<std::int64_t>{100'000, 200'000, 100'000});
    CHECK_FALSE(p.host.data.contains(keys[0]));
    p.host.full = true;
    p.host.data.clear();
    CHECK(p.integers().front() == pack::failed);
  }
}

TEST_CASE("a pack holds decisions of any rules") {
  pack p;
  const char bucket = p.shape("b", 1, {rule_a(1)});
  p.add(p.shape("a", 2, {rule_a(2), rule_log(1)}), {key, log_key});
  p.add(bucket, {key});
  const auto said = p.integers();
  REQUIRE(said.size() == 12);
  CHECK(said[0] == 1);         // m
  CHECK(said[2] == 3);         // the bucket
  CHECK(said[7] == 2);         // the log
  CHECK(said[11] == 300'000);  // the same bucket, one more
  p.host.data[log_key].is_list = false;
  CHECK(p.integers().front() == pack::failed);
}

TEST_CASE("a pack whose buckets are none is refused before anything is read") {
  const auto refused = [](words rule, std::size_t at, const std::string& word) {
    rule[at] = word;
    pack p;
    p.add(p.shape("b", 1, {rule_b(1)}), {"rl:1:{b}"});
    p.add(p.shape("b", 1, {rule}), {"rl:1:{a}"});
    CHECK_MESSAGE(!p.run().error.empty(), word);
    CHECK(p.host.writes == 0);
  };
  for (const char* cost : {"-1", "1.5", "2147483649", "x"}) refused(rule_a(1), 3, cost);
  for (const char* number : {"0", "2"}) refused(rule_a(1), 1, number);
  refused(rule_a(1), 0, "f");
  refused(rule_a(1), 2, "aaaa01");
  for (const char* r : {"2", "0"}) refused(rule_a(1), 4, r);
  for (const char* q : {"0", "0.5", "300000"}) refused(rule_a(1), 5, q);
  for (const char* cap : {"0", "99999", "4503599627400000"}) refused(rule_a(1), 6, cap);
}

TEST_CASE("script: an aged refund gives back what has not flowed in since") {
  script s;
  s.run("take", {rule_a(5)});
  const std::string charged_at = "-" + text(now_us);
  CHECK(s.run("refund", {rule_a(2)}, now_us + 150'000, "1", charged_at).integers[6] == 300'000);
  CHECK(s.run("refund", {rule_a(1)}, now_us + 200'000, "1", charged_at).integers[6] == 250'000);
  CHECK(s.run("refund", {rule_a(1)}, now_us - 1, "1", charged_at).integers[6] == 350'001);
  CHECK(s.run("refund", {rule_a(1)}, now_us, "1", "-9007199254740992")
            .error.starts_with("ERR weir: invalid instant"));
}

// ---- Shadow charges and penalties ------------------------------------------------------------------------

TEST_CASE("script: a shadow rule is told its denial and keeps nobody from being charged") {
  script s;
  CHECK(s.run("take", {shadow(rule_a(5)), rule_b(1)}).integers ==
        std::vector<std::int64_t>{now_us, 1, 1, 0, 0, 500'000, 500'000, 1, 4, 0, 100'000, 100'000});
  CHECK(s.run("take", {shadow(rule_a(1)), rule_b(1)}).integers ==
        std::vector<std::int64_t>{now_us, 1, 0, 0, 100'000, 500'000, 500'000, 1, 3, 0, 200'000, 200'000});
  const auto before = s.value();
  CHECK(s.run("take", {shadow(rule_a(1)), rule_b(4)}).integers[1] == 0);
  CHECK(s.value() == before);
  s.host.data.clear();
  CHECK(s.run("take", {shadow(rule_a(1)), rule_b(6)}).integers[1] == 0);
  CHECK(s.value() == "(none)");  // not charged for a request that is denied
}

TEST_CASE("script: a lone shadow bucket is decided like any other") {
  script s;
  CHECK(s.run("take", {shadow(rule_a(6))}).integers == std::vector<std::int64_t>{now_us, 1, 0, 5, -1, 0, 0});
  CHECK(s.run("take", {shadow(rule_a(2))}).integers ==
        std::vector<std::int64_t>{now_us, 1, 1, 3, 0, 200'000, 200'000});
  CHECK(s.run("peek", {shadow(rule_a(4))}).integers[2] == 0);
}

TEST_CASE("script: the first denial stores a block beside the state, which no other denial changes") {
  script s;
  const std::int64_t penalty = 60'000'000;
  s.run("take", {punishing(rule_a(5), penalty)});
  CHECK(s.run("take", {punishing(rule_a(1), penalty)}).integers ==
        std::vector<std::int64_t>{now_us, 0, 0, 0, penalty, penalty, 500'000});
  const std::string full_at = text(now_us + 500'000), ends = text(now_us + penalty);
  CHECK(s.value() == "aaaa!=p" + ends + ";#001=" + full_at);
  CHECK(s.host.data[key].expires_at_ms == (now_us + penalty) / 1000 + 1);
  const auto writes = s.host.writes;
  CHECK(s.run("take", {punishing(rule_a(1), penalty)}, now_us + 1'000'000).integers ==
        std::vector<std::int64_t>{now_us + 1'000'000, 0, 0, 0, penalty - 1'000'000, penalty - 1'000'000, 0});
  CHECK(s.host.writes == writes);
  CHECK(s.run("take", {punishing(rule_a(0), penalty)}, now_us + 1'000'000).integers[2] == 1);
  CHECK(s.run("take", {punishing(rule_a(6), penalty)}, now_us + 1'000'000).integers[4] == -1);
  CHECK(s.run("take", {punishing(rule_a(1), penalty)}, now_us + penalty).integers[2] == 1);
}

TEST_CASE("script: a peek tells what a take would hear and begins no block") {
  script s;
  s.run("take", {punishing(rule_a(5), 60'000'000)});
  const auto before = s.value();
  CHECK(s.run("peek", {punishing(rule_a(1), 60'000'000)}).integers ==
        std::vector<std::int64_t>{now_us, 0, 0, 0, 60'000'000, 500'000, 500'000});
  CHECK(s.value() == before);
}

TEST_CASE("script: a wait is the longer one of the block and the limit") {
  script s;
  s.run("take", {punishing(rule_a(5), 1'000)});
  CHECK(s.run("take", {punishing(rule_a(3), 1'000)}).integers[4] == 300'000);
}

TEST_CASE("script: a block beyond the penalty is brought back to it, also by what is denied") {
  script s;
  s.put("aaaa!=p" + text(now_us + 90'000'000));
  CHECK(s.run("take", {punishing(rule_a(1), 60'000'000)}).integers[4] == 60'000'000);
  CHECK(s.value() == "aaaa!=p" + text(now_us + 60'000'000));
  s.put("aaaa!=p" + text(now_us + 90'000'000));
  CHECK(s.run("peek", {punishing(rule_a(1), 60'000'000)}).integers[4] == 60'000'000);
  CHECK(s.value() == "aaaa!=p" + text(now_us + 90'000'000));
}

TEST_CASE("script: who knows no penalty copies a block through, and it goes when it has ended") {
  script s;
  s.put("aaaa!=p" + text(now_us + 60'000'000));
  s.run("take", {rule_a(1)});
  CHECK(s.value() == "aaaa=" + text(now_us + 100'000) + ";aaaa!=p" + text(now_us + 60'000'000));
  s.run("take", {rule_a(1)}, now_us + 60'000'001);
  CHECK(s.value() == text(now_us + 60'100'001) + "001");
}

TEST_CASE("script: the digits of a lone bucket are not its block") {
  script s;
  s.put(text(now_us + 100'000) + "001");
  CHECK(s.run("take", {punishing(rule_a(1), 60'000'000)}).integers[2] == 1);
}

TEST_CASE("script: a block does not take the place of a bucket that is known by its digits") {
  script s;
  const std::string bucket = "#001=" + text(now_us + 500'000);  // empty
  s.put(bucket + ";zzzz=k" + text(now_us + 10'000'000) + ":7");
  CHECK(s.run("take", {punishing(rule_a(1), 60'000'000)}).integers[2] == 0);
  CHECK(s.host.data[key].text.find(bucket) != std::string::npos);
  CHECK(s.host.data[key].text.find("aaaa!=p") != std::string::npos);
}

TEST_CASE("script: a log keeps its block in the value of its subject") {
  script s;
  s.run("take", {punishing(rule_log(3), 60'000'000)});
  CHECK(s.value() == "(none)");
  s.run("take", {rule_a(1)});
  const std::string alone = text(now_us + 100'000) + "001";
  CHECK(s.value() == alone);
  CHECK(s.run("take", {punishing(rule_log(1), 60'000'000)}).integers[4] == 60'000'000);
  CHECK(s.value() == "cccc!=p" + text(now_us + 60'000'000) + ";#001=" + text(now_us + 100'000));
  CHECK(s.run("take", {punishing(rule_log(1), 60'000'000)}, now_us + 2'000'000).integers[4] == 58'000'000);
  CHECK(s.list().size() == 3);
}

TEST_CASE("script: a blocked shadow rule is not charged") {
  script s;
  s.put("aaaa!=p" + text(now_us + 60'000'000));
  const auto reply = s.run("take", {shadow(punishing(rule_a(1), 60'000'000)), rule_b(1)});
  CHECK(reply.integers[1] == 1);
  CHECK(reply.integers[2] == 0);
  CHECK(reply.integers[6] == 0);
  CHECK(s.value() == "bbbb=" + text(now_us + 100'000) + ";aaaa!=p" + text(now_us + 60'000'000));
}

TEST_CASE("script: two rules of one subject are blocked each by itself") {
  script s;
  s.run("take", {punishing(rule_a(5), 60'000'000), punishing(rule_b(5), 30'000'000)});
  const auto reply = s.run("take", {punishing(rule_a(1), 60'000'000), punishing(rule_b(1), 30'000'000)});
  CHECK(reply.integers[4] == 60'000'000);
  CHECK(reply.integers[9] == 30'000'000);
  CHECK(s.value() == "aaaa!=p" + text(now_us + 60'000'000) + ";bbbb!=p" + text(now_us + 30'000'000) +
                         ";aaaa=" + text(now_us + 500'000) + ";bbbb=" + text(now_us + 500'000));
}

TEST_CASE("script: marks are refused where they mean nothing, before anything is written") {
  const std::int64_t penalty = 1'000'000;
  for (const auto* op : {"refund", "take_upto", "renew"}) {
    script s;
    CHECK(s.run(op, {shadow(rule_a(1))}).error.starts_with("ERR weir: invalid mark"));
    CHECK(s.run(op, {punishing(rule_a(1), penalty)}).error.starts_with("ERR weir: invalid mark"));
  }
  script s;
  CHECK(s.run("take", {shadow(rule_a(1))}, now_us, "2").error.starts_with("ERR weir: invalid mark"));
  CHECK(s.run("take", {shadow(rule_slots("p"))}).error.starts_with("ERR weir: invalid mark"));
  for (const auto& letter : words{"p", "!", "T!!", "t?", "tt", "TT", "!t"}) {
    words rule = punishing(rule_a(1), penalty);
    rule[0] = letter;
    CHECK(s.run("take", {rule}).error.starts_with("ERR weir: unknown algorithm"));
  }
  for (const auto& length : words{"0", "-1", "1.5", "4503599627370496"}) {
    words rule = punishing(rule_a(1), penalty);
    rule[5] = length;
    CHECK(s.run("take", {rule}).error.starts_with("ERR weir: invalid penalty"));
  }
  words elsewhere = punishing(rule_a(1), penalty);
  elsewhere[4] = "9";
  CHECK(s.run("take", {elsewhere}).error.starts_with("ERR weir: invalid penalty"));
  CHECK(s.host.writes == 0);
}
