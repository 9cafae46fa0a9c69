// SPDX-License-Identifier: Apache-2.0
#include "proxy/offline/timeline.hpp"

#include "proxy/slots/slot_charges.hpp"

#include <limits>

namespace weir::proxy::offline {

timeline::timeline(evaluator& world, decision_reader& reader)
    : world_(world),
      reader_(reader),
      room_([this](const slots::ticket& t) { called_.push_back(t.number); }) {}

timeline::~timeline() = default;

timeline::exchange& timeline::take() {
  if (idle_.empty()) {
    all_.push_back(std::make_unique<exchange>());
    return *all_.back();
  }
  exchange& x = *idle_.back();
  idle_.pop_back();
  return x;
}

void timeline::give(exchange& x) {
  x.request.permit.reset();
  idle_.push_back(&x);
}

std::size_t timeline::send(const described_request& described, const stated_response& response,
                           std::int64_t now_us) {
  run_until(now_us);
  exchange& x = take();
  x.number = sent_++;
  x.response = &response;
  x.place = 0;
  const std::size_t number = x.number;
  if (!world_.prepare(x.request, described, now_us_)) {
    decided(x);
    return number;
  }
  const limiter::charge* line = slots::find_slot_charge(
      x.request, [this](const limiter::charge& c) { return !room_.empty(slots::slot_key_of(c)); });
  if (line != nullptr) {
    queue_up(x, *line);
  } else {
    ask(x);
  }
  call_waiting();
  return number;
}

void timeline::ask(exchange& x) {
  world_.ask(x.request, now_us_);
  if (const limiter::rule* limit = x.request.no_slot) {
    const limiter::charge* wanted =
        slots::find_slot_charge(x.request, [limit](const limiter::charge& c) { return c.matched == limit; });
    return queue_up(x, *wanted);
  }
  leave_line(x);
  decided(x);
}

void timeline::queue_up(exchange& x, const limiter::charge& wanted) {
  const slots::slot_key key = slots::slot_key_of(wanted);
  x.request.no_slot = wanted.matched;
  if (x.place != 0 && x.line == key) return;
  leave_line(x);
  x.line = key;
  x.place = room_.enter(key, 0, wanted.matched->slots->queue);
  if (x.place == 0) return give_up(x, false);
  waiting_.emplace(x.place, &x);
  due_.push({now_us_ + wanted.matched->slots->queue_timeout_us, kind::patience, ++events_, &x, x.place});
}

void timeline::give_up(exchange& x, bool waited) {
  leave_line(x);
  world_.refuse_without_slot(x.request, waited);
  decided(x);
}

void timeline::leave_line(exchange& x) {
  if (x.place == 0) return;
  waiting_.erase(x.place);
  room_.leave(x.line, x.place);
  x.place = 0;
}

void timeline::decided(exchange& x) {
  reader_.on_decided(x.number, x.request, now_us_);
  if (!x.request.permit) return give(x);
  if (x.response->after_us == 0) return respond(x);
  due_.push({now_us_ + x.response->after_us, kind::response, ++events_, &x, 0});
}

void timeline::respond(exchange& x) {
  const auto headers = lines_of(x.response->headers);
  std::vector<slots::slot_key> freed;
  (void)slots::find_slot_charge(x.request, [&](const limiter::charge& c) {
    freed.push_back(slots::slot_key_of(c));
    return false;
  });
  world_.settle(x.request, {.status = x.response->status, .headers = headers, .body = x.response->body},
                now_us_);
  give(x);
  for (const slots::slot_key& key : freed) room_.freed(key);
}

void timeline::happen(const event& e) {
  now_us_ = e.at_us;
  if (e.what == kind::response) {
    respond(*e.whose);
  } else if (e.whose->place == e.place) {
    give_up(*e.whose, true);
  }
  call_waiting();
}

/// Whoever is called may free the way for the next.
void timeline::call_waiting() {
  while (!called_.empty()) {
    const std::uint64_t place = called_.front();
    called_.erase(called_.begin());
    const auto found = waiting_.find(place);
    if (found != waiting_.end() && room_.first(found->second->line, place)) ask(*found->second);
  }
}

void timeline::run_until(std::int64_t now_us) {
  while (!due_.empty() && due_.top().at_us <= now_us) {
    const event e = due_.top();
    due_.pop();
    happen(e);
  }
  now_us_ = now_us;
}

void timeline::finish() {
  while (!due_.empty()) run_until(due_.top().at_us);
}

}  // namespace weir::proxy::offline
