// SPDX-License-Identifier: Apache-2.0
#include "limiter/stores/redis_store.hpp"

#include "limiter/redis/directory.hpp"
#include "limiter/redis/request.hpp"

#include <algorithm>
#include <atomic>
#include <boost/asio/steady_timer.hpp>
#include <optional>
#include <utility>

namespace weir::limiter {

namespace asio = boost::asio;

namespace {

using clock = std::chrono::steady_clock;

constexpr int most_redirects = 2;
constexpr int most_retries = 3;  // of what a server says it cannot answer just now

/// A call that is held so long after its deadline is a leak: what should have ended it has not, or too late.
constexpr auto leak_after = std::chrono::seconds(1);
constexpr auto leak_log_pause = std::chrono::seconds(10);

/// "Not now, ask again": nothing was executed.
bool is_temporary(std::string_view text) noexcept {
  return text.starts_with("TRYAGAIN") || text.starts_with("CLUSTERDOWN") || text.starts_with("LOADING");
}

}  // namespace

class redis_store::impl final : public std::enable_shared_from_this<impl>, public redis::directory_listener {
 public:
  impl(asio::io_context& io, redis_settings settings, log_function log,
       std::shared_ptr<redis::dial_limiter> dials, redis::loop_turns turns);

  void start() { directory_->start(); }
  void execute(operation op, std::span<const charge> charges, store_waiter& waiter);
  void cancel(store_waiter& waiter) noexcept;
  void heartbeat(std::string_view member, std::string_view fingerprint, heartbeat_waiter& waiter);
  void update(const redis_settings& settings);
  void begin_turn() noexcept { environment_->in_turn = true; }
  void end_turn();
  void shutdown();
  [[nodiscard]] bool available() const noexcept { return available_.load(std::memory_order_relaxed); }
  [[nodiscard]] const redis_counters& counters() const noexcept { return environment_->counters; }

 private:
  struct request;

  /// One call of a request; or a refund or heartbeat, which belong to none.
  struct part final : redis::call {
    explicit part(impl& store) : owner(store) {}
    void on_done(const redis::call_answer& answer) override { owner.on_answer(*this, answer); }

    impl& owner;
    request* of = nullptr;
    redis::node* at = nullptr;
    std::uint16_t slot = 0;
    std::uint8_t redirects = 0;
    std::uint8_t retries = 0;
    bool held = false;  // by somebody who waits for its end
    bool done = false;
    bool in_pause = false;
    redis::part_result result;
    charge_list own;           // the charges of one slot out of several
    redis::kept_charges kept;  // when the request does not outlive the call
    redis::heartbeat_words words;
    heartbeat_waiter* listener = nullptr;
    heartbeat_answer heard;
  };

  struct request {
    store_waiter* waiter = nullptr;  // null: nobody waits any more
    operation op = operation::take;
    std::span<const charge> charges;
    redis::charge_groups groups;  // empty: all in one slot
    boost::container::small_vector<part*, 2> parts;
    std::size_t missing = 0;
    bool withdrawn = false;  // some call has not left and never will
  };

  void on_directory_change() override {
    available_.store(directory_->available(), std::memory_order_relaxed);
  }

  [[nodiscard]] part& new_part(request* of, operation op, std::span<const charge> charges, std::uint16_t slot,
                               clock::time_point deadline);
  void recycle(part& used);
  [[nodiscard]] request& new_request(operation op, std::span<const charge> charges, store_waiter& waiter);
  void recycle(request& used);

  void split(request& r, clock::time_point deadline);
  void dispatch(part& what);
  void send(part& what, redis::node& to);
  void on_answer(part& what, const redis::call_answer& answer);
  [[nodiscard]] bool redirected(part& what, std::string_view text);
  [[nodiscard]] bool paused(part& what, std::string_view text);
  void finish(part& what, errc error, const store_reply* reply);
  void conclude(request& r);
  void answer(request& r, errc error, const store_reply& reply);
  void give_back(std::span<const charge> charges);
  void arm_pauses();
  void end_pauses();

  void withdraw(part& what) noexcept;

