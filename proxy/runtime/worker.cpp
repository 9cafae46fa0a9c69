// SPDX-License-Identifier: Apache-2.0
#include "proxy/runtime/worker.hpp"

#include "proxy/http/rewrite.hpp"
#include "proxy/observe/own_log.hpp"
#include "proxy/runtime/fatal_signals.hpp"
#include "proxy/thread_room.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <chrono>
#include <new>
#include <system_error>
#include <thread>
#include <utility>

namespace weir::proxy {

namespace {

void log_store(std::string_view level, std::string_view message) {
  log_event(level == "warn" ? log_level::warn : log_level::info, message, {});
}

}  // namespace

worker::worker(worker_setup setup, metrics_registry& metrics)
    : names_(metrics.names),
      shard_(metrics.add_shard()),
      work_(boost::asio::make_work_guard(io_)),
      wheel_timer_(io_),
      wheel_(steady_now_us()),
      desk_(*setup.waiting_room, setup.number, wheel_,
            [this](std::uint64_t bound) { return random_.below(bound); }),
      sockets_(
          io_, [this] { begin_turn(); }, [this] { settle(); }),
      services_{sockets_,
                wheel_,
                buffers_,
                dead_,
                turns_,
                random_,
                nullptr,
                shard_,
                setup.access_log,
                nullptr,
                [this] { settle_soon(); },
                false,
                false,
                steady_now_us(),
                0,
                {},
                &desk_,
                std::move(setup.on_unreachable)},
      sharing_metrics_(names_, shard_),
      places_(*setup.places),
      on_stopped_(std::move(setup.on_stopped)) {
  begin_turn();
  buffers_.set_budget(setup.buffer_budget);
  make_store(setup);
  sessions_ = std::make_unique<session_set>(requests_);
  services_.config = compile(setup.config, nullptr, services_, names_, setup.addresses, *setup.tls);
  for (std::size_t i = 0; i < setup.listening.size(); ++i)
    listeners_.push_back(
        make_listener(setup.config->listeners[i], setup.listening[i], setup.tls->listeners[i]));
}

worker::~worker() = default;

void worker::make_store(const worker_setup& setup) {
  const store_settings& s = setup.config->store;
  if (s.kind == store_kind::redis) {
    auto redis = std::make_unique<limiter::redis_store>(
        io_, s.redis, log_store, nullptr,
        limiter::redis::loop_turns{[this] { begin_turn(); }, [this] { settle(); }});
    redis_ = redis.get();
    store_ = std::move(redis);
  } else {
    store_ = std::make_unique<limiter::memory_store>(setup.shared_table);
  }
  local_store_ = std::make_unique<limiter::memory_store>(setup.local_table);
  limiter::degraded_mode::options degraded;
  degraded.allow_grace_us = s.allow_grace.count() < 0 ? -1 : std::chrono::microseconds(s.allow_grace).count();
  // a probe in every open_for, and the dial behind it
  degraded.longest_hold_us += std::chrono::microseconds(s.redis.breaker.open_for).count();
  degraded.seed = random_.next();
  degraded.clock = steady_now_us;
  if (redis_ != nullptr) {
    share_ = std::make_unique<limiter::local_share>(*local_store_, random_.next());
    limiter::sharing_store::options options;
    options.several_slots = s.redis.topology == limiter::redis_topology::cluster;
    options.seed = random_.next();
    sharing_ = std::make_unique<limiter::sharing_store>(*store_, *share_, steady_now_us, options);
    sharing_->set_observer(&sharing_metrics_);
    degraded.last_known = [this](const limiter::charge& c) { return sharing_->last_known(c); };
  }
  limiter::store& front = sharing_ ? static_cast<limiter::store&>(*sharing_) : *store_;
  limiter_ = std::make_unique<limiter::rate_limiter>(
      front, *local_store_, std::max<std::int64_t>(1, s.replicas), std::move(degraded));
  limiter_->settlements().observe(this);
  services_.limiter = limiter_.get();
  if (sharing_) make_sharing(setup);
}

void worker::make_sharing(const worker_setup& setup) {
  heartbeat_ = std::make_unique<heartbeat>(
      wheel_, *sharing_, *limiter_,
      heartbeat::options{.replicas = setup.config->store.replicas,
                         .member = setup.member,
                         .leads = setup.leads,
                         .board = setup.members,
                         .fingerprint = [this] { return services_.config->settings->hash; },
                         .clock = steady_now_us,
                         .metrics = &shard_});
}

void worker::on_settled(const limiter::settled& what) {
  if (services_.draining) settle_soon();  // the last one lets the worker go
  if (what.took_us >= 0) shard_.store_requests[metric_shard::settle].observe(what.took_us, buckets_b_us);
  if (what.failure != limiter::errc::ok) shard_.store_errors[static_cast<std::size_t>(what.failure)].add();
  if (what.matched->slots) return desk_.freed({what.matched->rid, what.subject});
  const compiled_config& config = *services_.config;
  const auto& rules = config.settings->policy.rules();
  const limiter::rule& rule = *what.matched;
  const bool current = rule.index < rules.size() && rules[rule.index].name == rule.name;
  rule_counters& counters =
      shard_.rule(current ? config.rule_slots[rule.index] : names_.rule_slot(rule.name));
  const auto add = [&](rule_counters::settled_outcome outcome, std::int64_t units) {
    counters.settled[outcome].add(static_cast<std::uint64_t>(units));
  };
  add(rule_counters::refund, what.refunded);
  add(rule_counters::exact, what.exact);
  add(rule_counters::extra, what.extra);
  add(rule_counters::uncollected, what.uncollected);
}

std::int64_t worker::now_us() const noexcept {
  return steady_now_us();
}

void worker::run() {
  const signal_stack for_this_thread;
  (void)thread_room(0);
  limiter::policy_set::prepare_thread();
  for (const auto& l : listeners_) l->start();
  if (heartbeat_) heartbeat_->start();
  run_loop();
  // Sessions and pools go before the stores and sockets they use.
  limiter_->settlements().observe(nullptr);
  listeners_.clear();
  dead_.clear();
  services_.config.reset();
  dead_.clear();
  on_stopped_();
}

/// A session's exceptions end at the session. Memory can run out elsewhere, too: in the store's connection or
/// a timer. What it ran out for is lost and found by a deadline; the loop goes on.
void worker::run_loop() {
  constexpr std::chrono::milliseconds pause{10};
  for (;;) {
    try {
      sockets_.start();
      arm_wheel();
      in_turn_ = false;  // out of memory in the middle of one, which is lost
      settle_soon();
      io_.run();
      return;
    } catch (const std::bad_alloc&) {
      log_out_of_memory();
      std::this_thread::sleep_for(pause);  // others may free some
    }
  }
}

// ---- one loop turn ----

void worker::begin_turn() {
  in_turn_ = true;
  if (redis_ != nullptr) redis_->begin_turn();
  services_.now_us = steady_now_us();
  const std::int64_t wall_us = wall_now_us();
  services_.wall_ahead_us = wall_us - services_.now_us;
  const std::int64_t second = wall_us / 1'000'000;
  if (second == services_.date_second) return;
  services_.date_second = second;
  services_.date.clear();
  http::append_http_date(services_.date, second);
}

void worker::settle() {
  turns_.handshakes.run();
  turns_.patient.run();
  in_turn_ = false;
  if (redis_ != nullptr) redis_->end_turn();
  dead_.clear();
  if (!turns_.empty()) settle_soon();
  arm_wheel();
  if (services_.draining) stop_when_drained();
}

void worker::settle_soon() {
  if (in_turn_ || settle_posted_) return;
  boost::asio::post(io_, [this] {
    settle_posted_ = false;
    begin_turn();
    turns_.next.run();
    settle();
  });
  settle_posted_ = true;  // not before it is: without memory it is not
}

void worker::arm_wheel() {
  if (heartbeat_) heartbeat_->watch_leases();
  const std::int64_t wake = wheel_.next_wake_us();
  if (wake < 0 || (wheel_wake_us_ >= 0 && wheel_wake_us_ <= wake)) return;
  wheel_wake_us_ = -1;
  wheel_timer_.expires_at(std::chrono::steady_clock::time_point(std::chrono::microseconds(wake)));
  wheel_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;  // re-armed for an earlier time
    wheel_wake_us_ = -1;
    begin_turn();
    wheel_.advance(services_.now_us);
    settle();
  });
  wheel_wake_us_ = wake;
}

