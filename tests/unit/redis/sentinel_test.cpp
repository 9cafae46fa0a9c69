// SPDX-License-Identifier: Apache-2.0
// A master found through sentinels, against scripted servers.
#include "store_fixture.hpp"
#include "tests/support/scripted_server.hpp"

#include <doctest/doctest.h>

using namespace weir::tests;
using weir::limiter::errc;

namespace {

using answer = scripted_server::answer;
using words = scripted_server::words;

struct fixture : store_fixture {
  fixture() {
    settings.topology = weir::limiter::redis_topology::sentinel;
    settings.master = "mymaster";
    settings.command_timeout = 500ms;
    settings.connect_timeout = 500ms;
    for (scripted_server* one : {&ignorant, &knowing}) {
      settings.nodes.push_back({.host = "127.0.0.1", .port = one->port(), .unix_path = {}});
    }
    ignorant.on_control = [](const words&) { return answer{"*-1\r\n"}; };
    knowing.on_control = [this](const words& command) {
      asked = command;
      const std::string port = std::to_string(named == &first ? ports[0] : ports[1]);
      return answer{"*2\r\n$9\r\n127.0.0.1\r\n$" + std::to_string(port.size()) + "\r\n" + port + "\r\n"};
    };
    for (scripted_server* one : {&first, &second}) {
      one->on_control = [this, one](const words& command) {
        if (command[0] != "ROLE") return scripted_server::good_control(command);
        if (master != one) return answer{"*5\r\n$5\r\nslave\r\n$1\r\nh\r\n:1\r\n$9\r\nconnected\r\n:0\r\n"};
        return answer{"*3\r\n$6\r\nmaster\r\n:1\r\n*1\r\n*3\r\n$1\r\nh\r\n$1\r\n1\r\n$1\r\n0\r\n"};
      };
    }
  }
  ~fixture() { store.reset(); }

  scripted_server ignorant{io}, knowing{io}, first{io}, second{io};
  scripted_server* named = &first;   // by the sentinels
  scripted_server* master = &first;  // in truth
  const std::uint16_t ports[2] = {first.port(), second.port()};
  words asked;
};

}  // namespace

TEST_CASE("sentinels are asked in order for the master, whose role is verified") {
  fixture f;
  f.connect();
  CHECK(f.decide() == errc::ok);
  CHECK(f.ignorant.accepted == 1);
  CHECK(f.asked == words{"SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster"});
  CHECK(f.first.decisions.size() == 1);
  CHECK(f.logged("does not know the master `mymaster`"));
}

TEST_CASE("a sentinel that wants a login gets the store's, and one that wants none does not see it") {
  fixture f;
  f.settings.username = "weir";
  f.settings.password = "secret";
  bool logged_in = false;
  const auto name = f.knowing.on_control;
  f.knowing.on_control = [&](const words& command) {
    if (command.front() == "AUTH") logged_in = command == words{"AUTH", "weir", "secret"};
    if (command.front() == "AUTH") return answer{logged_in ? "+OK\r\n" : "-WRONGPASS no\r\n"};
    return logged_in ? name(command) : answer{"-NOAUTH Authentication required.\r\n"};
  };
  f.connect();
  CHECK(f.decide() == errc::ok);
  CHECK(logged_in);
  CHECK(f.knowing.accepted == 1);  // asked again on the same connection
  CHECK(f.ignorant.controls.size() == 1);
}

TEST_CASE("a sentinel that refuses the login is named, without the login") {
  fixture f;
  f.settings.password = "secret";
  for (scripted_server* one : {&f.ignorant, &f.knowing}) {
    one->on_control = [](const words& command) {
      return answer{command.front() == "AUTH" ? "-WRONGPASS invalid username-password pair\r\n"
                                              : "-NOAUTH Authentication required.\r\n"};
    };
  }
  f.make_store();
  REQUIRE(f.run_until([&f] { return !f.log.empty(); }));
  CHECK(f.logged("refuses the store's login"));
  CHECK_FALSE(f.logged("secret"));
  CHECK(f.decide() == errc::auth);
  CHECK(f.ignorant.controls.size() >= 2);  // the question, then the login

  f.settings.password.clear();
  f.log.clear();
  f.make_store();
  REQUIRE(f.run_until([&f] { return !f.log.empty(); }));
  CHECK(f.logged("wants a login"));
}

TEST_CASE("a named master that is a replica is not used, and the sentinels are asked again") {
  fixture f;
  f.named = &f.second;
  f.make_store();
  REQUIRE(f.run_until([&f] { return f.logged("the server is no master"); }));
  CHECK(f.decide() == errc::readonly);
  f.named = &f.first;
  REQUIRE(f.wait_until_up());
  CHECK(f.decide() == errc::ok);
  CHECK(f.second.decisions.empty());
}

TEST_CASE("READONLY drops the connection and the new master is found without a restart") {
  fixture f;
  f.connect();
  REQUIRE(f.decide() == errc::ok);
  f.master = f.named = &f.second;
  f.first.on_decision = [](const words&) {
    return answer{"-READONLY You can't write against a replica.\r\n"};
  };
  CHECK(f.decide() == errc::readonly);
  const auto begin = std::chrono::steady_clock::now();
  REQUIRE(f.wait_until_up());
  CHECK(std::chrono::steady_clock::now() - begin < 2s);
  CHECK(f.decide() == errc::ok);
  CHECK(f.second.decisions.size() == 1);
  CHECK(f.store->counters().topology_changes == 1);
}

TEST_CASE("a master that is gone is looked for until there is another") {
  fixture f;
  f.connect();
  REQUIRE(f.decide() == errc::ok);
  f.first.stop();
  REQUIRE(f.wait_until_down());
  f.run_until([] { return false; }, 300ms);
  CHECK(f.decide() != errc::ok);
  f.master = f.named = &f.second;
  REQUIRE(f.wait_until_up());
  CHECK(f.decide() == errc::ok);
}

TEST_CASE("a store may be destroyed while it looks for its master") {
  fixture f;
  f.knowing.on_control = [](const words&) { return answer{}; };
  f.make_store();
  f.settle();
}
