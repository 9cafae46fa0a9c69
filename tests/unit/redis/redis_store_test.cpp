// SPDX-License-Identifier: Apache-2.0
// The store against a scripted server: faults, order, re-entrancy. Against a real one: redis_server_test.cpp.
#include "limiter/stores/redis_store.hpp"

#include "limiter/redis/link.hpp"
#include "store_fixture.hpp"
#include "tests/support/redis_server.hpp"
#include "tests/support/scripted_server.hpp"

#include <deque>
#include <doctest/doctest.h>
#include <optional>
#include <random>
#include <set>
#include <thread>

using namespace weir::tests;
using weir::limiter::errc;
using weir::limiter::operation;
using weir::limiter::redis::few_in_flight;

namespace {

struct fixture : store_fixture {
  fixture() {
    settings.port = server->port();
    // Patient: the machine may be busy. Tests of timeouts are impatient().
    settings.command_timeout = 2s;
    settings.connect_timeout = 2s;
  }
  ~fixture() { store.reset(); }

  void impatient() {
    settings.command_timeout = 200ms;
    settings.connect_timeout = 200ms;
  }
  /// The command that was sent at `begin` waited as long as it may and no longer (with room for a busy
  /// machine).
  void check_timeout(const waiter& w, std::chrono::steady_clock::time_point begin) const {
    CHECK(w.error == errc::timeout);
    CHECK(w.answered_at - begin >= settings.command_timeout);
    CHECK(w.answered_at - begin < settings.command_timeout + 100ms);
  }

  void answer_with(const std::string& bytes, bool then_close = false) {
    server->on_decision = [bytes, then_close](const auto&) {
      return scripted_server::answer{bytes, then_close};
    };
  }
  void heal() { answer_with(scripted_server::allowed()); }

  /// After a fault: back within 2 s, without traffic, and good.
  void check_recovery() {
    const auto begin = std::chrono::steady_clock::now();
    REQUIRE(wait_until_up());
    CHECK(std::chrono::steady_clock::now() - begin < 2s);
    CHECK(decide() == errc::ok);
  }

  std::optional<scripted_server> server{std::in_place, io};
};

scripted_server::answer silence(const scripted_server::words&) {
  return {};
}

}  // namespace

TEST_CASE("a store connects by itself and decides") {
  fixture f;
  f.settings.username = "weir";
  f.settings.password = "hunter2";
  f.settings.database = 2;
  f.make_store();
  CHECK_FALSE(f.store->available());
  REQUIRE(f.wait_until_up());
  REQUIRE(f.server->controls.size() == 5);
  CHECK(f.server->controls[0] == scripted_server::words{"AUTH", "weir", "hunter2"});
  CHECK(f.server->controls[1] == scripted_server::words{"SELECT", "2"});
  CHECK(f.server->controls[2] == scripted_server::words{"INFO", "server"});
  CHECK(f.server->controls[4][2] == weir::lua::decide_script());

  waiter w;
  CHECK(f.decide(w) == errc::ok);
  REQUIRE(w.states.size() == 1);
  CHECK(w.states[0].remaining == 7);
  CHECK(w.store_token == nullptr);
  REQUIRE(f.server->decisions.size() == 1);
  CHECK(f.server->decisions[0][0] == "EVALSHA");
  CHECK(f.server->decisions[0][1] == weir::lua::decide_sha1());
  CHECK(f.store->counters().connects == 1);
  CHECK(f.log.size() == 1);
  CHECK(f.logged("info: connected to redis 127.0.0.1:"));
}

TEST_CASE("all commands of one loop turn leave in one write and answers keep their order") {
  fixture f;
  f.connect();
  int remaining = 0;
  f.server->on_decision = [&remaining](const auto&) {
    return scripted_server::answer{scripted_server::allowed(remaining++)};
  };
  std::deque<waiter> waiters(300);
  for (waiter& w : waiters) f.send(w);
  CHECK(f.store->counters().batches == 0);
  REQUIRE(f.run_until([&] { return waiters.back().answered(); }));
  CHECK(f.store->counters().batches == 1);
  CHECK(f.store->counters().commands == 10);  // packs of 32
  CHECK(f.server->packs == 10);
  CHECK(f.store->counters().packed == 300);
  for (std::size_t i = 0; i < waiters.size(); ++i) {
    CAPTURE(i);
    REQUIRE(waiters[i].answers == 1);
    CHECK(waiters[i].states.at(0).remaining == static_cast<std::int64_t>(i));
  }
}

TEST_CASE("a pack is no longer than the longest reply that is read") {
  fixture f;
  f.connect();
  const auto several = [](const auto&) {
    std::string states;
    for (int i = 0; i < 8; ++i) states += ":1\r\n:7\r\n:0\r\n:9\r\n:9\r\n";
    return scripted_server::answer{"*42\r\n:1732422216123456\r\n:1\r\n" + states};
  };
  f.server->on_decision = several;
  std::deque<waiter> waiters(30);
  for (waiter& w : waiters) {
    const auto one = w.charges.front();
    w.charges.resize(8, one);
    f.send(w);
  }
  REQUIRE(f.run_until([&] { return waiters.back().answered(); }));
  CHECK(f.server->packs == 2);  // 8 integers for each of 23
  CHECK(std::all_of(waiters.begin(), waiters.end(), [](const waiter& w) { return w.error == errc::ok; }));
}

