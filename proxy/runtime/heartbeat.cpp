// SPDX-License-Identifier: Apache-2.0
#include "proxy/runtime/heartbeat.hpp"

#include "proxy/observe/own_log.hpp"

#include <algorithm>
#include <utility>

namespace weir::proxy {

rule_counters& sharing_metrics::counters(const limiter::rule& r) {
  if (slots_.size() <= r.index) slots_.resize(r.index + std::size_t{1});
  known& k = slots_[r.index];
  if (k.rid != r.rid) k = {r.rid, names_.rule_slot(r.name)};
  return shard_.rule(k.slot);
}

heartbeat::heartbeat(timer_wheel& timers, limiter::sharing_store& sharing, limiter::rate_limiter& front,
                     options o)
    : timers_(timers),
      sharing_(sharing),
      front_(front),
      options_(std::move(o)),
      members_(options_.replicas) {}

void heartbeat::start() {
  apply();
  constexpr std::int64_t first_us = 50'000;  // the connection is up by then
  timers_.arm(beat_timer_, options_.clock() + first_us);
}

void heartbeat::stop() noexcept {
  timers_.disarm(beat_timer_);
  timers_.disarm(lease_timer_);
}

void heartbeat::beat() {
  timers_.arm(beat_timer_, options_.clock() + limiter::members::beat_us);
  if (options_.leads && !waiting_) {
    waiting_ = true;
    sent_us_ = options_.clock();
    sharing_.heartbeat(options_.member, options_.fingerprint(), *this);
  }
  apply();
}

void heartbeat::on_heartbeat(limiter::errc error, const limiter::heartbeat_answer& answer) {
  waiting_ = false;
  const std::int64_t now_us = options_.clock();
  options_.metrics->store_requests[metric_shard::admin].observe(now_us - sent_us_, buckets_b_us);
  if (error != limiter::errc::ok) return;
  members_.heard(answer, now_us);
  options_.board->count.store(members_.count(now_us), std::memory_order_relaxed);
  if (members_.take_reset()) options_.board->resets.fetch_add(1, std::memory_order_relaxed);
  if (members_.take_mismatch()) {
    log_event(log_level::warn, "processes that share this store run different configurations",
              {{"configurations", std::to_string(answer.configurations)}});
  }
  apply();
}

void heartbeat::apply() {
  const std::int64_t count =
      options_.replicas > 0 ? options_.replicas : options_.board->count.load(std::memory_order_relaxed);
  sharing_.set_members(count);
  front_.set_members(count);
  const std::int64_t resets = options_.board->resets.load(std::memory_order_relaxed);
  if (std::exchange(resets_, resets) != resets) sharing_.forget_answers();
}

void heartbeat::look_again() {
  timers_.arm(lease_timer_, options_.clock() + timer_wheel::tick_us);
}

void heartbeat::watch_leases() {
  const std::int64_t wake = sharing_.next_wake_us();
  if (wake >= 0 && !lease_timer_.armed()) timers_.arm(lease_timer_, wake);
}

}  // namespace weir::proxy