  void look_for_leaks_at(clock::time_point when);
  void end_leaks();
  void report_leak(const part& what, clock::time_point now);

  const std::shared_ptr<redis::node_environment> environment_;
  redis_settings settings_;
  std::shared_ptr<redis::directory> directory_;
  bool stopped_ = false;

  std::vector<std::unique_ptr<part>> parts_;
  std::vector<std::unique_ptr<request>> requests_;
  std::vector<part*> free_parts_;
  std::vector<request*> free_requests_;

  std::vector<std::pair<clock::time_point, part*>> pauses_;
  asio::basic_waitable_timer<clock, asio::wait_traits<clock>, asio::io_context::executor_type> pause_timer_;

  asio::basic_waitable_timer<clock, asio::wait_traits<clock>, asio::io_context::executor_type> leak_timer_;
  bool looking_for_leaks_ = false;
  clock::time_point next_leak_log_{};

  std::atomic<bool> available_{false};
};

redis_store::impl::impl(asio::io_context& io, redis_settings settings, log_function log,
                        std::shared_ptr<redis::dial_limiter> dials, redis::loop_turns turns)
    : environment_(std::make_shared<redis::node_environment>(io, std::move(log), std::move(turns))),
      settings_(std::move(settings)),
      directory_(
          redis::make_directory(environment_, redis::make_session_plan(settings_), std::move(dials), *this)),
      pause_timer_(io.get_executor()),
      leak_timer_(io.get_executor()) {}

// ---- Requests and their calls ------------------------------------------------------

redis_store::impl::request& redis_store::impl::new_request(operation op, std::span<const charge> charges,
                                                           store_waiter& waiter) {
  if (free_requests_.empty()) {
    requests_.push_back(std::make_unique<request>());
    free_requests_.push_back(requests_.back().get());
  }
  request& r = *free_requests_.back();
  free_requests_.pop_back();
  r.waiter = &waiter;
  r.op = op;
  r.charges = charges;
  waiter.store_token = &r;
  return r;
}

void redis_store::impl::recycle(request& used) {
  for (part* const p : used.parts) recycle(*p);
  used.waiter = nullptr;
  used.charges = {};
  used.groups.clear();
  used.parts.clear();
  used.missing = 0;
  used.withdrawn = false;
  free_requests_.push_back(&used);
}

redis_store::impl::part& redis_store::impl::new_part(request* of, operation op,
                                                     std::span<const charge> charges, std::uint16_t slot,
                                                     clock::time_point deadline) {
  if (free_parts_.empty()) {
    parts_.push_back(std::make_unique<part>(*this));
    free_parts_.push_back(parts_.back().get());
  }
  part& p = *free_parts_.back();
  free_parts_.pop_back();
  p.op = op;
  p.charges = charges;
  p.deadline = deadline;
  p.asking = false;
  p.heartbeat = nullptr;
  p.listener = nullptr;
  p.of = of;
  p.slot = slot;
  p.redirects = p.retries = 0;
  p.done = p.in_pause = false;
  p.held = true;
  if (of != nullptr) of->parts.push_back(&p);
  if (!looking_for_leaks_) look_for_leaks_at(deadline + leak_after);
  return p;
}

void redis_store::impl::recycle(part& used) {
  used.at = nullptr;
  used.held = false;
  used.own.clear();
  used.result.error = errc::closed;
  used.result.states.clear();
  free_parts_.push_back(&used);
}

void redis_store::impl::execute(operation op, std::span<const charge> charges, store_waiter& waiter) {
  request& r = new_request(op, charges, waiter);
  const auto deadline = clock::now() + settings_.command_timeout;
  std::uint16_t slot = 0;
  if (directory_->splits()) {
    redis::group_by_slot(charges, r.groups);
    if (r.groups.size() > 1) return split(r, deadline);
    slot = r.groups.front().slot;
    r.groups.clear();
  }
  dispatch(new_part(&r, op, charges, slot, deadline));
}

/// One call per slot, all at once.
void redis_store::impl::split(request& r, clock::time_point deadline) {
  r.missing = r.groups.size() + 1;  // one more: nothing is concluded before everything was sent
  for (const redis::charge_group& group : r.groups) {
    part& p = new_part(&r, r.op, {}, group.slot, deadline);
    for (const std::uint32_t place : group.places) p.own.push_back(r.charges[place]);
    p.charges = p.own;
  }
  for (part* const p : r.parts) dispatch(*p);
  if (--r.missing == 0) conclude(r);
}

void redis_store::impl::dispatch(part& what) {
#ifdef WEIR_TEST_HOOKS
  if (!what.charges.empty() && what.charges.front().matched->name == "test-lose-call") return;
#endif
  redis::node* const to = stopped_ ? nullptr : directory_->find(what.slot);
  if (to == nullptr) return finish(what, stopped_ ? errc::closed : directory_->absence(), nullptr);
  send(what, *to);
}

void redis_store::impl::send(part& what, redis::node& to) {
  what.at = &to;
  to.send(what);
}

// ---- Answers -----------------------------------------------------------------------

void redis_store::impl::on_answer(part& what, const redis::call_answer& answer) {
  if (answer.heard != nullptr) what.heard = *answer.heard;
  if (answer.error == errc::ok) return finish(what, errc::ok, answer.reply);
  if (answer.error == errc::timeout) {
    if (const auto now = clock::now(); now >= what.deadline + leak_after) report_leak(what, now);
  }
  const bool in_time = !answer.text.empty() && clock::now() < what.deadline;
  if (in_time && (redirected(what, answer.text) || paused(what, answer.text))) return;
  finish(what, answer.error, nullptr);
}

/// Follows MOVED and ASK. True: it was sent again.
bool redis_store::impl::redirected(part& what, std::string_view text) {
  if (!directory_->splits() || what.redirects == most_redirects) return false;
  const auto where = redis::parse_redirection(text);
  if (!where) return false;
  redis::node* const to = directory_->follow(*where, what.at->address());
  if (to == nullptr) return false;
  ++what.redirects;
  add(environment_->counters.redirects);
  what.asking = where->ask;
  send(what, *to);
  return true;
}

/// Waits a little before it asks again. True: it waits.
bool redis_store::impl::paused(part& what, std::string_view text) {
  if (!is_temporary(text) || what.retries == most_retries) return false;
  if (text.starts_with("CLUSTERDOWN")) directory_->doubt();
  const std::chrono::duration<double, std::milli> longest(4 << what.retries);
  const auto pause =
      std::chrono::duration_cast<clock::duration>(longest * (0.5 + environment_->uniform() / 2));
  const auto when = clock::now() + pause;
  if (when >= what.deadline) return false;
  ++what.retries;
  add(environment_->counters.retries);
  what.in_pause = true;
  what.asking = false;
  pauses_.emplace_back(when, &what);
  arm_pauses();
  return true;
}

void redis_store::impl::arm_pauses() {
  if (pauses_.empty()) return;
  const auto next = std::min_element(pauses_.begin(), pauses_.end());
  pause_timer_.expires_at(next->first);
  pause_timer_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
    if (!error && !self->stopped_) self->end_pauses();
  });
}