TEST_CASE("a decision that fails inside a pack is asked for alone, and the others stand") {
  fixture f;
  f.connect();
  const std::string failed = "*7\r\n:1732422216123456\r\n:-1\r\n:-1\r\n:-1\r\n:-1\r\n:-1\r\n:-1\r\n";
  std::deque<waiter> waiters(3);
  f.server->on_decision = [&](const auto&) {
    const std::size_t asked = f.server->decisions.size();
    if (asked == 2) return scripted_server::answer{failed};
    return scripted_server::answer{asked == 4 ? "-OOM command not allowed\r\n" : scripted_server::allowed()};
  };
  for (waiter& w : waiters) f.send(w);
  REQUIRE(f.run_until([&] { return waiters[1].answered(); }));
  CHECK(waiters[0].error == errc::ok);
  CHECK(waiters[1].error == errc::oom);
  CHECK(waiters[2].error == errc::ok);
  REQUIRE(f.server->decisions.size() == 4);
  CHECK(f.server->decisions[3] == f.server->decisions[1]);
  CHECK(f.server->packs == 1);
}

TEST_CASE("the script for packs is loaded once per connection, and again when it is missing") {
  fixture f;
  f.connect();
  const auto loaded = [&f] {
    return std::count_if(f.server->controls.begin(), f.server->controls.end(), [](const auto& command) {
      return command[0] == "SCRIPT" && command[2] == weir::lua::pack_script();
    });
  };
  const auto ask_for_two = [&f] {
    std::deque<waiter> two(2);
    for (waiter& w : two) f.send(w);
    REQUIRE(f.run_until([&] { return two.back().answered() && two.front().answered(); }));
    CHECK(two.back().error == errc::ok);
  };
  ask_for_two();
  ask_for_two();
  CHECK(loaded() == 1);
  bool flushed = true;
  f.server->on_decision = [&flushed](const auto&) {
    return scripted_server::answer{std::exchange(flushed, false) ? "-NOSCRIPT\r\n"
                                                                 : scripted_server::allowed()};
  };
  ask_for_two();
  ask_for_two();
  CHECK(loaded() == 2);
}

TEST_CASE("a member of a pack may withdraw another one inside its answer") {
  fixture f;
  f.connect();
  std::deque<waiter> waiters(3);
  waiters[0].then = [&] { f.store->cancel(waiters[2]); };
  for (waiter& w : waiters) f.send(w);
  REQUIRE(f.run_until([&] { return waiters[1].answered(); }));
  f.settle();
  CHECK(f.server->packs == 1);
  CHECK(waiters[2].answers == 0);
}

