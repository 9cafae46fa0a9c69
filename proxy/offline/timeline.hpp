// SPDX-License-Identifier: Apache-2.0
// Requests and responses on one virtual clock: responses come when they are due, requests wait for slots in
// line.
#pragma once

#include "proxy/offline/evaluator.hpp"
#include "proxy/slots/waiting_room.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <queue>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace weir::proxy::offline {

/// What the upstream answers, and how long after the request reached it.
struct stated_response {
  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers{};
  std::string body{};
  std::int64_t after_us = 0;
};

/// Told about every request once it is decided for good: at once, or when it got a slot or gave up waiting.
class decision_reader {
 public:
  /// `number` is that of send(). The request is valid during the call.
  virtual void on_decided(std::size_t number, const evaluated_request& request, std::int64_t now_us) = 0;

 protected:
  ~decision_reader() = default;
};

/// In the order of time: what falls on one instant happens in this order: responses, then requests whose wait
/// ends, then a new request. A request that finds no slot waits as in the proxy, except that it asks again
/// only when a slot is freed.
class timeline {
 public:
  timeline(evaluator& world, decision_reader& reader);
  timeline(const timeline&) = delete;
  timeline& operator=(const timeline&) = delete;
  ~timeline();

  /// A request at `now_us`, never before an earlier one. `response` lives until it came. Views of
  /// `described` live until then, too.
  std::size_t send(const described_request& described, const stated_response& response, std::int64_t now_us);
  /// Everything that is due until then.
  void run_until(std::int64_t now_us);
  /// Everything that is still to come.
  void finish();

 private:
  struct exchange {
    evaluated_request request;
    std::size_t number = 0;
    const stated_response* response = nullptr;
    slots::slot_key line;
    std::uint64_t place = 0;  // in the line; 0: it does not wait
  };
  enum class kind : std::uint8_t { response, patience };
  struct event {
    std::int64_t at_us;
    kind what;
    std::uint64_t order;  // of equal ones: first come, first served
    exchange* whose;
    std::uint64_t place;  // of a patience: void when it waits no longer
  };
  struct later {
    bool operator()(const event& a, const event& b) const noexcept {
      return std::tie(a.at_us, a.what, a.order) > std::tie(b.at_us, b.what, b.order);
    }
  };

  exchange& take();
  void give(exchange& x);
  void ask(exchange& x);
  void queue_up(exchange& x, const limiter::charge& wanted);
  void give_up(exchange& x, bool waited);
  void leave_line(exchange& x);
  void decided(exchange& x);
  void respond(exchange& x);
  void happen(const event& e);
  void call_waiting();

  evaluator& world_;
  decision_reader& reader_;
  std::int64_t now_us_ = 0;
  std::size_t sent_ = 0;
  std::uint64_t events_ = 0;
  slots::waiting_room room_;
  std::vector<std::uint64_t> called_;                     // by the waiting room
  std::unordered_map<std::uint64_t, exchange*> waiting_;  // by place
  std::priority_queue<event, std::vector<event>, later> due_;
  std::vector<std::unique_ptr<exchange>> all_;
  std::vector<exchange*> idle_;
};

}  // namespace weir::proxy::offline