void redis_store::impl::end_pauses() {
  const auto now = clock::now();
  while (!stopped_) {
    const auto due =
        std::find_if(pauses_.begin(), pauses_.end(), [now](const auto& p) { return p.first <= now; });
    if (due == pauses_.end()) return arm_pauses();
    part& what = *due->second;
    pauses_.erase(due);
    what.in_pause = false;
    dispatch(what);
  }
}

void redis_store::impl::finish(part& what, errc error, const store_reply* reply) {
  what.done = true;
  request* const r = what.of;
  if (r == nullptr) {  // of a refund nobody asks what became of it
    heartbeat_waiter* const listener = what.listener;
    const heartbeat_answer heard = what.heard;
    recycle(what);
    if (listener != nullptr) listener->on_heartbeat(error, heard);
    return;
  }
  if (r->groups.empty()) {
    static const store_reply empty;
    return answer(*r, error, reply != nullptr ? *reply : empty);
  }
  what.result.error = error;
  if (reply != nullptr) {
    what.result.now_us = reply->now_us;
    what.result.states = reply->states;
    what.result.shadow = shadow_bits(what.op, what.charges);
  }
  if (--r->missing == 0) conclude(*r);
}

/// Every call of a request over several slots has its answer.
void redis_store::impl::conclude(request& r) {
  boost::container::small_vector<const redis::part_result*, 2> results;
  for (const part* p : r.parts) results.push_back(&p->result);
  const bool taken_in_vain = r.withdrawn && (r.op == operation::take || r.op == operation::take_upto);
  const bool given_back = taken_in_vain || redis::must_give_back(r.op, results);
  for (const part* p : r.parts) {
    if (!given_back || !p->result.allowed()) continue;
    give_back(redis::refund_of(r.op, p->result, p->charges));
  }
  const bool silent = std::none_of(results.begin(), results.end(),
                                   [](const auto* result) { return result->error == errc::ok; });
  if (silent || r.waiter == nullptr) return answer(r, results.front()->error, {});
  for (const auto* result : results) {
    if (result->error != errc::ok)
      add(environment_->counters.errors[static_cast<std::size_t>(result->error)]);
  }
  store_reply joined;
  redis::join(r.groups, results, r.op, r.charges, given_back, joined);
  answer(r, errc::ok, joined);
}