// ---- orders from other threads ----

void worker::reload(std::shared_ptr<const settings> config, resolved_endpoints addresses,
                    std::shared_ptr<const tls::context_set> tls, std::vector<int> listening) {
  boost::asio::post(io_, [this, config = std::move(config), addresses = std::move(addresses),
                          tls = std::move(tls), listening = std::move(listening)]() mutable {
    begin_turn();
    update_listeners(*config, *tls, listening);
    if (redis_ != nullptr) redis_->update(config->store.redis);
    services_.config = compile(std::move(config), services_.config.get(), services_, names_, addresses, *tls);
    if (sharing_) sharing_->reload();
    settle();
  });
}

std::unique_ptr<listener> worker::make_listener(const listener_settings& wanted, int fd,
                                                std::shared_ptr<const tls::server_context> tls) {
  return std::make_unique<listener>(services_, *sessions_, wanted,
                                    shard_.listener(names_.listener_slot(wanted.name)), fd, places_,
                                    std::move(tls));
}

void worker::update_listeners(const settings& config, const tls::context_set& tls,
                              const std::vector<int>& listening) {
  std::vector<std::unique_ptr<listener>> before = std::exchange(listeners_, {});
  for (std::size_t i = 0; i < config.listeners.size(); ++i) {
    const listener_settings& wanted = config.listeners[i];
    if (listening[i] >= 0) {
      listeners_.push_back(make_listener(wanted, listening[i], tls.listeners[i]));
      start_listener(*listeners_.back());
      continue;
    }
    const auto kept = std::find_if(before.begin(), before.end(),
                                   [&](const auto& l) { return l && same_socket(l->configured(), wanted); });
    (*kept)->update(wanted, shard_.listener(names_.listener_slot(wanted.name)), tls.listeners[i]);
    listeners_.push_back(std::move(*kept));
  }
  for (const auto& gone : before) {
    if (gone) retire_listener(*gone);
  }
}

