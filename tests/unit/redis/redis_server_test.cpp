// SPDX-License-Identifier: Apache-2.0
// The store against a real server, which each test starts for itself.
#include "tests/support/redis_server.hpp"

#include "limiter/redis/acl.hpp"
#include "store_fixture.hpp"

#include <deque>
#include <doctest/doctest.h>
#include <thread>

using namespace weir::tests;
using weir::limiter::errc;

namespace {

struct fixture : store_fixture {
  explicit fixture(std::vector<std::string> options = {}) : server(std::move(options)) {
    settings.port = server.port();
    // this machine may be busy with other tests; what is measured here is not speed
    settings.command_timeout = 1s;
    settings.connect_timeout = 1s;
  }
  ~fixture() { store.reset(); }
  redis_server server;
};

bool skipped() {
  if (redis_server::installed()) return false;
  MESSAGE("skipped: redis-server is not installed");
  return true;
}

/// Sends `count` decisions in one loop turn; how many were admitted.
int admitted(fixture& f, const weir::limiter::rule& rule, std::size_t count) {
  std::deque<waiter> waiters;
  for (std::size_t i = 0; i < count; ++i) f.send(waiters.emplace_back(rule));
  REQUIRE(f.run_until([&] { return waiters.back().answered(); }));
  int sum = 0;
  for (const waiter& w : waiters) {
    REQUIRE(w.error == errc::ok);
    sum += w.states.at(0).allowed ? 1 : 0;
  }
  return sum;
}

}  // namespace

TEST_CASE("a limit of 100 admits exactly 100, over TCP and over a unix socket") {
  if (skipped()) return;
  fixture f;
  const auto rule = make_rule(100);
  f.connect();
  CHECK(admitted(f, rule, 60) == 60);
  f.store.reset();
  f.settings.unix_path = f.server.unix_path();
  f.connect();
  CHECK(f.logged("connected to redis unix:"));
  CHECK(admitted(f, rule, 60) == 40);
  CHECK(f.store->counters().batches == 1);
}

TEST_CASE("flushed scripts are healed without a visible error or a lost token") {
  if (skipped()) return;
  fixture f;
  const auto rule = make_rule(10);
  f.connect();
  CHECK(admitted(f, rule, 4) == 4);
  for (int i = 0; i < 2; ++i) {
    REQUIRE(f.server.command({"SCRIPT", "FLUSH"}) == "OK");
    CHECK(admitted(f, rule, 2) == 2);
  }
  CHECK(admitted(f, rule, 4) == 2);
  CHECK(f.store->counters().connects == 1);
}

TEST_CASE("a killed server that returns is used again within two seconds") {
  if (skipped()) return;
  fixture f;
  f.connect();
  REQUIRE(f.decide() == errc::ok);
  f.server.stop();
  REQUIRE(f.wait_until_down());
  CHECK(f.decide() != errc::ok);
  f.run_until([] { return false; }, 300ms);
  CHECK(f.decide() == errc::refused);
  f.server.start();
  const auto begin = std::chrono::steady_clock::now();
  REQUIRE(f.wait_until_up());
  CHECK(std::chrono::steady_clock::now() - begin < 2s);
  CHECK(f.decide() == errc::ok);
}

TEST_CASE("a stopped server times out and is used again when it goes on") {
  if (skipped()) return;
  fixture f;
  f.settings.command_timeout = 50ms;
  f.settings.connect_timeout = 100ms;
  f.connect();
  f.server.pause();
  CHECK(f.decide() == errc::timeout);
  f.server.resume();
  REQUIRE(f.wait_until_up());
  CHECK(f.decide() == errc::ok);
}

TEST_CASE("a password is needed and a wrong one is an auth failure") {
  if (skipped()) return;
  fixture f({"--requirepass", "right"});
  f.make_store();
  REQUIRE(f.run_until([&f] { return !f.log.empty(); }));
  CHECK(f.logged("INFO refused: NOAUTH"));
  CHECK(f.decide() == errc::auth);
  f.settings.password = "wrong";
  f.log.clear();
  f.make_store();
  REQUIRE(f.run_until([&f] { return !f.log.empty(); }));
  CHECK(f.logged("AUTH refused: WRONGPASS"));
  CHECK_FALSE(f.logged("wrong "));
  f.settings.password = "right";
  f.connect();
  CHECK(f.decide() == errc::ok);
}

