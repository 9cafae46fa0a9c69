// SPDX-License-Identifier: Apache-2.0
#include "proxy/runtime/endpoint_resolver.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <doctest/doctest.h>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

using namespace weir;
using namespace weir::proxy;
using namespace std::chrono_literals;

namespace {

resolved_address address_of(const char* ip) {
  return literal_addresses({ip, 80, {}}).front();
}

/// A name server that hangs when it is told to. Shared with the threads that ask it.
class name_server {
 public:
  void set(const std::string& name, std::vector<resolved_address> answer) {
    const std::scoped_lock lock(mutex_);
    names_[name] = std::move(answer);
  }
  void hang(bool on) {
    const std::scoped_lock lock(mutex_);
    hanging_ = on;
    changed_.notify_all();
  }
  lookup_answer ask(const std::string& name) {
    std::unique_lock lock(mutex_);
    ++asked;
    if (name.starts_with("slow")) changed_.wait(lock, [this] { return !hanging_; });
    const auto found = names_.find(name);
    if (found == names_.end() || found->second.empty())
      return boost::system::error_code(boost::asio::error::host_not_found);
    return found->second;
  }
  std::atomic<int> asked{0};

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::vector<resolved_address>> names_;
  bool hanging_ = false;
};

struct bench {
  std::shared_ptr<name_server> names = std::make_shared<name_server>();
  boost::asio::io_context io{1};
  std::vector<std::vector<resolved_address>> changes;
  endpoint_resolver resolver{
      io,
      [this](const std::string&, std::size_t, const std::vector<resolved_address>& a) {
        changes.push_back(a);
      },
      [names = names](const std::string& host, std::uint16_t) { return names->ask(host); }};

  ~bench() { names->hang(false); }

  static std::shared_ptr<settings> config_for(std::vector<std::string> hosts, milliseconds interval = 10s) {
    auto config = std::make_shared<settings>();
    for (const std::string& host : hosts) {
      upstream_settings u;
      u.name = "u" + host;
      u.endpoints.push_back({{host, 80, {}}, host, 1});
      u.resolve_interval = interval;
      u.resolve_timeout = 200ms;
      config->upstreams.push_back(u);
    }
    return config;
  }
  resolved_endpoints resolve(const std::shared_ptr<settings>& config) {
    std::optional<resolved_endpoints> found;
    resolver.resolve_all(config, [&found](resolved_endpoints addresses) { found = std::move(addresses); });
    REQUIRE(until([&] { return found.has_value(); }));
    return *found;
  }
  template <class Condition>
  bool until(Condition done, std::chrono::milliseconds patience = 5s) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (!done() && std::chrono::steady_clock::now() < deadline) {
      io.restart();
      io.run_one_for(10ms);
    }
    return done();
  }
};

}  // namespace

TEST_CASE_FIXTURE(bench, "a name that hangs costs its deadline and holds no other one up") {
  names->hang(true);
  names->set("app", {address_of("127.0.0.1")});
  names->set("slow", {address_of("127.0.0.2")});
  const auto found = resolve(config_for({"slow", "app", "127.0.0.9", "slow-too", "unknown"}));
  CHECK(found[0][0].empty());
  CHECK(found[1][0] == std::vector{address_of("127.0.0.1")});
  CHECK(found[2][0] == std::vector{address_of("127.0.0.9")});
  CHECK(found[3][0].empty());
  CHECK(found[4][0].empty());
}

TEST_CASE_FIXTURE(bench, "a changed answer is told once, another order or a failure is not") {
  names->set("app", {address_of("127.0.0.1"), address_of("127.0.0.2")});
  const auto config = config_for({"app"}, 20ms);
  resolver.watch(config, resolve(config));
  const auto asked_again = [this](int times) {
    const int wanted = names->asked + times;
    REQUIRE(until([&] { return names->asked >= wanted; }));
  };
  asked_again(2);
  names->set("app", {address_of("127.0.0.2"), address_of("127.0.0.1")});
  asked_again(2);
  names->set("app", {});
  asked_again(2);
  CHECK(changes.empty());
  names->set("app", {address_of("127.0.0.3")});
  REQUIRE(until([&] { return !changes.empty(); }));
  asked_again(3);
  REQUIRE(changes.size() == 1);
  CHECK(changes[0] == std::vector{address_of("127.0.0.3")});
}

TEST_CASE_FIXTURE(bench,
                  "an answer that comes after its deadline is dropped and the name is asked for again") {
  names->set("slow", {address_of("127.0.0.1")});
  const auto config = config_for({"slow"}, 30ms);
  resolver.watch(config, resolve(config));
  names->hang(true);
  names->set("slow", {address_of("127.0.0.2")});
  const int before = names->asked;
  REQUIRE(until([&] { return names->asked >= before + 2; }));  // the first of them has timed out
  CHECK(changes.empty());
  names->hang(false);
  REQUIRE(until([&] { return !changes.empty(); }));
  CHECK(changes.back() == std::vector{address_of("127.0.0.2")});
}

TEST_CASE_FIXTURE(bench, "an endpoint that cannot be reached has its name looked up within a second or so") {
  names->set("app", {address_of("127.0.0.1")});
  const auto config = config_for({"app"}, 1h);
  resolver.watch(config, resolve(config));
  names->set("app", {address_of("127.0.0.2")});
  const int before = names->asked;
  for (int i = 0; i < 100; ++i) resolver.hurry({"app", 80, {}});
  REQUIRE(until([&] { return !changes.empty(); }));
  CHECK(names->asked == before + 1);
  resolver.hurry({"other", 80, {}});
}

TEST_CASE_FIXTURE(bench, "a reload takes what is known and asks for new names only") {
  names->set("app", {address_of("127.0.0.1")});
  const auto config = config_for({"app"});
  resolver.watch(config, resolve(config));
  names->set("app", {});
  names->set("new", {address_of("127.0.0.5")});
  const int before = names->asked;
  const auto found = resolve(config_for({"app", "new"}));
  CHECK(found[0][0] == std::vector{address_of("127.0.0.1")});
  CHECK(found[1][0] == std::vector{address_of("127.0.0.5")});
  CHECK(names->asked == before + 1);
}

TEST_CASE_FIXTURE(bench, "of two reloads only the later one is told") {
  names->set("app", {address_of("127.0.0.1")});
  int first = 0, second = 0;
  resolver.resolve_all(config_for({"app"}), [&](const resolved_endpoints&) { ++first; });
  resolver.resolve_all(config_for({"app"}), [&](const resolved_endpoints&) { ++second; });
  REQUIRE(until([&] { return second == 1; }));
  (void)until([] { return false; }, 100ms);
  CHECK(first == 0);
}

TEST_CASE("a look-up that hangs does not hold up the end") {
  auto names = std::make_shared<name_server>();
  names->hang(true);
  const auto begin = std::chrono::steady_clock::now();
  {
    boost::asio::io_context io{1};
    name_lookup lookup(io, [names](const std::string& host, std::uint16_t) { return names->ask(host); });
    for (int i = 0; i < name_lookup::most_threads; ++i)
      lookup.ask("slow", 80, 1h, [](lookup_answer) { FAIL(""); });
    bool refused = false;
    lookup.ask("app", 80, 1h, [&](const lookup_answer& answer) { refused = answer.has_error(); });
    io.run_for(50ms);
    CHECK(refused);
  }
  CHECK(std::chrono::steady_clock::now() - begin < 5s);
  names->hang(false);
}
