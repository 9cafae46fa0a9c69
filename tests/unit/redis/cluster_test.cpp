// SPDX-License-Identifier: Apache-2.0
// Slots, redirections and requests over several slots, against scripted nodes.
#include "limiter/redis/slots.hpp"
#include "store_fixture.hpp"
#include "tests/support/scripted_server.hpp"

#include <deque>
#include <doctest/doctest.h>

using namespace weir::tests;
using weir::limiter::errc;
using weir::limiter::operation;
using weir::limiter::redis::hash_slot;

namespace {

using answer = scripted_server::answer;
using words = scripted_server::words;

std::string denied() {
  return "*7\r\n:1732422216123456\r\n:0\r\n:0\r\n:0\r\n:700\r\n:1000\r\n:5\r\n";
}

/// Two nodes: `low` has the slots below `border`, `high` the others.
struct fixture : store_fixture {
  fixture() {
    settings.topology = weir::limiter::redis_topology::cluster;
    settings.command_timeout = 2s;
    settings.connect_timeout = 2s;
    settings.nodes.push_back({.host = "127.0.0.1", .port = low.port(), .unix_path = {}});
    for (scripted_server* node : {&low, &high}) {
      node->on_control = [this](const words& command) {
        if (command[0] != "CLUSTER") return scripted_server::good_control(command);
        ++maps;
        return answer{map()};
      };
      node->on_decision = [this, node](const words& command) { return decide_at(*node, command); };
    }
  }
  ~fixture() { store.reset(); }

  std::string map() const {
    const auto range = [](int first, int last, int port) {
      return "*3\r\n:" + std::to_string(first) + "\r\n:" + std::to_string(last) +
             "\r\n*2\r\n$9\r\n127.0.0.1\r\n:" + std::to_string(port) + "\r\n";
    };
    if (border == 0) return "*1\r\n" + range(0, 16383, high.port());
    return "*2\r\n" + range(0, border - 1, low.port()) + range(border, 16383, high.port());
  }

  answer decide_at(const scripted_server& node, const words& command) {
    const int slot = hash_slot(command[3]);
    const bool here = (&node == &low) == (slot < truth);
    if (!here) {
      const auto port = &node == &low ? high.port() : low.port();
      return {"-MOVED " + std::to_string(slot) + " 127.0.0.1:" + std::to_string(port) + "\r\n"};
    }
    return {on_take ? on_take(node, command) : scripted_server::allowed()};
  }

  /// A subject whose slot is below (or not) the middle.
  static void place(waiter& w, bool is_low, std::size_t charge = 0) {
    auto& text = w.charges[charge].subject.text;
    for (char c = 'a';; ++c) {
      text.fill(c);
      if ((hash_slot(w.charges[charge].subject.view()) < 8192) == is_low) return;
    }
  }
  errc decide_on(bool is_low) {
    waiter w;
    place(w, is_low);
    return decide(w);
  }
  /// A request over both nodes.
  waiter both() {
    waiter w;
    w.charges.push_back(w.charges.front());
    w.charges[1].cost = 3;
    place(w, true, 0);
    place(w, false, 1);
    return w;
  }
  static std::size_t count(const scripted_server& node, std::string_view op) {
    return static_cast<std::size_t>(std::count_if(node.decisions.begin(), node.decisions.end(),
                                                  [op](const words& c) { return c[4] == op; }));
  }

  scripted_server low{io}, high{io};
  int border = 8192;  // what the map says
  int truth = 8192;   // what the nodes say
  int maps = 0;
  std::function<std::string(const scripted_server&, const words&)> on_take;
};

}  // namespace

TEST_CASE("a cluster is learned from one node and every slot's node is asked") {
  fixture f;
  f.connect();
  CHECK(f.decide_on(true) == errc::ok);
  CHECK(f.decide_on(false) == errc::ok);
  CHECK(f.low.decisions.size() == 1);
  CHECK(f.high.decisions.size() == 1);
  CHECK(f.store->counters().redirects == 0);
  CHECK(f.maps == 1);
}

TEST_CASE("MOVED is followed, remembered, and makes the map be asked for at most once a second") {
  fixture f;
  f.connect();
  f.truth = 0;
  for (int i = 0; i < 5; ++i) CHECK(f.decide_on(true) == errc::ok);
  CHECK(f.store->counters().redirects == 1);
  CHECK(f.high.decisions.size() == 5);
  CHECK(f.maps == 1);
  f.border = 0;
  REQUIRE(f.run_until([&f] { return f.maps == 2; }));
  f.settle();
  CHECK(f.decide_on(true) == errc::ok);
  CHECK(f.store->counters().redirects == 1);
  CHECK(f.store->available());
}

TEST_CASE("ASK sends ASKING and the call once, and the slot stays where it is") {
  fixture f;
  f.connect();
  f.on_take = [&f](const scripted_server& node, const words&) {
    return &node == &f.low ? "-ASK 1 127.0.0.1:" + std::to_string(f.high.port()) + "\r\n"
                           : scripted_server::allowed();
  };
  f.high.on_decision = [](const words&) { return answer{scripted_server::allowed(3)}; };
  waiter w;
  fixture::place(w, true);
  CHECK(f.decide(w) == errc::ok);
  CHECK(w.states.at(0).remaining == 3);
  CHECK(f.high.controls.back() == words{"ASKING"});
  CHECK(f.decide_on(true) == errc::ok);
  CHECK(f.low.decisions.size() == 2);
  CHECK(f.maps == 1);
}

