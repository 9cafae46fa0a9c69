// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/backend.hpp"

#include "limiter/redis/decide_call.hpp"
#include "limiter/stores/memory_store.hpp"
#include "tests/conformance/clock_argv.hpp"
#include "tests/support/redis_client.hpp"

#include <set>
#include <stdexcept>
#include <unistd.h>

namespace weir::tests {
namespace {

using limiter::charge;
using limiter::operation;
using limiter::store_reply;

class memory_backend final : public backend, private limiter::store_waiter {
 public:
  memory_backend() { reset(); }

  store_reply execute(operation op, std::span<const charge> charges, std::int64_t t) override {
    now_ = t;
    limiter::memory_store store(table_);
    store.execute(op, charges, *this);
    return reply_;
  }

  void reset() override {
    table_ = std::make_shared<limiter::memory_table>(
        limiter::memory_table::options{.max_keys = 10'000, .shards = 4, .clock = [this] { return now_; }});
  }

 private:
  void on_store_reply(limiter::errc error, const store_reply& reply) override {
    if (error != limiter::errc::ok) throw std::runtime_error(std::string(to_string(error)));
    reply_ = reply;
  }

  std::int64_t now_ = 0;
  std::shared_ptr<limiter::memory_table> table_;
  store_reply reply_;
};

class redis_backend final : public backend {
 public:
  redis_backend(std::string_view address, const tls_files& files) : client_(address, files) {
    const std::string script = script_with_argument_clock();
    const redis_reply loaded = client_.command({"SCRIPT", "LOAD", script});
    if (loaded->type == REDIS_REPLY_ERROR) throw std::runtime_error(std::string(loaded->str, loaded->len));
    sha_.assign(loaded->str, loaded->len);
    begin_trace();
  }
  ~redis_backend() override {
    try {
      delete_keys();
    } catch (const std::exception&) {
      // The connection is gone, and the error that ended it was reported.
    }
  }

  store_reply execute(operation op, std::span<const charge> charges, std::int64_t t) override {
    command_.clear();
    limiter::redis::append_decide(command_, "EVALSHA", sha_, prefix_, op, charges,
                                  {.estimate_us = t, .clock_us = t});
    remember_keys(charges);
    const auto integers = to_integers(*client_.exchange(command_));
    store_reply reply;
    if (!limiter::redis::parse_decide(integers, op, charges.size(), reply, 1, shadow_bits(op, charges))) {
      throw std::runtime_error("reply of the wrong shape");
    }
    return reply;
  }

  void reset() override {
    delete_keys();
    begin_trace();
  }

 private:
  void begin_trace() {
    prefix_ = "rl:conformance:" + std::to_string(::getpid()) + ":" + std::to_string(++traces_) + ":";
  }

  void remember_keys(std::span<const charge> charges) {
    for (const charge& c : charges) {
      const std::string subject = prefix_ + "1:{" + std::string(c.subject.view()) + "}";
      keys_.insert(subject);
      keys_.insert(subject + ":l" + std::string(c.matched->rid.text()));
      keys_.insert(subject + ":c" + std::string(c.matched->rid.text()));
    }
  }

  void delete_keys() {
    for (const std::string& key : keys_) client_.command({"DEL", key});
    keys_.clear();
  }

  redis_client client_;
  std::string sha_;
  std::string prefix_;
  std::string command_;
  std::set<std::string> keys_;  // every name this trace may have stored
  std::uint64_t traces_ = 0;
};

}  // namespace

std::unique_ptr<backend> open_backend(std::string_view store, const tls_files& files) {
  if (store == "memory") return std::make_unique<memory_backend>();
  return std::make_unique<redis_backend>(store, files);
}

}  // namespace weir::tests