/// A worker that is about to end listens no more.
void worker::start_listener(listener& added) noexcept {
  try {
    if (!services_.draining) added.start();
  } catch (const std::system_error& error) {
    log_event(log_level::error, "cannot listen",
              {{"listener", added.configured().name}, {"cause", error.what()}});
  }
}

void worker::retire_listener(listener& gone) {
  gone.retire();
  sessions_->for_each([&gone](session& s) {
    if (s.came_by(gone.context())) s.drain();
  });
}

void worker::update_addresses(std::string upstream_name, std::size_t index,
                              std::vector<resolved_address> addresses) {
  boost::asio::post(io_, [this, name = std::move(upstream_name), index, addresses = std::move(addresses)] {
    begin_turn();
    if (upstream* found = find_upstream(name, index))
      found->endpoint(static_cast<std::uint32_t>(index)).set_addresses(addresses);
    settle();
  });
}

void worker::update_health(std::string upstream_name, std::size_t index, bool healthy) {
  boost::asio::post(io_, [this, name = std::move(upstream_name), index, healthy] {
    if (upstream* found = find_upstream(name, index))
      found->checked(static_cast<std::uint32_t>(index), healthy);
  });
}

upstream* worker::find_upstream(std::string_view name, std::size_t endpoint) const {
  for (const std::shared_ptr<upstream>& candidate : services_.config->upstreams) {
    if (candidate->settings.name == name && endpoint < candidate->size()) return candidate.get();
  }
  return nullptr;
}

void worker::call_waiter(std::uint64_t number) {
  boost::asio::post(io_, [this, number] {
    begin_turn();
    desk_.deliver(number);
    settle();
  });
}

void worker::drop_spare_memory() {
  boost::asio::post(io_, [this] {
    buffers_.drop_kept();
    requests_.drop_kept();
  });
}

void worker::announce_leaving() {
  boost::asio::post(io_, [this] { services_.leaving = true; });
}

void worker::drain() {
  boost::asio::post(io_, [this] {
    begin_turn();
    for (const auto& l : listeners_) l->close();
    services_.leaving = services_.draining = true;
    if (sharing_) sharing_->drain();
    sessions_->for_each([](session& s) { s.drain(); });
    settle();
  });
}

void worker::cut() {
  boost::asio::post(io_, [this] {
    begin_turn();
    for (const auto& l : listeners_) l->close();
    services_.leaving = services_.draining = true;
    if (sharing_) sharing_->drain();
    std::uint64_t busy = 0;
    sessions_->for_each([&busy](session& s) {
      if (s.cut()) ++busy;
    });
    cut_requests_.store(busy, std::memory_order_relaxed);
    settle();
  });
}

void worker::stop_when_drained() {
  if (stopping_ || sessions_->size() > 0) return;
  if (limiter_->settlements().outstanding() > 0) return;  // each ends within the store's command_timeout
  if (sharing_ && !sharing_->settled() && !return_timed_out()) return;
  stopping_ = true;
  if (heartbeat_) heartbeat_->stop();
  sockets_.stop();
  wheel_timer_.cancel();
  if (redis_ != nullptr) redis_->shutdown();
  work_.reset();
  io_.stop();
}

/// Units on their way back hold the end up for a moment; the store may be away.
bool worker::return_timed_out() {
  constexpr std::int64_t longest_us = 200'000;
  const std::int64_t now_us = steady_now_us();
  if (return_deadline_us_ == 0) return_deadline_us_ = now_us + longest_us;
  if (now_us >= return_deadline_us_) return true;
  heartbeat_->look_again();
  return false;
}

bool worker::store_available() const noexcept {
  return redis_ == nullptr || redis_->available();
}

}  // namespace weir::proxy