TEST_CASE("nodes that send to each other are given up after two redirections") {
  fixture f;
  f.connect();
  f.truth = 0;
  f.high.on_decision = [&f](const words&) {
    return answer{"-MOVED 1 127.0.0.1:" + std::to_string(f.low.port()) + "\r\n"};
  };
  CHECK(f.decide_on(true) == errc::moved);
  CHECK(f.store->counters().redirects == 2);
}

TEST_CASE("a request over two slots asks both at once and passes when both allow") {
  fixture f;
  f.connect();
  waiter w = f.both();
  CHECK(f.decide(w) == errc::ok);
  REQUIRE(w.states.size() == 2);
  CHECK(w.states[0].allowed);
  CHECK(w.states[1].allowed);
  CHECK(f.low.decisions.size() == 1);
  CHECK(f.high.decisions.size() == 1);
  CHECK(f.store->counters().refunds == 0);
}

TEST_CASE("when one slot denies, what the other took is given back once, as of then") {
  fixture f;
  f.connect();
  f.on_take = [&f](const scripted_server& node, const words&) {
    return &node == &f.low ? denied() : scripted_server::allowed(7);
  };
  waiter w = f.both();
  CHECK(f.decide(w) == errc::ok);
  CHECK_FALSE(w.states.at(0).allowed);
  CHECK(w.states.at(0).retry_after_us == 700);
  CHECK(w.states.at(1).allowed);
  CHECK(w.states.at(1).remaining == 10);
  REQUIRE(f.run_until([&f] { return fixture::count(f.high, "refund") == 1; }));
  f.settle();
  CHECK(fixture::count(f.high, "refund") == 1);
  CHECK(fixture::count(f.low, "refund") == 0);
  const words& refund = f.high.decisions.back();
  CHECK(refund[9] == "3");                   // the cost
  CHECK(refund[10] == "-1732422216123456");  // when it was charged
}

TEST_CASE("a silent slot is told per rule, and the others stay charged") {
  fixture f;
  f.settings.command_timeout = 200ms;
  f.connect();
  f.on_take = [&f](const scripted_server& node, const words&) {
    return &node == &f.low ? std::string() : scripted_server::allowed(7);
  };
  waiter w = f.both();
  CHECK(f.decide(w) == errc::ok);
  CHECK(w.failures == std::vector{errc::timeout, errc::ok});
  CHECK(w.states.at(1).allowed);
  CHECK(f.errors(errc::timeout) == 1);
  f.settle();
  CHECK(f.store->counters().refunds == 0);
  waiter refund;
  refund.charges = {w.charges[1]};
  f.store->execute(operation::refund, refund.charges, refund);
  REQUIRE(f.run_until([&f] { return fixture::count(f.high, "refund") == 1; }));
}

TEST_CASE("a denial beside a silent slot gives back only what is known to be taken") {
  fixture f;
  f.settings.command_timeout = 200ms;
  f.connect();
  f.on_take = [&f](const scripted_server& node, const words&) {
    return &node == &f.low ? std::string() : denied();
  };
  waiter w = f.both();
  CHECK(f.decide(w) == errc::ok);
  CHECK(w.failures == std::vector{errc::timeout, errc::ok});
  CHECK_FALSE(w.states.at(1).allowed);
  f.on_take = nullptr;
  REQUIRE(f.wait_until_up());
  f.settle();
  CHECK(fixture::count(f.low, "refund") + fixture::count(f.high, "refund") == 0);
}

TEST_CASE("when no slot answers the request has no answer") {
  fixture f;
  f.settings.command_timeout = 200ms;
  f.connect();
  f.on_take = [](const scripted_server&, const words&) { return std::string(); };
  waiter w = f.both();
  CHECK(f.decide(w) == errc::timeout);
  CHECK(w.states.empty());
}

TEST_CASE("a client that leaves a request over two slots leaves nothing charged by halves") {
  fixture f;
  f.connect();
  f.on_take = [](const scripted_server&, const words&) { return std::string(); };
  {
    waiter w = f.both();
    f.send(w);
    REQUIRE(f.run_until([&f] { return f.low.decisions.size() == 1 && f.high.decisions.size() == 1; }));
    f.store->cancel(w);
  }
  f.on_take = nullptr;
  f.low.send(denied());
  f.high.send(scripted_server::allowed());
  REQUIRE(f.run_until([&f] { return fixture::count(f.high, "refund") == 1; }));
  CHECK(fixture::count(f.low, "refund") == 0);
}

TEST_CASE("a node that dies fails only its slots, and a new map brings them back") {
  fixture f;
  f.settings.command_timeout = 200ms;
  f.settings.connect_timeout = 200ms;
  f.connect();
  f.low.stop();
  REQUIRE(f.wait_until_down());
  CHECK(f.decide_on(true) != errc::ok);
  CHECK(f.decide_on(false) == errc::ok);
  f.border = f.truth = 0;
  const auto begin = std::chrono::steady_clock::now();
  REQUIRE(f.wait_until_up());
  CHECK(std::chrono::steady_clock::now() - begin < 2s);
  CHECK(f.decide_on(true) == errc::ok);
  CHECK(f.store->counters().topology_changes == 1);
}
