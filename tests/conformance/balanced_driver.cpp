// SPDX-License-Identifier: Apache-2.0
// balanced_driver --store unix:PATH: four processes' worth of the product's stores (a thread, a loop and a
// connection each) share a budget of 30,000 per second at 148 % load on a real Redis, first strict, then
// balanced. Prints what each cost and admitted; the last line is `N passed, N failed`.
#include "limiter/sharing/sharing_store.hpp"
#include "limiter/stores/memory_store.hpp"
#include "limiter/stores/redis_store.hpp"
#include "tests/support/redis_client.hpp"

#include <algorithm>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace weir::limiter;
using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

constexpr int processes = 4;
constexpr std::int64_t budget = 30'000;
constexpr double offered_per_second = 1.48 * budget;

std::int64_t now_us() {
  return std::chrono::duration_cast<std::chrono::microseconds>(steady::now().time_since_epoch()).count();
}

/// One process: offers its part of the load until the end, then gives back what it holds.
class process {
 public:
  process(const std::string& socket, const rule& r, int number)
      : rule_(r),
        table_(std::make_shared<memory_table>(memory_table::options{.max_keys = 1000, .clock = {}})),
        own_(table_),
        share_(own_, static_cast<std::uint64_t>(number)),
        redis_(io_, to_settings(socket),
               [](auto level, auto message) {
                 if (level == "warn") std::printf("%s\n", std::string(message).c_str());
               }),
        sharing_(redis_, share_, now_us, {.seed = static_cast<std::uint64_t>(number) + 1}),
        timer_(io_) {
    sharing_.set_members(processes);
  }

  void run(steady::time_point begin, steady::time_point end) {
    begin_ = begin;
    end_ = end;
    timer_.expires_at(begin);
    timer_.async_wait([this](const auto&) { tick(); });
    io_.run();
  }

  std::int64_t offered = 0, admitted = 0, failed = 0;

 private:
  struct request final : store_waiter {
    void on_store_reply(errc error, const store_reply& reply) override {
      if (error != errc::ok) {
        if (owner->failed++ == 0) std::printf("a call failed: %s\n", std::string(to_string(error)).c_str());
      } else if (reply.states.front().allowed) {
        ++owner->admitted;
      }
      owner->idle_.push_back(this);
    }
    process* owner = nullptr;
    charge what;
  };

  static redis_settings to_settings(const std::string& socket) {
    redis_settings s;
    s.host.clear();
    s.unix_path = socket;
    s.connect_timeout = s.command_timeout = 2s;
    s.max_in_flight = 100'000;
    return s;
  }

  void tick() {
    sharing_.maintain();
    const auto now = steady::now();
    if (now >= end_) return finish();
    if (!sharing_.available()) begin_ = now;  // not connected yet
    const std::chrono::duration<double> elapsed = now - begin_;
    const auto due = static_cast<std::int64_t>(elapsed.count() * offered_per_second / processes);
    for (; offered < due; ++offered) ask();
    timer_.expires_after(1ms);
    timer_.async_wait([this](const auto&) { tick(); });
  }

  void ask() {
    if (idle_.empty()) {
      requests_.emplace_back();
      idle_.push_back(&requests_.back());
    }
    request& r = *idle_.back();
    idle_.pop_back();
    r.owner = this;
    r.what = {.matched = &rule_, .subject = hash_subject("budget")};
    sharing_.execute(operation::take, {&r.what, 1}, r);
  }

  void finish() {
    sharing_.drain();
    timer_.expires_after(300ms);
    timer_.async_wait([this](const auto&) {
      redis_.shutdown();
      io_.stop();
    });
  }

  boost::asio::io_context io_{1};
  const rule rule_;
  std::shared_ptr<memory_table> table_;
  memory_store own_;
  local_share share_;
  std::deque<request> requests_;
  std::vector<request*> idle_;
  redis_store redis_;
  sharing_store sharing_;
  boost::asio::steady_timer timer_;
  steady::time_point begin_, end_;
};