/// The waiter may do anything here, also destroy the store: nothing of this object is touched afterwards.
void redis_store::impl::answer(request& r, errc error, const store_reply& reply) {
  store_waiter* const waiter = r.waiter;
  recycle(r);
  if (waiter == nullptr) return;
  if (error != errc::ok) add(environment_->counters.errors[static_cast<std::size_t>(error)]);
  waiter->store_token = nullptr;
  waiter->on_store_reply(error, reply);
}

void redis_store::impl::heartbeat(std::string_view member, std::string_view fingerprint,
                                  heartbeat_waiter& waiter) {
  constexpr std::string_view tag = "members";
  part& p =
      new_part(nullptr, operation::peek, {}, redis::hash_slot(tag), clock::now() + settings_.command_timeout);
  p.words = {settings_.key_prefix + "1:{" + std::string(tag) + "}", std::string(member),
             std::string(fingerprint)};
  p.heartbeat = &p.words;
  p.listener = &waiter;
  dispatch(p);
}

void redis_store::impl::give_back(std::span<const charge> charges) {
  if (stopped_ || charges.empty()) return;
  redis::charge_groups groups;
  if (directory_->splits()) {
    redis::group_by_slot(charges, groups);
  } else {
    groups.emplace_back();
    for (std::uint32_t i = 0; i < charges.size(); ++i) groups.back().places.push_back(i);
  }
  const auto deadline = clock::now() + settings_.command_timeout;
  for (const redis::charge_group& group : groups) {
    charge_list own;
    for (const std::uint32_t place : group.places) own.push_back(charges[place]);
    part& p = new_part(nullptr, operation::refund, {}, group.slot, deadline);
    redis::keep(own, p.kept);
    p.charges = p.kept.charges;
    add(environment_->counters.refunds, own.size());
    dispatch(p);
  }
}

// ---- Leaks -------------------------------------------------------------------------

/// Runs at most once a second, and only while calls are held.
void redis_store::impl::look_for_leaks_at(clock::time_point when) {
  looking_for_leaks_ = true;
  leak_timer_.expires_at(when);
  leak_timer_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
    if (!error && !self->stopped_) self->end_leaks();
  });
}

/// Whoever waits for a call that was lost has waited long enough.
void redis_store::impl::end_leaks() {
  const auto now = clock::now();
  looking_for_leaks_ = false;
  bool some_held = false;
  for (std::size_t i = 0; i < parts_.size() && !stopped_; ++i) {  // an answer may bring new ones
    part& p = *parts_[i];
    if (!p.held || p.done) continue;
    if (now < p.deadline + leak_after) {
      some_held = true;
      continue;
    }
    withdraw(p);
    report_leak(p, now);
    finish(p, errc::timeout, nullptr);
  }
  if (some_held && !looking_for_leaks_ && !stopped_) look_for_leaks_at(now + leak_after);
}

