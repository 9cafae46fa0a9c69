// SPDX-License-Identifier: Apache-2.0
// A redis_store on a loop that the test drives.
#pragma once

#include "limiter/redis/reconnect.hpp"
#include "limiter/stores/redis_store.hpp"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <doctest/doctest.h>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace weir::tests {

using namespace std::chrono_literals;

inline limiter::rule make_rule(std::int64_t limit, std::int64_t period_us = 3'600'000'000) {
  limiter::rule r;
  r.name = "test";
  r.rid = limiter::make_rule_id(r.name);
  r.quota = {.limit = limit, .period_us = period_us, .burst = limit};
  return r;
}

/// One decision: remembers its answer.
struct waiter final : limiter::store_waiter {
  /// A subject of its own: merged with nobody.
  waiter() : waiter(plenty()) {
    static std::uint32_t number = 0;
    const std::string digits = std::to_string(++number);
    std::copy(digits.begin(), digits.end(), charges.front().subject.text.begin());
  }
  /// The same subject for all.
  explicit waiter(const limiter::rule& matched) {
    charges.push_back({.matched = &matched, .subject = {}, .cost = 1});
    charges.front().subject.text.fill('s');
  }

  void on_store_reply(limiter::errc e, const limiter::store_reply& reply) override {
    ++answers;
    error = e;
    states.assign(reply.states.begin(), reply.states.end());
    failures.assign(reply.failures.begin(), reply.failures.end());
    answered_at = std::chrono::steady_clock::now();
    if (then) then();
  }
  [[nodiscard]] bool answered() const { return answers > 0; }

  static const limiter::rule& plenty() {
    static const limiter::rule rule = make_rule(1'000'000);
    return rule;
  }

  limiter::charge_list charges;
  int answers = 0;
  limiter::errc error = limiter::errc::ok;
  std::vector<limiter::rule_state> states;
  std::vector<limiter::errc> failures;
  std::chrono::steady_clock::time_point answered_at;
  std::function<void()> then;
};

struct store_fixture {
  /// Drives the loop until `done`, at most 5 s.
  bool run_until(const std::function<bool()>& done, std::chrono::milliseconds patience = 5s) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (!done()) {
      if (std::chrono::steady_clock::now() >= deadline) return false;
      io.restart();
      io.run_one_for(10ms);
    }
    return true;
  }

  /// Everything that is ready now.
  void settle() {
    io.restart();
    io.run_for(20ms);
  }

  void make_store() {
    store = std::make_unique<limiter::redis_store>(
        io, settings,
        [this](std::string_view level, std::string_view message) {
          log.push_back(std::string(level) + ": " + std::string(message));
        },
        std::make_shared<limiter::redis::dial_limiter>(), turns);
  }

  void connect() {
    make_store();
    REQUIRE(wait_until_up());
  }
  bool wait_until_up() {
    return run_until([this] { return store->available(); });
  }
  bool wait_until_down() {
    return run_until([this] { return !store->available(); });
  }

  void send(waiter& w, limiter::operation op = limiter::operation::take) { store->execute(op, w.charges, w); }

  /// One decision from beginning to end.
  limiter::errc decide() {
    waiter w;
    return decide(w);
  }
  limiter::errc decide(waiter& w) {
    w.answers = 0;
    send(w);
    REQUIRE(run_until([&w] { return w.answered(); }));
    return w.error;
  }

  [[nodiscard]] std::uint64_t errors(limiter::errc e) const {
    return store->counters().errors[static_cast<std::size_t>(e)].load();
  }
  [[nodiscard]] bool logged(std::string_view text) const {
    return std::any_of(log.begin(), log.end(),
                       [text](const std::string& line) { return line.find(text) != std::string::npos; });
  }

  boost::asio::io_context io{1};
  limiter::redis_settings settings;
  limiter::redis::loop_turns turns;
  std::vector<std::string> log;
  std::unique_ptr<limiter::redis_store> store;
};

}  // namespace weir::tests