std::int64_t evaluations(weir::tests::redis_client& client) {
  const auto reply = client.command({"INFO", "commandstats"});
  const std::string_view text(reply->str, reply->len);
  const auto at = text.find("cmdstat_evalsha:calls=");
  return at == std::string_view::npos ? 0 : std::stoll(std::string(text.substr(at + 22, 20)));
}

struct result {
  double seconds = 0;
  std::int64_t offered = 0, admitted = 0, failed = 0, evaluations = 0;
  [[nodiscard]] double admitted_of_ideal() const {
    return static_cast<double>(admitted) / (static_cast<double>(budget) * (1 + seconds));
  }
};

result run(const std::string& socket, sharing_mode mode, std::chrono::seconds length) {
  weir::tests::redis_client client("unix:" + socket);
  client.command({"FLUSHALL"});
  client.command({"CONFIG", "RESETSTAT"});
  rule r;
  r.name = "budget";
  r.rid = make_rule_id(r.name);
  r.quota = {.limit = budget, .period_us = 1'000'000, .burst = budget};
  r.sharing = mode;
  std::vector<std::unique_ptr<process>> all;
  for (int i = 0; i < processes; ++i) all.push_back(std::make_unique<process>(socket, r, i));
  const auto begin = steady::now() + 100ms;
  std::vector<std::thread> threads;
  for (const auto& p : all) threads.emplace_back([&p, begin, length] { p->run(begin, begin + length); });
  for (std::thread& t : threads) t.join();
  result sum;
  sum.seconds = std::chrono::duration<double>(length).count();
  for (const auto& p : all) {
    sum.offered += p->offered;
    sum.admitted += p->admitted;
    sum.failed += p->failed;
  }
  sum.evaluations = evaluations(client);
  std::printf(
      "%-9s %6.1f s  offered %8lld  admitted %8lld (%.2f %% of ideal)  failed %lld  evaluations %8lld "
      "(%.0f/s)\n",
      mode == sharing_mode::balanced ? "balanced" : "strict", sum.seconds,
      static_cast<long long>(sum.offered), static_cast<long long>(sum.admitted),
      100 * sum.admitted_of_ideal(), static_cast<long long>(sum.failed),
      static_cast<long long>(sum.evaluations), static_cast<double>(sum.evaluations) / sum.seconds);
  std::fflush(stdout);
  return sum;
}

int passed = 0, failures = 0;
void check(bool good, const char* what) {
  (good ? passed : failures)++;
  if (!good) std::printf("FAILED  %s\n", what);
}

}  // namespace

int main(int argc, char** argv) {
  std::string socket;
  for (int i = 1; i + 1 < argc; ++i) {
    if (std::strcmp(argv[i], "--store") == 0) socket = argv[i + 1];
  }
  if (!socket.starts_with("unix:")) {
    std::fputs("usage: balanced_driver --store unix:PATH\n", stderr);
    return 2;
  }
  socket.erase(0, 5);
  const result strict = run(socket, sharing_mode::strict, 3s);
  const result balanced = run(socket, sharing_mode::balanced, 10s);
  const double strict_rate = static_cast<double>(strict.evaluations) / strict.seconds;
  const double balanced_rate = static_cast<double>(balanced.evaluations) / balanced.seconds;
  check(strict.failed == 0 && balanced.failed == 0, "a call failed");
  // the last requests are offered a few milliseconds after the end
  check(strict.admitted_of_ideal() <= 1.02, "strict admits more than burst + rate * time");
  check(balanced_rate * 20 <= strict_rate,
        "balanced costs more than a twentieth of the evaluations of strict");
  check(balanced.admitted_of_ideal() >= 0.97, "balanced admits less than 97 % of the ideal");
  check(balanced.admitted_of_ideal() <= 1.02, "balanced admits more than burst + rate * time + leases");
  std::printf("%d passed, %d failed\n", passed, failures);
  return failures == 0 ? 0 : 1;
}
