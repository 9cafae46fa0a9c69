// SPDX-License-Identifier: Apache-2.0
#include "limiter/redis/node.hpp"

#include "limiter/redis/link.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <map>
#include <mutex>
#include <utility>

namespace weir::limiter::redis {

namespace asio = boost::asio;

namespace {

/// All workers of the process that dial one address share its bound.
std::shared_ptr<dial_limiter> process_dials(const redis_address& address) {
  static std::mutex mutex;
  static std::map<std::string, std::weak_ptr<dial_limiter>> all;
  const std::lock_guard lock(mutex);
  std::erase_if(all, [](const auto& entry) { return entry.second.expired(); });
  auto& entry = all[address.text()];
  auto limiter = entry.lock();
  if (!limiter) entry = limiter = std::make_shared<dial_limiter>();
  return limiter;
}

/// A rule for a key that nobody uses: what the breaker asks about.
const rule& probe_rule() {
  static const rule made = [] {
    rule r;
    r.name = "probe";
    r.rid = make_rule_id(r.name);
    r.quota = {.limit = 1, .period_us = 1'000'000, .burst = 1};
    return r;
  }();
  return made;
}

}  // namespace

/// The peek of a probe.
struct node::probe_call final : call {
  explicit probe_call(node& owner) : asked(owner) {
    op = operation::peek;
    one.matched = &probe_rule();
    one.subject.text.fill('0');
    charges = {&one, 1};
  }
  void on_done(const call_answer& answer) override { asked.on_probe(answer); }
  node& asked;
  charge one;
};

node::node(std::shared_ptr<node_environment> environment, std::shared_ptr<const session_plan> plan,
           redis_address address, bool only_master, std::shared_ptr<dial_limiter> dials,
           node_listener& listener)
    : environment_(std::move(environment)),
      plan_(std::move(plan)),
      address_(std::move(address)),
      only_master_(only_master),
      dials_(dials ? std::move(dials) : process_dials(address_)),
      listener_(listener),
      breaker_(plan_->settings.breaker),
      probe_(std::make_unique<probe_call>(*this)),
      timer_(environment_->io.get_executor()) {}

node::~node() {
  shutdown();
}

void node::start() {
  for (int i = 0; i < plan_->settings.pool_size; ++i) add_link(nullptr);
  const auto now = clock::now();
  serve_links(now);
  if (const auto next = next_wake()) wake_by(*next);
}

// ---- Calls -------------------------------------------------------------------------

void node::send(call& what) {
  if (stopped_) return what.on_done({.error = errc::closed, .reply = nullptr, .text = {}, .sent = false});
  if (!breaker_.closed() || (serving_ == 0 && !hopeful_))
    return what.on_done({.error = last_failure_, .reply = nullptr, .text = {}, .sent = false});
  if (waiting_.size() + in_flight() >= plan_->settings.max_in_flight)
    return what.on_done({.error = errc::overloaded, .reply = nullptr, .text = {}, .sent = false});
  what.healed = what.moved_windows = 0;
  what.alone = false;
  waiting_.push(what);
  add(environment_->counters.waiting, 1);
  wake_by(what.deadline);
  schedule_flush();
}

void node::send_again(call_group&& group) {
  const std::size_t before = waiting_.size();
  waiting_.push(std::move(group));
  add(environment_->counters.waiting, static_cast<std::int64_t>(waiting_.size() - before));
}

bool node::withdraw_unsent(const call& what) noexcept {
  if (!waiting_.withdraw(what)) return false;
  add(environment_->counters.waiting, -1);
  return true;
}

void node::withdraw(const call& what) noexcept {
  if (withdraw_unsent(what)) return;
  for (const auto& one : links_) {
    if (one->withdraw(what)) return;
  }
}

bool node::quiet() const noexcept {
  return waiting_.empty() &&
         std::none_of(links_.begin(), links_.end(), [](const auto& one) { return one->unanswered() > 0; });
}

void node::schedule_flush() {
  if (std::exchange(flush_scheduled_, true)) return;
  if (environment_->in_turn) return environment_->full.push_back(shared_from_this());
  asio::post(environment_->io.get_executor(), [self = shared_from_this()] { self->end_turn(); });
}

void node::end_turn() {
  flush_scheduled_ = false;
  flush();
}

std::size_t node::in_flight() const noexcept {
  std::size_t calls = 0;
  for (const auto& one : links_) calls += one->in_flight();
  return calls;
}

node::link* node::idle_link() noexcept {
  for (const auto& one : links_) {
    if (one->idle()) return one.get();
  }
  return nullptr;
}

node::link* node::roomy_link() noexcept {
  link* best = nullptr;
  for (const auto& one : links_) {
    if (one->has_room() && (best == nullptr || one->in_flight() < best->in_flight())) best = one.get();
  }
  return best;
}

/// Everything that waits leaves in one write of a connection with little in flight. While there is none, the
/// replies come back here.
void node::flush() {
  if (stopped_ || waiting_.empty()) return;
  link* const free = roomy_link();
  if (free == nullptr) return;
  const auto now = clock::now();
  while (call* const late = waiting_.take_expired(now)) {
    add(environment_->counters.waiting, -1);
    answer(*late, {.error = errc::timeout, .reply = nullptr, .text = {}, .sent = false});
    if (stopped_) return;
  }
  if (waiting_.empty() || !free->has_room() || (free->idle() && free->ping_first(now))) return;
  add(environment_->counters.waiting, -static_cast<std::int64_t>(waiting_.size()));
  free->write(waiting_.take_all(), now);
}

void node::answer(call& what, const call_answer& with) {
  what.on_done(with);
}

void node::fail_waiting(errc reason) {
  while (call* const unsent = stopped_ ? nullptr : waiting_.take_any()) {
    add(environment_->counters.waiting, -1);
    answer(*unsent, {.error = reason, .reply = nullptr, .text = {}, .sent = false});
  }
}

// ---- Connections -------------------------------------------------------------------

void node::add_link(link* replaces) {
  const bool doubled = replaces != nullptr && std::any_of(links_.begin(), links_.end(), [&](const auto& one) {
                         return one->replaces() == replaces && !one->gone();
                       });
  if (doubled) return;
  links_.push_back(std::make_unique<link>(*this, replaces));
  wake_by(clock::now());
}

void node::link_ready(link& which, std::string_view memory_policy) {
  const bool first = serving_++ == 0;
  hopeful_ = true;
  logged_losses_ = 0;
  add(environment_->counters.connects);
  for (const auto& one : links_) {
    if (one.get() == which.replaces()) one->retire(redis_counters::recycled);
  }
  which.forget_replaced();
  if (first) {
    log("info", "connected to " + name());
    const bool harmless =
        memory_policy.empty() || memory_policy == "volatile-ttl" || memory_policy == "noeviction";
    if (!harmless && !std::exchange(policy_warned_, true)) {
      log("warn", name() + " has maxmemory-policy " + std::string(memory_policy) +
                      ": under memory pressure it forgets who is over the limit; use volatile-ttl or "
                      "noeviction");
    }
  }
  wake_by(clock::now() + plan_->settings.command_timeout);  // then it is watched
  if (first) listener_.on_node_change(*this);
  if (breaker_.closed()) {
    flush();
  } else {
    wake_by(breaker_.probe_at());
  }
}

/// `reason` ok: it was found dead by a ping, which has cost nobody anything.
void node::link_lost(link& which, bool was_up, std::size_t unanswered, errc reason) {
  if (was_up && --serving_ == 0) listener_.on_node_change(*this);
  const bool found_by_ping = reason == errc::ok;
  const bool replacement = which.replaces() != nullptr && !was_up;
  if (replacement) {  // the one it should replace serves on
    for (const auto& one : links_) {
      if (one.get() == which.replaces()) one->postpone_recycling(clock::now() + std::chrono::seconds(1));
    }
  }
  wake_by(clock::now());
  if (found_by_ping) return;
  if (serving_ == 0) {
    hopeful_ = false;
    last_failure_ = reason;
  }
  if (!was_up || unanswered > 0) note_failure(reason, reason == errc::timeout ? unanswered : 0);
  if (stopped_ || serving_ > 0) return;
  // what has not left was merely on a closed connection
  const auto now = clock::now();
  if (was_up && reason == errc::timeout) {
    while (call* const late = stopped_ ? nullptr : waiting_.take_expired(now)) {
      add(environment_->counters.waiting, -1);
      answer(*late, {.error = errc::timeout, .reply = nullptr, .text = {}, .sent = false});
    }
  }
  if (!stopped_) fail_waiting(was_up ? errc::closed : reason);
  if (!stopped_) listener_.on_node_down(*this, reason);
}

void node::update(std::shared_ptr<const session_plan> plan) {
  plan_ = std::move(plan);
  const auto now = clock::now();
  const std::size_t count = links_.size();
  for (std::size_t i = 0; i < count; ++i) {
    if (links_[i]->up()) {
      add_link(links_[i].get());
    } else {
      links_[i]->renew(now);
    }
  }
  wake_by(now);
}

void node::drop_retired() noexcept {
  for (const auto& one : links_) {
    if (one->replaces() != nullptr && one->replaces()->gone()) one->forget_replaced();
  }
  std::erase_if(links_, [](const auto& one) { return one->gone(); });
}

void node::shutdown() {
  if (std::exchange(stopped_, true)) return;
  last_failure_ = errc::closed;
  add(environment_->counters.waiting, -static_cast<std::int64_t>(waiting_.size()));
  (void)waiting_.take_all();
  for (const auto& one : links_) one->shutdown();
  serving_ = 0;
  ++armed_;
  timer_.cancel();
}

// ---- Breaker -----------------------------------------------------------------------

std::int64_t node::store_now_us(clock::time_point now) const noexcept {
  using std::chrono::duration_cast;
  using std::chrono::microseconds;
  if (clock_offset_us_)
    return duration_cast<microseconds>(now.time_since_epoch()).count() + *clock_offset_us_;
  return duration_cast<microseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

void node::set_store_clock(std::int64_t now_us, clock::time_point now) noexcept {
  clock_offset_us_ =
      now_us - std::chrono::duration_cast<std::chrono::microseconds>(now.time_since_epoch()).count();
}

void node::answered_well(clock::time_point now) {
  last_error_reply_ = errc::ok;
  breaker_.answered(now);
}

/// An error reply to a decision: does it say that the node is of no use?
void node::judge_error(errc error, std::string_view code) {
  constexpr auto pause = std::chrono::seconds(10);
  const auto now = clock::now();
  // in a cluster that is how slots are found
  const bool usual = error == errc::moved && plan_->settings.topology == redis_topology::cluster;
  if (!usual && std::exchange(last_error_reply_, error) != error && now >= next_error_log_) {
    next_error_log_ = now + pause;
    log("warn", name() + " answers with an error: " + std::string(code));
  }
  switch (error) {
    case errc::auth:
      if (breaker_.trip(now, environment_->uniform())) opened(error);
      return;
    case errc::busy:
    case errc::loading:
      return note_failure(error, 0);
    default:  // it answers: denials still work while writes fail
      breaker_.answered(now);
  }
}

/// `late`: commands without an answer when one of them was beyond its deadline.
void node::note_failure(errc reason, std::size_t late) {
  const auto now = clock::now();
  const double random = environment_->uniform();
  if (reason == errc::auth) {
    if (breaker_.trip(now, random)) opened(reason);
    return;
  }
  const auto effect = breaker_.failed(now, late, random);
  if (effect == breaker::effect::none) return;
  log("warn", name() +
                  (effect == breaker::effect::opened_by_row
                       ? " failed " + std::to_string(plan_->settings.breaker.failures) + " times in a row"
                       : " answers more than one command in a hundred too late") +
                  ": asked no more but for one probe at a time");
  opened(reason);
}

void node::opened(errc reason) {
  add(environment_->counters.breaker_opened);
  last_failure_ = reason;
  listener_.on_node_change(*this);
  wake_by(breaker_.probe_at());
  fail_waiting(reason);
}

void node::closed_again() {
  log("info", name() + " answers again");
  listener_.on_node_change(*this);
  flush();
}

void node::probe(link& by) {
  const auto now = clock::now();
  breaker_.probe_begins();
  probe_->deadline = now + plan_->settings.command_timeout;
  wake_by(probe_->deadline);
  by.write_probe(*probe_, now);
}

void node::on_probe(const call_answer& answer) {
  // what moved was not executed, but that was said by a node that works
  const bool moved = answer.text.starts_with("MOVED ") || answer.text.starts_with("ASK ");
  const bool missing = answer.error == errc::noscript;  // decisions bring it
  if (answer.error == errc::ok || moved || missing) {
    breaker_.probe_succeeded();
    return closed_again();
  }
  breaker_.probe_failed(clock::now(), environment_->uniform());
  last_failure_ = answer.error;
  wake_by(breaker_.probe_at());
}

// ---- Time --------------------------------------------------------------------------

void node::wake_by(clock::time_point when) {
  if (stopped_ || (armed_for_ && *armed_for_ <= when)) return;
  armed_for_ = when;
  timer_.expires_at(when);
  timer_.async_wait([self = shared_from_this(), number = ++armed_](const boost::system::error_code& error) {
    if (!error && number == self->armed_) self->on_timer();
  });
}

/// Runs when the oldest thing is due, not once per command: under load about once per command_timeout.
void node::on_timer() {
  armed_for_.reset();
  const auto now = clock::now();
  serve_links(now);
  if (!stopped_) serve_waiting(now);
  if (!stopped_) serve_breaker(now);
  if (stopped_) return;
  drop_retired();
  if (const auto next = next_wake()) wake_by(*next);
}

void node::serve_links(clock::time_point now) {
  for (std::size_t i = 0; i < links_.size() && !stopped_; ++i) links_[i]->serve(now);
}

void node::serve_waiting(clock::time_point now) {
  while (call* const late = stopped_ ? nullptr : waiting_.take_expired(now)) {
    add(environment_->counters.waiting, -1);
    answer(*late, {.error = errc::timeout, .reply = nullptr, .text = {}, .sent = false});
  }
}

void node::serve_breaker(clock::time_point now) {
  if (breaker_.closed() || breaker_.probing() || breaker_.probe_at() > now) return;
  if (link* const free = idle_link()) probe(*free);
}

std::optional<node::clock::time_point> node::next_wake() const {
  std::optional<clock::time_point> next = waiting_.deadline();
  const auto consider = [&next](std::optional<clock::time_point> when) {
    if (when && (!next || *when < *next)) next = when;
  };
  bool some_idle = false;
  for (const auto& one : links_) {
    consider(one->next_wake());
    some_idle |= one->idle();
  }
  if (!breaker_.closed() && !breaker_.probing() && some_idle) consider(breaker_.probe_at());
  return next;
}

void node::log(std::string_view level, const std::string& message) const {
  if (environment_->log) environment_->log(level, message);
}

std::string node::name() const {
  return "redis " + address_.text();
}

}  // namespace weir::limiter::redis
