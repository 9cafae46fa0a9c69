// SPDX-License-Identifier: Apache-2.0
#include "proxy/cli/peek_store.hpp"

#include "limiter/answers.hpp"

#include <algorithm>

namespace weir::cli {
namespace {

/// An answer that comes later than execute().
struct late_answer final : limiter::store_waiter {
  void on_store_reply(limiter::errc error, const limiter::store_reply& answer) override {
    failure = error;
    reply = answer;
    came = true;
  }
  limiter::errc failure = limiter::errc::timeout;
  limiter::store_reply reply;
  bool came = false;
};

}  // namespace

peek_store::peek_store(const limiter::redis_settings& settings)
    : redis_(io_, settings, [](std::string_view, std::string_view) {}) {}

peek_store::~peek_store() {
  redis_.shutdown();
}

bool peek_store::connect(std::chrono::milliseconds patience) {
  const auto until = std::chrono::steady_clock::now() + patience;
  while (!redis_.available() && std::chrono::steady_clock::now() < until) {
    io_.restart();
    io_.run_for(std::chrono::milliseconds{5});
  }
  return redis_.available();
}

void peek_store::execute(limiter::operation, std::span<const limiter::charge> charges,
                         limiter::store_waiter& waiter) {
  constexpr std::chrono::seconds patience{2};  // longer than any command_timeout is useful
  late_answer answer;
  redis_.execute(limiter::operation::peek, charges, answer);
  const auto until = std::chrono::steady_clock::now() + patience;
  while (!answer.came && std::chrono::steady_clock::now() < until) {
    io_.restart();
    io_.run_for(std::chrono::milliseconds{5});
  }
  if (!answer.came) redis_.cancel(answer);
  failure_ = answer.failure;
  waiter.on_store_reply(answer.failure, answer.reply);
}

}  // namespace weir::cli
