// SPDX-License-Identifier: Apache-2.0
// The session's part of `concurrency`: a request that finds no slot waits in line and asks again, all of its
// rules included, when it may get one. While it waits it holds nothing: neither slots nor units.
#include "limiter/limiter.hpp"
#include "proxy/downstream/session.hpp"
#include "proxy/http/rate_limit_fields.hpp"
#include "proxy/observe/metrics.hpp"
#include "proxy/slots/slot_charges.hpp"

#include <algorithm>
#include <limits>

namespace weir::proxy {

using slots::find_slot_charge;
using slots::slot_key_of;

namespace {

constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();

}  // namespace

concurrency_counters& session::counters_of(const limiter::rule& limit) {
  return worker_.metrics.concurrency(request_->config->limit_slots[limit.index]);
}

/// A slot for which somebody waits already: whoever comes now must not be served first.
const limiter::charge* session::line_in_front() const {
  return find_slot_charge(
      *request_, [this](const limiter::charge& c) { return worker_.slots->anybody_waits(slot_key_of(c)); });
}

bool session::queue_up(const limiter::charge& wanted) {
  active_request& r = *request_;
  const slots::slot_key key = slot_key_of(wanted);
  r.no_slot = wanted.matched;
  r.slot_may_be_free = false;
  if (!r.place.taken() || !(r.place.key() == key)) {
    leave_line();
    if (!worker_.slots->enter(r.place, key, wanted.matched->slots->queue, *this)) {
      return answer_no_slot(concurrency_counters::full, r.result.retry_after_us);
    }
    counters_of(*wanted.matched).queued.add(1);
    r.queued_since_us = worker_.now_us;
    r.queue_deadline_us = worker_.now_us + wanted.matched->slots->queue_timeout_us;
  }
  const bool first = worker_.slots->first(r.place);
  r.try_again_us = first ? worker_.now_us + worker_.slots->poll_delay_us(r.result.retry_after_us) : never;
  stage_ = stage::waiting;
  return true;
}

/// The rules allow, but a limit has no slot.
bool session::slot_refused() {
  const limiter::rule* limit = request_->result.no_slot;
  const auto* wanted =
      find_slot_charge(*request_, [limit](const limiter::charge& c) { return c.matched == limit; });
  return queue_up(*wanted);
}

bool session::wait_for_slot() {
  active_request& r = *request_;
  if (client_left()) {
    counters_of(*r.no_slot).rejected[concurrency_counters::client_gone].add();
    leave_line();
    abandon(499, "client_gone");
    return false;
  }
  if (worker_.now_us >= r.queue_deadline_us) {
    return answer_no_slot(concurrency_counters::timeout, r.result.retry_after_us);
  }
  if (!r.slot_may_be_free && worker_.now_us < r.try_again_us) return false;
  r.slot_may_be_free = false;
  if (worker_.slots->first(r.place)) return ask_limiter();
  r.try_again_us = never;  // whoever leaves calls the next
  return false;
}

bool session::answer_no_slot(concurrency_counters::reject_reason why, std::int64_t retry_after_us) {
  active_request& r = *request_;
  counters_of(*r.no_slot).rejected[why].add();
  leave_line();
  r.verdict = record_decision::deny;
  r.result.retry_after_us = std::max<std::int64_t>(retry_after_us, 1'000'000);
  spread_waits();
  add_limit_fields();
  return answer(answer_without_slot(*r.no_slot, why == concurrency_counters::timeout));
}

void session::leave_line() {
  active_request& r = *request_;
  if (!r.place.taken()) return;
  r.place.leave();
  counters_of(*r.no_slot).queued.add(-1);
  r.queue_us = std::max<std::int64_t>(r.queue_us, 0) + (worker_.now_us - r.queued_since_us);
}

// ---- holding slots

void session::got_slots() {
  if (request_->holder.empty()) return;
  count_in_flight(1);
  worker_.slots->enrol(request_->lease, *request_->permit, worker_.now_us);
}

void session::count_in_flight(int change) {
  request_->in_flight = change > 0;
  (void)find_slot_charge(*request_, [&](const limiter::charge& c) {
    counters_of(*c.matched).in_flight.add(change);
    return false;
  });
}

void session::release_slots() noexcept {
  request_->release_slots();
  if (request_->in_flight) count_in_flight(-1);
}

}  // namespace weir::proxy