void redis_store::impl::report_leak(const part& what, clock::time_point now) {
  using std::chrono::duration_cast;
  using std::chrono::milliseconds;
  add(environment_->counters.leaked);
  if (now < next_leak_log_ || !environment_->log) return;
  next_leak_log_ = now + leak_log_pause;
  const auto allowed = duration_cast<milliseconds>(settings_.command_timeout);
  const auto age = duration_cast<milliseconds>(now - what.deadline) + allowed;
  environment_->log("warn", "leak: a call to redis was held for " + std::to_string(age.count()) +
                                " ms and may take " + std::to_string(allowed.count()) + " ms");
}

// ---- Leaving -----------------------------------------------------------------------

void redis_store::impl::withdraw(part& what) noexcept {
  if (what.in_pause) {
    std::erase_if(pauses_, [&what](const auto& p) { return p.second == &what; });
  } else if (what.at != nullptr) {
    what.at->withdraw(what);
  }
}

void redis_store::impl::cancel(store_waiter& waiter) noexcept {
  auto* const r = static_cast<request*>(std::exchange(waiter.store_token, nullptr));
  if (r == nullptr || stopped_) return;
  r->waiter = nullptr;
  if (r->groups.empty()) {
    withdraw(*r->parts.front());
    return recycle(*r);
  }
  // What is under way may be charged while another part denies: its charges are still needed.
  for (part* const p : r->parts) {
    if (!p->done && (p->in_pause || p->at->withdraw_unsent(*p))) {
      withdraw(*p);
      p->done = r->withdrawn = true;
      --r->missing;
    }
    redis::keep(p->own, p->kept);
    p->charges = p->kept.charges;
  }
  if (r->missing == 0) conclude(*r);
}

void redis_store::impl::update(const redis_settings& settings) {
  const bool same = settings_.username == settings.username && settings_.password == settings.password &&
                    settings_.tls == settings.tls;
  if (same || stopped_) return;
  settings_.username = settings.username;
  settings_.password = settings.password;
  settings_.tls = settings.tls;
  if (environment_->log) environment_->log("info", "the store's credentials changed: connecting anew");
  directory_->update(redis::make_session_plan(settings_));
}

/// What a node answers while it sends may bring more, which is posted.
void redis_store::impl::end_turn() {
  environment_->in_turn = false;
  for (const auto& node : environment_->full) node->end_turn();
  environment_->full.clear();
}

void redis_store::impl::shutdown() {
  if (std::exchange(stopped_, true)) return;
  available_.store(false, std::memory_order_relaxed);
  environment_->full.clear();
  pauses_.clear();
  pause_timer_.cancel();
  leak_timer_.cancel();
  directory_->shutdown();
}

// ---- redis_store -------------------------------------------------------------------

redis_store::redis_store(asio::io_context& io, redis_settings settings, log_function log,
                         std::shared_ptr<redis::dial_limiter> dials, redis::loop_turns turns)
    : impl_(std::make_shared<impl>(io, std::move(settings), std::move(log), std::move(dials),
                                   std::move(turns))) {
  impl_->start();
}

redis_store::~redis_store() {
  shutdown();
}

void redis_store::execute(operation op, std::span<const charge> charges, store_waiter& waiter) {
  impl_->execute(op, charges, waiter);
}

void redis_store::cancel(store_waiter& waiter) noexcept {
  impl_->cancel(waiter);
}

bool redis_store::heartbeat(std::string_view member, std::string_view fingerprint, heartbeat_waiter& waiter) {
  impl_->heartbeat(member, fingerprint, waiter);
  return true;
}

bool redis_store::available() const noexcept {
  return impl_->available();
}

const redis_counters& redis_store::counters() const noexcept {
  return impl_->counters();
}

void redis_store::update(const redis_settings& settings) {
  impl_->update(settings);
}

void redis_store::begin_turn() noexcept {
  impl_->begin_turn();
}

void redis_store::end_turn() {
  impl_->end_turn();
}

void redis_store::shutdown() {
  impl_->shutdown();
}

}  // namespace weir::limiter
