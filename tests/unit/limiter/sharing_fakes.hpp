// SPDX-License-Identifier: Apache-2.0
// A shared store with a virtual clock for the tests of limiter/sharing: a memory table behind a wire that
// delivers when it is told to.
#pragma once

#include "limiter/sharing/sharing_store.hpp"
#include "limiter/stores/memory_store.hpp"

#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace weir::limiter::testing {

constexpr std::int64_t second = 1'000'000;
constexpr std::int64_t start_us = 1'000 * second;

inline rule make_rule(std::uint32_t index, quota q, sharing_mode sharing = sharing_mode::strict,
                      failure_mode mode = failure_mode::local) {
  rule r;
  r.name = "r" + std::to_string(index);
  r.rid = make_rule_id(r.name);
  r.index = index;
  r.quota = q;
  r.sharing = sharing;
  r.failure_mode = mode;
  return r;
}

inline subject_key subject(int number) {
  return hash_subject("s" + std::to_string(number));
}

struct virtual_time {
  std::int64_t now_us = start_us;
};

/// Calls wait until deliver(); the table decides at that moment.
class wire final : public store {
 public:
  explicit wire(virtual_time& time)
      : table(std::make_shared<memory_table>(memory_table::options{
            .max_keys = 100'000, .shards = 1, .clock = [&time] { return time.now_us; }})) {}

  struct call {
    operation op;
    std::vector<charge> charges;
    store_waiter* waiter;
  };

  void execute(operation op, std::span<const charge> charges, store_waiter& waiter) override {
    ++calls;
    if (op == operation::refund) ++refunds;
    if (op == operation::take_upto) ++grants;
    names.emplace_back(charges.front().subject_name());
    if (down != errc::ok) return waiter.on_store_reply(down, {});
    waiting.push_back({op, {charges.begin(), charges.end()}, &waiter});
    if (at_once) deliver();
  }
  void cancel(store_waiter& waiter) noexcept override {
    for (call& c : waiting) {
      if (c.waiter == &waiter) c.waiter = nullptr;
    }
  }
  [[nodiscard]] bool available() const noexcept override { return down == errc::ok; }

  void deliver() {
    while (!waiting.empty()) {
      const call next = std::move(waiting.front());
      waiting.pop_front();
      store_reply reply;
      table->execute(next.op, next.charges, reply);
      if (next.waiter != nullptr) next.waiter->on_store_reply(errc::ok, reply);
    }
  }

  std::shared_ptr<memory_table> table;
  std::deque<call> waiting;
  bool at_once = true;
  errc down = errc::ok;
  int calls = 0, refunds = 0, grants = 0;
  std::vector<std::string> names;  // of the first subject of each call
};

struct answer final : store_waiter {
  void on_store_reply(errc e, const store_reply& r) override {
    ++answers;
    error = e;
    reply = r;
  }
  [[nodiscard]] bool allowed() const {
    bool all = error == errc::ok && answers > 0;
    for (const rule_state& s : reply.states) all = all && s.allowed;
    return all;
  }
  int answers = 0;
  errc error = errc::ok;
  store_reply reply;
};

/// One process: a sharing store over a wire.
struct process {
  explicit process(virtual_time& t, sharing_store::options o = {})
      : time(t),
        shared(t),
        local_table(std::make_shared<memory_table>(
            memory_table::options{.max_keys = 100'000, .shards = 1, .clock = [&t] { return t.now_us; }})),
        local_store(local_table),
        local(local_store, 7),
        sharing(
            shared, local, [&t] { return t.now_us; }, o) {}

  answer take(std::vector<charge> charges) {
    answer a;
    sharing.execute(operation::take, charges, a);
    return a;
  }
  answer take(const rule& r, int who = 1, std::int64_t cost = 1) {
    return take({{.matched = &r, .subject = subject(who), .cost = cost}});
  }

  virtual_time& time;
  wire shared;
  std::shared_ptr<memory_table> local_table;
  memory_store local_store;
  local_share local;
  sharing_store sharing;
};

}  // namespace weir::limiter::testing