TEST_CASE("commands wait while an earlier write is unfinished") {
  fixture f;
  f.server.reset();
  f.server.emplace(f.io, std::uint16_t{0}, 4096);
  f.settings.port = f.server->port();
  f.settings.command_timeout = 60s;
  f.settings.max_in_flight = 40'000;
  f.connect();
  f.server->reads = false;
  f.settle();
  std::deque<waiter> waiters(30'000);
  for (waiter& w : waiters) f.send(w);
  f.settle();
  REQUIRE(f.store->counters().batches == 1);
  std::deque<waiter> later(2);
  f.send(later[0]);
  f.settle();
  f.send(later[1]);
  f.settle();
  CHECK(f.store->counters().batches == 1);
  f.server->resume();
  REQUIRE(f.run_until([&] { return later[1].answered(); }, 60s));
  CHECK(f.store->counters().batches == 2);
  CHECK(f.server->decisions.size() == 30'002);
  for (const waiter& w : waiters) REQUIRE(w.error == errc::ok);
}

TEST_CASE("while nobody listens decisions are refused at once, later the store connects without traffic") {
  fixture f;
  const auto port = f.server->port();
  f.server.reset();
  f.make_store();
  REQUIRE(f.run_until([&f] { return f.logged("warn: cannot connect to redis"); }));
  waiter w;
  f.send(w);
  CHECK(w.answers == 1);
  CHECK(w.error == errc::refused);
  CHECK(f.errors(errc::refused) == 1);
  f.run_until([] { return false; }, 300ms);
  CHECK(f.log.size() == 1);
  f.server.emplace(f.io, port);
  f.check_recovery();
}

TEST_CASE("a server that accepts and never speaks times out") {
  fixture f;
  f.impatient();
  f.server->on_control = silence;
  const auto begin = std::chrono::steady_clock::now();
  f.make_store();
  REQUIRE(f.run_until([&f] { return f.logged("no connection within connect_timeout"); }));
  CHECK(std::chrono::steady_clock::now() - begin >= f.settings.connect_timeout);
  CHECK(f.decide() == errc::timeout);
  f.server->on_control = scripted_server::good_control;
  f.check_recovery();
}

TEST_CASE("a name is resolved, an unknown one refused") {
  fixture f;
  f.settings.connect_timeout = 2s;
  f.settings.host = "localhost";
  f.connect();
  CHECK(f.decide() == errc::ok);
  f.store.reset();
  f.settings.host = "no-such-host.invalid";
  f.make_store();
  REQUIRE(f.run_until([&f] { return f.logged("cannot resolve no-such-host.invalid"); }));
  CHECK(f.decide() == errc::refused);
}

TEST_CASE("a unix path that cannot be an address is refused") {
  fixture f;
  f.settings.unix_path = "/" + std::string(200, 'x');
  f.make_store();
  REQUIRE(f.run_until([&f] { return f.logged("no address to connect to"); }));
  CHECK(f.decide() == errc::refused);
}

TEST_CASE("a failed handshake names its step, never the password") {
  struct handshake_case {
    std::string command, reply;
    errc expected;
    std::string words;
  };
  const handshake_case cases[] = {
      {"AUTH", "-WRONGPASS invalid username-password pair or user is disabled.\r\n", errc::auth,
       "AUTH refused"},
      {"AUTH", "-ERR unknown command `AUTH`, with args beginning with: `hunter2`\r\n", errc::auth,
       "AUTH refused"},
      {"INFO", "-NOAUTH Authentication required.\r\n", errc::auth, "INFO refused: NOAUTH"},
      {"INFO", "-LOADING Redis is loading the dataset in memory\r\n", errc::loading, "LOADING"},
      {"INFO", scripted_server::bulk("redis_version:6.0.16\r\n"), errc::refused, "6.0 is too old"},
      {"SCRIPT", "-BUSY Redis is busy running a script.\r\n", errc::busy, "SCRIPT LOAD refused: BUSY"},
      {"SCRIPT", "$3\r\nabc\r\n", errc::protocol, "unexpected reply to SCRIPT LOAD"},
      {"INFO", "*100000000\r\n", errc::protocol, "malformed or oversize"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.reply);
    fixture f;
    f.impatient();
    f.settings.password = "hunter2";
    f.server->on_control = [&c](const auto& command) {
      return command.front() == c.command ? scripted_server::answer{c.reply}
                                          : scripted_server::good_control(command);
    };
    f.make_store();
    REQUIRE(f.run_until([&f] { return !f.log.empty(); }));
    CHECK(f.logged(c.words));
    CHECK_FALSE(f.logged("hunter2"));
    CHECK(f.decide() == c.expected);
    f.server->on_control = scripted_server::good_control;
    f.check_recovery();
  }
}

TEST_CASE("a server that hangs up during the handshake is a closed connection") {
  fixture f;
  f.server->on_control = [](const auto&) { return scripted_server::answer{{}, true}; };
  f.make_store();
  REQUIRE(f.run_until([&f] { return !f.log.empty(); }));
  CHECK(f.decide() == errc::closed);
  f.server->on_control = scripted_server::good_control;
  f.check_recovery();
}

TEST_CASE("error replies reach their own command and keep the connection") {
  const std::pair<const char*, errc> cases[] = {
      {"-OOM command not allowed when used memory > 'maxmemory'.\r\n", errc::oom},
      {"-MISCONF Redis is configured to save RDB snapshots\r\n", errc::script},
      {"-BUSY Redis is busy running a script.\r\n", errc::busy},
      {"-MOVED 3999 127.0.0.1:6381\r\n", errc::moved},
      {"-ASK 3999 127.0.0.1:6381\r\n", errc::moved},
      {"-CROSSSLOT Keys in request\r\n", errc::moved},
      {"-ERR invalid arguments\r\n", errc::script},
  };
  fixture f;
  f.connect();
  for (const auto& [bytes, expected] : cases) {
    CAPTURE(bytes);
    const std::size_t before = f.server->decisions.size();
    f.answer_with(bytes);
    waiter w;
    CHECK(f.decide(w) == expected);
    CHECK(w.states.empty());
    CHECK(f.errors(expected) >= 1);
    f.heal();
    CHECK(f.decide() == errc::ok);
    CHECK(f.server->decisions.size() == before + 2);
    CHECK(f.server->accepted == 1);
  }
  CHECK(f.logged("answers with an error: OOM"));
  CHECK(f.log.size() == 2);
}

TEST_CASE("a server that is not ready yet is asked again inside the deadline") {
  for (const std::string text : {"-LOADING Redis is loading\r\n", "-TRYAGAIN Multiple keys\r\n",
                                 "-CLUSTERDOWN Hash slot not served\r\n"}) {
    CAPTURE(text);
    fixture f;
    f.connect();
    int asked = 0;
    f.server->on_decision = [&](const auto&) {
      return scripted_server::answer{++asked <= 2 ? text : scripted_server::allowed()};
    };
    CHECK(f.decide() == errc::ok);
    CHECK(asked == 3);
    CHECK(f.store->counters().retries == 2);
    asked = -100;
    CHECK(f.decide() != errc::ok);
    CHECK(asked == -96);  // once and three times again
  }
}

TEST_CASE("a command without permission opens the breaker, and a probe that succeeds closes it") {
  fixture f;
  f.settings.breaker.open_for = 200ms;
  f.connect();
  f.answer_with("-NOPERM this user has no permissions\r\n");
  CHECK(f.decide() == errc::auth);
  CHECK_FALSE(f.store->available());
  const std::size_t before = f.server->decisions.size();
  waiter w;
  f.send(w);
  CHECK(w.error == errc::auth);  // from inside: nobody was asked
  CHECK(f.server->decisions.size() == before);
  REQUIRE(f.run_until([&] { return f.server->decisions.size() == before + 1; }));
  CHECK(f.server->decisions.back()[4] == "peek");
  f.settle();
  CHECK_FALSE(f.store->available());
  f.heal();
  f.check_recovery();
  CHECK(f.server->accepted == 1);
  CHECK(f.store->counters().breaker_opened == 1);
  CHECK(std::count_if(f.log.begin(), f.log.end(),
                      [](const auto& line) { return line.find("NOPERM") != std::string::npos; }) == 1);
}

TEST_CASE("five failures in a row open the breaker and it answers at once until a probe succeeds") {
  fixture f;
  f.settings.breaker.open_for = 300ms;
  f.connect();
  f.answer_with("-BUSY Redis is busy running a script.\r\n");
  for (int i = 0; i < 4; ++i) CHECK(f.decide() == errc::busy);
  CHECK(f.store->available());
  f.heal();
  CHECK(f.decide() == errc::ok);  // counts anew
  f.answer_with("-BUSY Redis is busy running a script.\r\n");
  for (int i = 0; i < 5; ++i) CHECK(f.decide() == errc::busy);
  CHECK_FALSE(f.store->available());
  waiter w;
  f.send(w);
  CHECK(w.error == errc::busy);
  CHECK(w.answered());
  f.heal();
  f.check_recovery();
  CHECK(f.logged("failed 5 times in a row"));
  CHECK(f.logged("answers again"));
}

TEST_CASE(
    "time-outs that are never in a row open the breaker when more than one command in a hundred is late") {
  fixture f;
  f.impatient();
  f.settings.breaker.failures = 3;
  f.connect();
  for (int i = 0; i < 3; ++i) {
    CHECK(f.store->available());
    f.heal();
    CHECK(f.decide() == errc::ok);
    f.server->on_decision = silence;
    CHECK(f.decide() == errc::timeout);
    if (i < 2) REQUIRE(f.wait_until_up());
  }
  CHECK_FALSE(f.store->available());
  CHECK(f.logged("answers more than one command in a hundred too late"));
  CHECK(f.store->counters().breaker_opened == 1);
  f.heal();
  f.check_recovery();
}

TEST_CASE("an open breaker probes when its time has come, not when the connection is back") {
  fixture f;
  f.settings.command_timeout = 20ms;
  f.settings.breaker.open_for = 5s;
  f.connect();
  f.server->on_decision = silence;
  for (int i = 0; i < 5; ++i) {
    CHECK(f.decide() == errc::timeout);
    if (i < 4) REQUIRE(f.wait_until_up());
  }
  const std::size_t before = f.server->decisions.size();
  f.run_until([] { return false; }, 1500ms);
  CHECK(f.store->counters().idle == 1);
  CHECK_FALSE(f.store->available());
  CHECK(f.server->decisions.size() == before);
}

TEST_CASE("a decision does not wait for the reply to another") {
  fixture f;
  f.connect();
  f.server->on_decision = silence;
  std::deque<waiter> waiters(2);
  for (waiter& w : waiters) {
    f.send(w);
    f.settle();
  }
  REQUIRE(f.server->decisions.size() == 2);
  f.server->send(scripted_server::allowed(3));
  REQUIRE(f.run_until([&] { return waiters[0].answered(); }));
  CHECK_FALSE(waiters[1].answered());
  f.server->send(scripted_server::allowed(1));
  REQUIRE(f.run_until([&] { return waiters[1].answered(); }));
  CHECK(waiters[0].states.at(0).remaining == 3);
  CHECK(waiters[1].states.at(0).remaining == 1);
}

TEST_CASE("what is decided during a turn of the loop leaves at its end, in one write") {
  fixture f;
  int before = 0, after = 0;
  f.turns = {[&] { ++before; }, [&] { ++after; }};
  f.connect();
  f.store->begin_turn();
  std::deque<waiter> waiters(2);
  waiters[1].charges.front().cost = 2;
  for (waiter& w : waiters) f.send(w);
  f.settle();
  CHECK(f.server->decisions.empty());
  const auto batches = f.store->counters().batches.load();
  f.store->end_turn();
  const int handshake = before;
  REQUIRE(f.run_until([&] { return waiters[1].answered(); }));
  CHECK(f.store->counters().batches == batches + 1);
  CHECK(before > handshake);
  CHECK(after == before);
}

TEST_CASE("while much is under way equal takes are collected into one command") {
  fixture f;
  f.connect();
  f.server->on_decision = silence;
  std::deque<waiter> first(few_in_flight);
  for (waiter& w : first) {
    f.send(w);
    f.settle();
  }
  std::deque<waiter> waiters;
  for (int i = 0; i < 5; ++i) f.send(waiters.emplace_back(waiter::plenty()));
  waiter other(waiter::plenty());
  other.charges.front().cost = 2;
  f.send(other);
  f.settle();
  REQUIRE(f.server->decisions.size() == few_in_flight);
  // three of the five pass
  f.server->on_decision = [](const auto& command) {
    return scripted_server::answer{
        command[5] == "5" ? "*7\r\n:1732422216123456\r\n:3\r\n:0\r\n:0\r\n:500\r\n:1000\r\n:9\r\n"
                          : scripted_server::allowed()};
  };
  for (std::size_t i = 0; i < few_in_flight; ++i) f.server->send(scripted_server::allowed());
  REQUIRE(f.run_until([&] { return other.answered(); }));
  for (const waiter& w : first) CHECK(w.answered());
  REQUIRE(f.server->decisions.size() == few_in_flight + 2);
  CHECK(f.server->decisions[few_in_flight][5] == "5");
  CHECK(f.server->decisions[few_in_flight + 1][5] == "1");
  for (std::size_t i = 0; i < waiters.size(); ++i) {
    CAPTURE(i);
    REQUIRE(waiters[i].error == errc::ok);
    CHECK(waiters[i].states.at(0).allowed == (i < 3));
    CHECK(waiters[i].states.at(0).remaining == (i < 3 ? static_cast<std::int64_t>(2 - i) : 0));
    CHECK(waiters[i].states.at(0).retry_after_us == (i < 3 ? 0 : 500));
  }
  CHECK(f.store->counters().merged == 4);
  CHECK(f.store->counters().batches == few_in_flight + 1);
}

TEST_CASE("new credentials are used by new connections and no decision is lost") {
  fixture f;
  f.settings.password = "old";
  f.connect();
  f.server->on_decision = silence;
  waiter w;
  f.send(w);
  f.settle();
  auto changed = f.settings;
  changed.password = "new";
  f.store->update(changed);
  REQUIRE(f.run_until([&] { return f.store->counters().connects == 2; }));
  CHECK(f.server->controls[4 + 0][1] == "new");
  CHECK_FALSE(w.answered());
  f.server->send_to(0, scripted_server::allowed(3));
  REQUIRE(f.run_until([&] { return w.answered(); }));
  CHECK(w.error == errc::ok);
  f.heal();
  CHECK(f.decide() == errc::ok);
  CHECK(f.store->counters().closed[weir::limiter::redis_counters::recycled] == 1);
  CHECK(f.store->available());
  CHECK(f.server->accepted == 2);
  f.store->update(changed);
  f.settle();
  CHECK(f.server->accepted == 2);
}

TEST_CASE("calendar windows are computed anew from what the server says") {
  fixture f;
  f.connect();
  int asked = 0;
  f.server->on_decision = [&asked](const auto&) {
    return scripted_server::answer{++asked <= 2 ? "-WINDOW 1732422216123456\r\n"
                                                : scripted_server::allowed()};
  };
  CHECK(f.decide() == errc::ok);
  CHECK(asked == 3);
  asked = -10;
  CHECK(f.decide() == errc::window);
  CHECK(asked == -7);
}

TEST_CASE("a pool of connections shares the decisions") {
  fixture f;
  f.settings.pool_size = 3;
  f.make_store();
  REQUIRE(f.run_until([&] { return f.store->counters().connects == 3; }));
  CHECK(f.store->counters().idle == 3);
  f.server->on_decision = silence;
  std::deque<waiter> waiters(3 * few_in_flight);
  const auto send = [&](std::size_t i) {
    f.send(waiters[i]);
    f.settle();
  };
  for (std::size_t i = 0; i < 3; ++i) send(i);
  CHECK(f.server->decisions.size() == 3);
  CHECK(f.store->counters().busy == 3);
  for (std::size_t i = 3; i < waiters.size(); ++i) send(i);
  CHECK(f.server->decisions.size() == waiters.size());
  waiter late;
  f.send(late);
  CHECK(f.store->counters().waiting == 1);
  f.server->drop();
  REQUIRE(f.run_until([&] { return late.answered(); }));
  f.heal();
  f.check_recovery();
  REQUIRE(f.run_until([&] { return f.store->counters().idle == 3; }));
  CHECK(f.store->counters().waiting == 0);
}

TEST_CASE("a replica or a lost login costs the connection") {
  for (const auto& [bytes, expected] :
       {std::pair{"-READONLY You can't write against a read only replica.\r\n", errc::readonly},
        std::pair{"-NOAUTH Authentication required.\r\n", errc::auth}}) {
    CAPTURE(bytes);
    fixture f;
    f.impatient();
    f.connect();
    f.answer_with(bytes);
    CHECK(f.decide() == expected);
    CHECK_FALSE(f.store->available());
    CHECK(f.decide() == expected);
    f.heal();
    f.check_recovery();
    CHECK(f.server->accepted == 2);
    CHECK(std::count_if(f.server->decisions.begin(), f.server->decisions.end(),
                        [](const auto& command) { return command[4] == "take"; }) == 2);
  }
}

TEST_CASE("broken replies cost the connection and are never sent again") {
  struct broken_case {
    std::string bytes;
    bool then_close;
    errc expected;
  };
  const std::string whole = scripted_server::packed(std::vector<std::string>(3, scripted_server::allowed()));
  const std::string half = whole.substr(0, whole.size() / 2);
  const broken_case cases[] = {
      {"HTTP/1.1 400 Bad Request\r\n\r\n", false, errc::protocol},
      {"*100000000\r\n", false, errc::protocol},
      {"$999999999999\r\n", false, errc::protocol},
      {"*6\r\n:1\r\n:1\r\n:1\r\n:1\r\n:0\r\n:0\r\n", false, errc::protocol},
      {"*8\r\n", false, errc::protocol},
      {"*7\r\n:1\r\n:1\r\n:1\r\n:1\r\n:0\r\n:0\r\n$1\r\nx\r\n", false, errc::protocol},
      {"*7\r\n:1\r\n:1\r\n:1\r\n:1\r\n:0\r\n:0\r\n:3600000001\r\n", false, errc::protocol},
      {"+OK\r\n", false, errc::protocol},
      {":1\r\n", false, errc::protocol},
      {"$-1\r\n", false, errc::protocol},
      {"-" + std::string(600, 'x'), false, errc::protocol},
      {half, true, errc::closed},
      {"", true, errc::closed},
      {"", false, errc::timeout},
  };
  for (const auto& c : cases) {
    CAPTURE(c.bytes);
    fixture f;
    f.impatient();
    f.connect();
    f.answer_with(c.bytes, c.then_close);
    std::deque<waiter> waiters(3);
    for (waiter& w : waiters) f.send(w);
    REQUIRE(f.run_until([&] { return waiters.back().answered(); }));
    for (const waiter& w : waiters) {
      CHECK(w.answers == 1);
      CHECK(w.error == c.expected);
    }
    CHECK_FALSE(f.store->available());
    f.heal();
    f.check_recovery();
    CHECK(f.server->decisions.size() <= 4);
    CHECK(f.store->counters().commands == 2);
    CHECK(f.store->counters().connects == 2);
    for (const waiter& w : waiters) CHECK(w.answers == 1);
  }
}

TEST_CASE("bytes that nobody asked for cost the connection") {
  fixture f;
  f.connect();
  REQUIRE(f.decide() == errc::ok);
  f.server->send(scripted_server::allowed());
  REQUIRE(f.wait_until_down());
  CHECK(f.logged("reply to no command"));
  f.check_recovery();
}

TEST_CASE("an idle connection notices that its server left") {
  fixture f;
  f.impatient();
  f.connect();
  f.server->drop();
  REQUIRE(f.wait_until_down());
  f.check_recovery();
  f.server->drop();  // idle again after a decision
  REQUIRE(f.wait_until_down());
  CHECK(f.logged("closed by the server"));
}

TEST_CASE("a command times out on its own deadline and its late reply meets nobody") {
  fixture f;
  f.impatient();
  f.connect();
  f.server->on_decision = silence;
  waiter first;
  const auto begin = std::chrono::steady_clock::now();
  f.send(first);
  REQUIRE(f.run_until([&] { return first.answered(); }));
  f.check_timeout(first, begin);

  f.server->on_decision = silence;
  REQUIRE(f.wait_until_up());
  waiter second;
  f.send(second);
  f.settle();
  f.server->send_to(0, scripted_server::allowed(1));  // the late reply
  f.settle();
  CHECK_FALSE(second.answered());
  f.server->send_to(1, scripted_server::allowed(2));
  REQUIRE(f.run_until([&] { return second.answered(); }));
  CHECK(second.states.at(0).remaining == 2);
  CHECK(first.answers == 1);
  CHECK(f.server->decisions.size() == 2);
}

TEST_CASE("a reply that stops before its last byte times out") {
  fixture f;
  f.impatient();
  f.connect();
  const std::string good = scripted_server::allowed();
  f.answer_with(good.substr(0, good.size() - 1));
  CHECK(f.decide() == errc::timeout);
  f.heal();
  f.check_recovery();
}

TEST_CASE("the deadline follows the oldest command") {
  fixture f;
  f.impatient();
  f.connect();
  REQUIRE(f.decide() == errc::ok);  // arms the timer for a command that is answered
  f.server->on_decision = silence;
  f.run_until([] { return false; }, 30ms);
  waiter w;
  const auto begin = std::chrono::steady_clock::now();
  f.send(w);
  REQUIRE(f.run_until([&] { return w.answered(); }));
  f.check_timeout(w, begin);
}

TEST_CASE("a missing script is healed unnoticed in one more round trip") {
  fixture f;
  f.connect();
  bool loaded = false;
  f.server->on_decision = [&loaded](const auto& command) {
    loaded |= command[0] == "EVAL";
    return scripted_server::answer{loaded ? scripted_server::allowed() : "-NOSCRIPT No matching script.\r\n"};
  };
  std::deque<waiter> waiters(4);
  for (waiter& w : waiters) f.send(w);
  REQUIRE(f.run_until([&] { return waiters.back().answered(); }));
  for (const waiter& w : waiters) {
    CHECK(w.answers == 1);
    CHECK(w.error == errc::ok);
  }
  // the text travels once for all of them, and once more to stay
  std::vector<std::string> names;
  for (const auto& command : f.server->decisions) names.push_back(command[0]);
  CHECK(names == std::vector<std::string>{"EVALSHA", "EVAL", "EVALSHA", "EVALSHA", "EVALSHA"});
  CHECK(f.server->decisions[1][1] == weir::lua::decide_script());
  CHECK(f.server->controls.size() == 5);
  CHECK(f.store->counters().batches == 2);
  CHECK(f.decide() == errc::ok);
  CHECK(f.server->accepted == 1);
}

TEST_CASE("scripts flushed all the time are healed too") {
  fixture f;
  f.connect();
  f.server->on_decision = [](const auto& command) {
    return scripted_server::answer{command[0] == "EVAL" ? scripted_server::allowed() : "-NOSCRIPT\r\n"};
  };
  std::deque<waiter> waiters(5);
  for (waiter& w : waiters) f.send(w);
  REQUIRE(f.run_until([&] { return waiters.back().answered(); }));
  for (const waiter& w : waiters) CHECK(w.error == errc::ok);
}

TEST_CASE("a server that never knows the script ends in noscript") {
  fixture f;
  f.connect();
  f.answer_with("-NOSCRIPT No matching script.\r\n");
  CHECK(f.decide() == errc::noscript);
  CHECK(f.server->decisions.size() == 3);
  CHECK(f.store->available());
}

TEST_CASE("a command that nobody waits for is not sent again") {
  fixture f;
  f.connect();
  f.server->on_decision = silence;
  waiter gone;
  f.send(gone);
  f.settle();
  f.store->cancel(gone);
  f.heal();
  f.server->send("-NOSCRIPT No matching script.\r\n");
  CHECK(f.decide() == errc::ok);
  CHECK(f.server->decisions.size() == 2);
}

TEST_CASE("a healed command keeps its deadline") {
  fixture f;
  f.impatient();
  f.connect();
  f.server->on_decision = [](const auto& command) {
    return scripted_server::answer{command[0] == "EVALSHA" ? "-NOSCRIPT\r\n" : ""};
  };
  f.server->on_control = silence;
  waiter w;
  const auto begin = std::chrono::steady_clock::now();
  f.send(w);
  REQUIRE(f.run_until([&] { return w.answered(); }));
  f.check_timeout(w, begin);
}

TEST_CASE(
    "what is found long after its deadline is a leak: each is counted, the first is logged with its age") {
  fixture f;
  f.settings.command_timeout = 50ms;
  f.connect();
  f.server->on_decision = silence;
  std::deque<waiter> held(3);
  f.send(held[0]);
  f.settle();
  f.send(held[1]);
  f.send(held[2]);
  std::this_thread::sleep_for(1100ms);  // the loop stands still: nobody ends them in time
  REQUIRE(f.run_until([&] { return held[0].answered() && held[1].answered() && held[2].answered(); }));
  CHECK(held[0].error == errc::timeout);
  CHECK(f.store->counters().leaked == 3);
  const auto is_leak = [](const std::string& line) { return line.starts_with("warn: leak: "); };
  REQUIRE(std::count_if(f.log.begin(), f.log.end(), is_leak) == 1);
  const std::string& line = *std::find_if(f.log.begin(), f.log.end(), is_leak);
  const int age = std::stoi(line.substr(line.find("held for ") + 9));
  CAPTURE(line);
  CHECK(age >= 1100);
  CHECK(age < 1100 + 500);
  CHECK(line.ends_with("ms and may take 50 ms"));
  f.heal();
  REQUIRE(f.wait_until_up());
  CHECK(f.decide() == errc::ok);
  CHECK(f.store->counters().leaked == 3);
}

#ifdef WEIR_TEST_HOOKS
TEST_CASE("a call that nobody would ever end is found, reported and ended") {
  fixture f;
  f.settings.command_timeout = 50ms;
  f.connect();
  auto rule = make_rule(5);
  rule.name = "test-lose-call";
  waiter lost(rule);
  f.send(lost);
  f.run_until([] { return false; }, 900ms);
  CHECK_FALSE(lost.answered());
  CHECK(f.decide() == errc::ok);
  CHECK(f.store->counters().leaked == 0);
  REQUIRE(f.run_until([&] { return lost.answered(); }));
  CHECK(lost.error == errc::timeout);
  CHECK(f.store->counters().leaked == 1);
  CHECK(f.logged("leak: a call to redis was held for 10"));
  CHECK(f.decide() == errc::ok);
}
#endif

TEST_CASE("calls that come and go in every state leave nothing behind") {
  fixture f;
  f.settings.pool_size = 2;
  f.settings.max_in_flight = 64;
  f.connect();
  std::deque<waiter> waiters(48);
  std::minstd_rand random{7};
  for (int round = 0; round < 3000; ++round) {
    waiter& w = waiters[random() % waiters.size()];
    if (w.store_token == nullptr) {
      w.answers = 0;
      f.send(w);
    } else {
      f.store->cancel(w);
    }
    if (round % 500 == 499) f.server->drop();
    if (random() % 4 == 0) {
      f.io.restart();
      f.io.poll();
    }
  }
  for (waiter& w : waiters) f.store->cancel(w);
  REQUIRE(f.wait_until_up());
  const auto& now = f.store->counters();
  const auto closed = [&now] {
    std::uint64_t sum = 0;
    for (const auto& one : now.closed) sum += one.load();
    return sum;
  };
  REQUIRE(f.run_until([&] { return now.idle == 2 && now.busy == 0; }));
  CHECK(now.waiting == 0);
  CHECK(now.created - closed() == 2);
  CHECK(now.leaked == 0);
  std::deque<waiter> all(64);  // every place is free again
  for (waiter& w : all) f.send(w);
  REQUIRE(f.run_until([&] { return all.back().answered(); }));
  for (const waiter& w : all) CHECK(w.error == errc::ok);
}

TEST_CASE("beyond max_in_flight commands are refused at once") {
  fixture f;
  f.settings.max_in_flight = 2;
  f.connect();
  std::deque<waiter> waiters(3);
  for (waiter& w : waiters) f.send(w);
  CHECK(waiters[2].error == errc::overloaded);
  CHECK(waiters[2].answered());
  CHECK_FALSE(waiters[1].answered());
  REQUIRE(f.run_until([&] { return waiters[1].answered(); }));
  CHECK(f.decide() == errc::ok);
  CHECK(f.server->decisions.size() == 3);
}

TEST_CASE("a command cancelled before it leaves is not sent") {
  fixture f;
  f.connect();
  std::deque<waiter> waiters(3);
  for (waiter& w : waiters) f.send(w);
  f.store->cancel(waiters[1]);
  REQUIRE(f.run_until([&] { return waiters[2].answered(); }));
  CHECK(f.server->decisions.size() == 2);
  CHECK_FALSE(waiters[1].answered());
  f.store->cancel(waiters[1]);  // no longer held
}

TEST_CASE("the reply to a command cancelled after it left is dropped") {
  fixture f;
  f.connect();
  f.server->on_decision = silence;
  std::deque<waiter> waiters(2);
  {
    waiter gone;
    f.send(gone);
    for (waiter& w : waiters) f.send(w);
    f.settle();
    f.store->cancel(gone);
  }
  f.server->send(scripted_server::packed(
      {scripted_server::allowed(1), scripted_server::allowed(2), scripted_server::allowed(3)}));
  REQUIRE(f.run_until([&] { return waiters[1].answered(); }));
  CHECK(waiters[0].states.at(0).remaining == 2);
  CHECK(waiters[1].states.at(0).remaining == 3);
}

TEST_CASE("a waiter may execute and cancel inside its answer") {
  fixture f;
  f.connect();
  std::deque<waiter> waiters(4);
  waiters[0].then = [&] {
    f.store->cancel(waiters[1]);
    f.send(waiters[3]);
  };
  for (std::size_t i = 0; i < 3; ++i) f.send(waiters[i]);
  REQUIRE(f.run_until([&] { return waiters[3].answered(); }));
  CHECK(waiters[0].answers == 1);
  CHECK(waiters[1].answers == 0);
  CHECK(waiters[2].answers == 1);
  CHECK(waiters[3].error == errc::ok);
}

TEST_CASE("a waiter may execute and cancel while everything fails") {
  fixture f;
  f.connect();
  f.server->on_decision = silence;
  std::deque<waiter> waiters(4);
  waiters[0].then = [&] {
    f.store->cancel(waiters[2]);
    f.send(waiters[3]);
  };
  for (std::size_t i = 0; i < 3; ++i) f.send(waiters[i]);
  f.settle();
  f.server->drop();
  REQUIRE(f.run_until([&] { return waiters[1].answered(); }));
  CHECK(waiters[0].error == errc::closed);
  CHECK(waiters[1].error == errc::closed);
  CHECK(waiters[2].answers == 0);
  CHECK(waiters[3].answers == 1);
  CHECK(waiters[3].error == errc::closed);
}

TEST_CASE("a waiter may destroy the store inside its answer") {
  for (const std::string& bytes : {scripted_server::allowed(), std::string("-OOM\r\n"),
                                   std::string("-READONLY\r\n"), std::string("+OK\r\n"), std::string()}) {
    CAPTURE(bytes);
    fixture f;
    f.impatient();
    f.connect();
    f.answer_with(bytes);
    std::deque<waiter> waiters(2);
    waiters[0].then = waiters[1].then = [&f] { f.store.reset(); };
    for (waiter& w : waiters) f.send(w);
    REQUIRE(f.run_until([&] { return !f.store; }));
    f.settle();
    CHECK(waiters[0].answers + waiters[1].answers == 1);
  }
}

TEST_CASE("a store that is shut down forgets its waiters and answers closed") {
  fixture f;
  f.impatient();
  f.connect();
  f.server->on_decision = silence;
  std::deque<waiter> waiters(3);
  f.send(waiters[0]);
  f.settle();
  f.send(waiters[1]);
  f.store->shutdown();
  f.send(waiters[2]);
  CHECK(waiters[2].error == errc::closed);
  CHECK(waiters[2].answers == 1);
  f.run_until([] { return false; }, 300ms);
  CHECK(waiters[0].answers == 0);
  CHECK(waiters[1].answers == 0);
  CHECK_FALSE(f.store->available());
  CHECK(f.server->accepted == 1);
}

TEST_CASE("a store may be destroyed in every state of its connection") {
  SUBCASE("before the loop ran") {
    fixture f;
    f.make_store();
  }
  SUBCASE("resolving") {
    fixture f;
    f.settings.host = "localhost";
    f.make_store();
    f.io.poll();
  }
  SUBCASE("in the handshake") {
    fixture f;
    f.server->on_control = silence;
    f.make_store();
    f.settle();
    f.store.reset();
    f.settle();
  }
  SUBCASE("waiting to dial again") {
    fixture f;
    f.server.reset();
    f.make_store();
    REQUIRE(f.run_until([&f] { return !f.log.empty(); }));
  }
  SUBCASE("after its loop") {
    waiter w;
    auto f = std::make_unique<fixture>();
    f->connect();
    f->server->on_decision = silence;
    f->send(w);
  }
}