TEST_CASE("a database is selected") {
  if (skipped()) return;
  fixture f;
  f.settings.database = 5;
  f.connect();
  REQUIRE(f.decide() == errc::ok);
  CHECK(f.server.command({"DBSIZE"}) == "0");
  f.settings.database = 99;
  f.log.clear();
  f.make_store();
  REQUIRE(f.run_until([&f] { return !f.log.empty(); }));
  CHECK(f.logged("SELECT refused: ERR"));
}

TEST_CASE("a server without memory, or turned replica, is named") {
  if (skipped()) return;
  fixture f;
  f.connect();
  REQUIRE(f.server.command({"CONFIG", "SET", "maxmemory", "1"}) == "OK");
  CHECK(f.decide() == errc::oom);
  REQUIRE(f.server.command({"CONFIG", "SET", "maxmemory", "0"}) == "OK");
  CHECK(f.decide() == errc::ok);
  const std::string nowhere = std::to_string(free_port());
  REQUIRE(f.server.command({"REPLICAOF", "127.0.0.1", nowhere}) == "OK");
  REQUIRE(f.server.command({"CONFIG", "SET", "replica-serve-stale-data", "yes"}) == "OK");
  CHECK(f.decide() == errc::readonly);
  REQUIRE(f.server.command({"REPLICAOF", "NO", "ONE"}) == "OK");
  REQUIRE(f.wait_until_up());
  CHECK(f.decide() == errc::ok);
}

TEST_CASE("a user without the right to the keys is an auth failure") {
  if (skipped()) return;
  fixture f;
  REQUIRE(f.server.command({"ACL", "SETUSER", "weir", "on", ">pw", "~other:*", "+@all"}) == "OK");
  f.settings.username = "weir";
  f.settings.password = "pw";
  f.connect();
  CHECK(f.decide() == errc::auth);
  CHECK_FALSE(f.store->available());
  REQUIRE(f.server.command({"ACL", "SETUSER", "weir", "~rl:*"}) == "OK");
  REQUIRE(f.wait_until_up());
  CHECK(f.decide() == errc::ok);
}

TEST_CASE("a server busy with another's script is named or times out, never waited for") {
  if (skipped()) return;
  fixture f({"--busy-reply-threshold", "1"});
  f.settings.command_timeout = 50ms;
  f.connect();
  // a read timeout of the test's own connection is not needed: the script is killed below
  std::thread busy([&f] {
    try {
      (void)f.server.command({"EVAL", "while true do end", "0"});
    } catch (const std::runtime_error&) {
    }
  });
  f.run_until([] { return false; }, 100ms);
  const errc error = f.decide();
  CHECK((error == errc::busy || error == errc::timeout));
  while (f.server.command({"SCRIPT", "KILL"}) != "OK") {
  }
  busy.join();
  REQUIRE(f.wait_until_up());
  CHECK(f.decide() == errc::ok);
}

TEST_CASE("a user with exactly the printed list may do every operation of every algorithm") {
  if (skipped()) return;
  using weir::limiter::algorithm;
  using weir::limiter::operation;
  fixture f;
  std::vector<std::string> words = {"ACL", "SETUSER", "weir", "reset", "on", ">pw"};
  std::string rules = weir::limiter::redis::acl_rules("rl:");
  for (std::size_t at = 0; at < rules.size();) {
    const std::size_t end = std::min(rules.find(' ', at), rules.size());
    words.push_back(rules.substr(at, end - at));
    at = end + 1;
  }
  REQUIRE(f.server.command(words) == "OK");
  f.settings.username = "weir";
  f.settings.password = "pw";
  f.connect();
  for (const algorithm kind :
       {algorithm::token_bucket, algorithm::fixed_window, algorithm::sliding_window_counter,
        algorithm::sliding_window_log, algorithm::concurrency}) {
    auto rule = make_rule(3);
    rule.quota.algorithm = kind;
    for (const operation op : {operation::take, operation::take, operation::take, operation::take,
                               operation::peek, operation::take_upto, operation::refund, operation::renew}) {
      if (op == operation::renew && kind != algorithm::concurrency) continue;
      CAPTURE(static_cast<int>(kind));
      CAPTURE(static_cast<int>(op));
      waiter w(rule);
      w.charges.front().holder = kind == algorithm::concurrency ? "holder" : "";
      w.answers = 0;
      f.send(w, op);
      REQUIRE(f.run_until([&w] { return w.answered(); }));
      CHECK(w.error == errc::ok);
    }
  }
  REQUIRE(f.server.command({"SCRIPT", "FLUSH"}) == "OK");
  CHECK(f.decide() == errc::ok);
  CHECK(f.store->available());
}
