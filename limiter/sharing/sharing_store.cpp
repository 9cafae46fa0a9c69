// SPDX-License-Identifier: Apache-2.0
#include "limiter/sharing/sharing_store.hpp"

#include "limiter/answers.hpp"
#include "limiter/sharing/local_share.hpp"

#include <algorithm>
#include <utility>

namespace weir::limiter {
namespace {

/// Returns under way at once. Units of one beyond it are not returned; they come back as time passes.
constexpr std::size_t most_returns = 4096;

}  // namespace

/// One request on its way: first what this process decides for itself, then the shared store for the rest.
struct sharing_store::flight final : store_waiter {
  struct part {
    way how = way::shared;
    lease* from = nullptr;
    bool decided = false;  // `state` is this rule's answer
    bool debited = false;  // leased units of it are used
    rule_state state;
  };
  explicit flight(sharing_store& s) : owner(s) {}
  void on_store_reply(errc error, const store_reply& reply) override {
    owner.on_shared_reply(*this, error, reply);
  }

  sharing_store& owner;
  store_waiter* outer = nullptr;  // null: idle
  std::span<const charge> charges;
  operation op = operation::take;
  bool sent = false;
  std::uint32_t epoch = 0;
  std::int64_t sent_us = 0;
  std::int64_t members = 1;                       // that local parts were taken with
  boost::container::small_vector<part, 4> parts;  // empty: every charge goes to the shared store
  boost::container::small_vector<std::optional<rule_state>, 4> known;  // by charge, once it was recalled
  charge_list forwarded, local;
  std::size_t taken = 0;        // leading parts whose leased units are debited
  lease* waiting_on = nullptr;  // for the units of part `taken`
};

struct sharing_store::lease final : store_waiter {
  explicit lease(sharing_store& s) : owner(s) {}
  void on_store_reply(errc error, const store_reply& reply) override {
    owner.on_granted(*this, error, reply);
  }

  sharing_store& owner;
  entry_key key;
  std::shared_ptr<const rule> of;
  std::shared_ptr<const std::string> name;  // of the subject, see charge
  demand_meter demand;
  std::int64_t held = 0;
  std::int64_t size = 0;           // units it may hold
  std::int64_t expires_at_us = 0;  // of held units
  std::int64_t granted_at_us = 0;  // the store's clock at the last grant
  std::int64_t suppressed_until_us = 0;
  std::size_t users = 0;     // requests that may put units back
  rule_state last;           // last answer of the store ...
  std::int64_t last_us = 0;  // ... to a call sent then; 0 = none
  bool asking = false;
  charge call;                // of the grant under way
  std::int64_t asked_us = 0;  // when it was sent
  std::uint32_t epoch = 0;
  std::deque<flight*> waiting;

  [[nodiscard]] bool busy() const noexcept { return asking || held > 0 || users > 0; }
};

struct sharing_store::giving_back final : store_waiter {
  explicit giving_back(sharing_store& s) : owner(s) {}
  void on_store_reply(errc error, const store_reply& reply) override {
    owner.on_given_back(*this, error, reply);
  }
  sharing_store& owner;
  std::shared_ptr<const rule> of;
  charge call;
  std::int64_t sent_us = 0;
  std::uint32_t epoch = 0;
  bool sent = false;
};

sharing_store::sharing_store(store& shared, local_share& local, std::function<std::int64_t()> clock,
                             options o)
    : shared_(shared),
      local_(local),
      clock_(std::move(clock)),
      options_(o),
      random_(static_cast<std::uint32_t>(o.seed ^ (o.seed >> 32))),
      denials_(o.max_denials, o.seed),
      leases_(o.max_leases, o.seed) {}

sharing_store::~sharing_store() {
  for (const auto& f : flights_) {
    if (f->sent) shared_.cancel(*f);
  }
  for (const auto& g : returns_) {
    if (g->sent) shared_.cancel(*g);
  }
  leases_.for_each([this](const entry_key&, std::unique_ptr<lease>& l) {
    if (l->asking) shared_.cancel(*l);
  });
}

// ---- Requests ------------------------------------------------------------------------------------------

void sharing_store::execute(operation op, std::span<const charge> charges, store_waiter& waiter) {
  const std::int64_t now_us = clock_();
  if (op == operation::take && charges.size() == 1 &&
      charges.front().matched->sharing == sharing_mode::strict) {
    return take_strictly(charges, waiter, now_us);
  }
  flight& f = new_flight(op, charges, waiter);
  if (op == operation::refund) {
    for (const charge& c : charges) denials_.forget(key_of(c));
  }
  if (op != operation::take && charges.size() == 1 && is_local(charges.front())) return settle_locally(f);
  if (op != operation::take) return forward(f, now_us);
  choose_ways(f, now_us);
  if (denied_already(f, now_us)) return deny(f, now_us);
  if (f.parts.empty()) return forward(f, now_us);
  advance(f);
}

/// The usual request needs nothing of what follows: its only rule is that of the store. Unless it is watched,
/// when the store says whether it would be denied, the last answer may deny it at once.
void sharing_store::take_strictly(std::span<const charge> charges, store_waiter& waiter,
                                  std::int64_t now_us) {
  const charge& c = charges.front();
  const auto known = c.shadow ? std::nullopt : denials_.ask(c, now_us);
  if (!known || known->allowed) return forward(new_flight(operation::take, charges, waiter), now_us);
  if (observer_ != nullptr) observer_->denied_from_cache(*c.matched);
  store_reply reply;
  reply.states.push_back(*known);
  waiter.on_store_reply(errc::ok, reply);
}

void sharing_store::cancel(store_waiter& waiter) noexcept {
  auto* const f = static_cast<flight*>(std::exchange(waiter.store_token, nullptr));
  if (f == nullptr) return;
  if (f->sent) shared_.cancel(*f);
  if (f->waiting_on != nullptr) std::erase(f->waiting_on->waiting, f);
  put_back(*f);
  release(*f);
}

sharing_store::flight& sharing_store::new_flight(operation op, std::span<const charge> charges,
                                                 store_waiter& waiter) {
  if (idle_flights_.empty()) {
    flights_.push_back(std::make_unique<flight>(*this));
    idle_flights_.push_back(flights_.back().get());
  }
  flight& f = *idle_flights_.back();
  idle_flights_.pop_back();
  f.outer = &waiter;
  f.charges = charges;
  f.op = op;
  waiter.store_token = &f;
  return f;
}

void sharing_store::release(flight& f) noexcept {
  f.outer = nullptr;
  f.sent = false;
  for (const flight::part& part : f.parts) {
    if (part.from != nullptr) --part.from->users;
  }
  f.parts.clear();
  f.known.clear();
  forget(f.forwarded);
  forget(f.local);
  f.taken = 0;
  f.waiting_on = nullptr;
  idle_flights_.push_back(&f);
}

/// The waiter may do anything in its answer: the flight is idle by then, and nothing of this object is
/// touched afterwards.
void sharing_store::finish(flight& f, errc error, const store_reply& reply) {
  store_waiter& outer = *f.outer;
  release(f);
  outer.store_token = nullptr;
  outer.on_store_reply(error, reply);
}

bool sharing_store::is_local(const charge& c) const noexcept {
  return c.matched->sharing == sharing_mode::local && c.quota().burst >= members_;
}

/// What was decided here is settled here.
void sharing_store::settle_locally(flight& f) {
  store_reply reply;
  const errc error = local_.settle(f.op, f.charges.front(), members_, reply);
  finish(f, error, reply);
}

/// A part goes to the shared store unless something else is said. Leaves `parts` empty when all do.
void sharing_store::choose_ways(flight& f, std::int64_t now_us) {
  for (std::size_t i = 0; i < f.charges.size(); ++i) {
    const charge& c = f.charges[i];
    if (c.matched->sharing == sharing_mode::strict) continue;
    flight::part part;
    if (is_local(c)) {
      part.how = way::local;
    } else if (leasable(c, members_, options_.leases)) {
      part.from = watch(c, now_us);
      if (part.from != nullptr) part.how = way::leased, ++part.from->users;
    }
    if (part.how == way::shared && f.parts.empty()) continue;
    f.parts.resize(f.charges.size());
    f.parts[i] = part;
  }
}

/// What the store said last of this charge.
rule_state sharing_store::last_answer(const charge& c, std::int64_t now_us) {
  return denials_.ask(c, now_us).value_or(rule_state::unknown());
}

/// The same, looked up once per request.
const rule_state& sharing_store::recalled(flight& f, std::size_t i, std::int64_t now_us) {
  f.known.resize(f.charges.size());
  if (!f.known[i]) f.known[i] = last_answer(f.charges[i], now_us);
  return *f.known[i];
}

/// All subjects are asked before the store is: a request that is denied for certain costs no call and no
/// compensation.
bool sharing_store::denied_already(flight& f, std::int64_t now_us) {
  bool denied = false;
  for (std::size_t i = 0; i < f.charges.size(); ++i) {
    const charge& c = f.charges[i];
    flight::part* const part = f.parts.empty() ? nullptr : &f.parts[i];
    if (part != nullptr && part->how == way::local) continue;
    if (part != nullptr && part->how == way::leased) {
      const lease& l = *part->from;
      if (c.cost <= l.held || l.asking) continue;
      if (now_us < l.suppressed_until_us || (c.shadow && !recalled(f, i, now_us).allowed)) {
        part->state = refusal(l, c, recalled(f, i, now_us), now_us);
        part->decided = true;
        denied = denied || !c.shadow;
        continue;
      }
    }
    if (c.shadow) continue;  // the store says whether it would be denied, and charges it if not
    if (recalled(f, i, now_us).allowed) continue;
    denied = true;
    if (observer_ != nullptr) observer_->denied_from_cache(*c.matched);
  }
  return denied;
}

/// What denied the request is in its part, or was recalled; the other rules say what is known of them,
/// perhaps nothing.
void sharing_store::deny(flight& f, std::int64_t now_us) {
  put_back(f);
  store_reply reply;
  for (std::size_t i = 0; i < f.charges.size(); ++i) {
    const flight::part* const part = i < f.parts.size() ? &f.parts[i] : nullptr;
    const bool held = part != nullptr && part->how == way::leased && part->from->held >= f.charges[i].cost;
    if (part != nullptr && part->decided) {
      reply.states.push_back(part->state);
    } else {
      reply.states.push_back(held ? lease_state(*part->from, now_us) : recalled(f, i, now_us));
    }
  }
  reply.admitted = 0;
  finish(f, errc::ok, reply);
}

/// Local shares first, then leased units, each in the order of the charges; the shared store comes last, so
/// that a denial here costs it nothing. Comes back here after every grant it waited for.
void sharing_store::advance(flight& f) {
  const std::int64_t now_us = clock_();
  if (f.taken == 0 && f.local.empty() && !take_locally(f)) return deny(f, now_us);
  for (; f.taken < f.parts.size(); ++f.taken) {
    flight::part& part = f.parts[f.taken];
    if (part.how != way::leased || part.decided) continue;
    const charge& c = f.charges[f.taken];
    lease& l = *part.from;
    if (l.held < c.cost) {
      if (l.waiting.size() < options_.max_waiting && !draining_) return wait_for_grant(f, l, now_us);
      part.how = way::shared;
      continue;
    }
    hold(l, -c.cost);
    part.state = lease_state(l, now_us);
    part.decided = part.debited = true;
    if (4 * l.held < l.size && !l.asking && !draining_ && now_us >= l.suppressed_until_us)
      ask_for_units(l, now_us);
  }
  for (std::size_t i = 0; i < f.parts.size(); ++i) {
    if (f.parts[i].how == way::shared) f.forwarded.push_back(f.charges[i]);
  }
  if (!f.forwarded.empty()) return forward(f, now_us);
  store_reply reply;
  reply.admitted = 1;
  for (const flight::part& part : f.parts) reply.states.push_back(part.state);
  finish(f, errc::ok, reply);
}

/// False: a local share denies.
bool sharing_store::take_locally(flight& f) {
  for (std::size_t i = 0; i < f.parts.size(); ++i) {
    if (f.parts[i].how == way::local) f.local.push_back(f.charges[i]);
  }
  if (f.local.empty()) return true;
  f.members = members_;
  store_reply reply;
  const errc error = local_.take(f.local, f.members, nullptr, reply);
  bool allowed = error == errc::ok;
  std::size_t next = 0;
  for (flight::part& part : f.parts) {
    if (part.how != way::local || next == reply.states.size()) continue;
    part.state = reply.states[next];
    part.decided = true;
    allowed = allowed && passes(f.local[next++], part.state);
  }
  if (!allowed) f.local.clear();  // nothing was taken
  return allowed;
}

/// Units debited here go back when another rule denies, or when nobody waits any more.
void sharing_store::put_back(flight& f) {
  for (std::size_t i = 0; i < f.taken; ++i) {
    if (!std::exchange(f.parts[i].debited, false)) continue;
    lease& l = *f.parts[i].from;
    hold(l, f.charges[i].cost);
    const std::int64_t now_us = clock_();
    if (l.expires_at_us <= now_us) expiries_.push_front({now_us, l.key});
  }
  f.taken = 0;
  if (f.local.empty()) return;
  f.local.clear();
  for (std::size_t i = 0; i < f.parts.size(); ++i) {
    if (f.parts[i].how == way::local && f.parts[i].state.allowed) f.local.push_back(f.charges[i]);
  }
  if (!f.local.empty()) local_.put_back(f.local, f.members);
  f.local.clear();
}

/// Taking `now_us` for the time of sending errs to the safe side: what is remembered expires no later.
void sharing_store::forward(flight& f, std::int64_t now_us) {
  f.sent = true;
  f.sent_us = now_us;
  f.epoch = epoch_;
  shared_.execute(f.op, f.parts.empty() ? f.charges : std::span<const charge>(f.forwarded), f);
}

void sharing_store::on_shared_reply(flight& f, errc error, const store_reply& reply) {
  f.sent = false;
  if (error == errc::ok && f.epoch == epoch_) {
    learn(f.parts.empty() ? f.charges : std::span<const charge>(f.forwarded), f.op, reply, f.sent_us);
  }
  if (error != errc::ok) put_back(f);
  if (error != errc::ok || f.parts.empty()) return finish(f, error, reply);

  store_reply whole;
  whole.now_us = reply.now_us;
  bool allowed = true;
  std::size_t next = 0;
  for (const flight::part& part : f.parts) {
    const bool answered_here = part.how != way::shared;
    if (!reply.failures.empty()) whole.failures.push_back(answered_here ? errc::ok : reply.failures[next]);
    whole.states.push_back(answered_here ? part.state : reply.states[next++]);
    const bool failed = !whole.failures.empty() && whole.failures.back() != errc::ok;
    allowed = allowed && (failed || passes(f.charges[whole.states.size() - 1], whole.states.back()));
  }
  whole.admitted = allowed ? 1 : 0;
  if (!allowed) put_back(f);
  finish(f, errc::ok, whole);
}

void sharing_store::learn(std::span<const charge> charges, operation op, const store_reply& reply,
                          std::int64_t sent_us) {
  const denial_cache::exchange when{
      .sent_us = sent_us, .received_us = clock_(), .store_now_us = reply.now_us};
  for (std::size_t i = 0; i < charges.size(); ++i) {
    if (!reply.failures.empty() && reply.failures[i] != errc::ok) continue;
    denials_.learn(charges[i], op, reply.states[i], when, life_of(charges, charges[i]));
    if (charges[i].matched->sharing != sharing_mode::balanced) continue;
    auto* const watched = leases_.find(key_of(charges[i]));
    if (watched != nullptr && (*watched)->of && (*watched)->of->quota == charges[i].quota()) {
      (*watched)->last = reply.states[i];
      (*watched)->last_us = sent_us;
    }
  }
}

std::int64_t sharing_store::life_of(std::span<const charge> charges, const charge& c) const noexcept {
  std::int64_t life = denial_cache::longest_life_us;
  if (c.matched->sharing == sharing_mode::balanced) life = options_.leases.time_us;
  const bool group = options_.several_slots &&
                     std::any_of(charges.begin(), charges.end(),
                                 [&](const charge& o) { return o.subject != charges.front().subject; });
  if (group || c.matched->settles()) life = std::min(life, denial_cache::refunded_life_us);
  return life;
}

// ---- Leases --------------------------------------------------------------------------------------------

/// Counts the demand, and finds the lease that answers this charge; null: it does not pay, or cannot.
sharing_store::lease* sharing_store::watch(const charge& c, std::int64_t now_us) {
  const entry_key key = key_of(c);
  auto* found = leases_.find(key);
  if (found == nullptr) {
    if (draining_ || !make_room()) return nullptr;
    found = &leases_.insert(key);
    *found = std::make_unique<lease>(*this);
    (*found)->key = key;
    (*found)->name = c.name;
  }
  lease& l = **found;
  if (!l.of || l.of->rid != c.matched->rid || l.of->quota != c.quota()) {
    if (l.busy()) return nullptr;  // still that of another configuration
    l.of = copy_of(c);
    l.last_us = l.suppressed_until_us = 0;
  }
  l.demand.add(c.cost, now_us, options_.leases.time_us);
  const double demand = l.demand.per_lease_time(now_us, options_.leases.time_us);
  if (draining_ || (demand < options_.leases.least_demand && l.held < c.cost)) return nullptr;
  l.size = lease_size(demand, l.of->quota.burst, options_.leases);
  return c.cost <= std::max(l.size, l.held) ? &l : nullptr;
}

bool sharing_store::make_room() {
  if (!leases_.full()) return true;
  if (leases_.oldest()->busy()) return false;
  const entry_key key = leases_.oldest_key();
  leases_.erase(key);
  return true;
}

const std::shared_ptr<const rule>& sharing_store::copy_of(const charge& c) {
  const rule& r = *c.matched;
  if (rules_.size() <= r.index) rules_.resize(r.index + std::size_t{1});
  std::shared_ptr<const rule>& copy = rules_[r.index];
  if (!copy || copy->rid != r.rid || copy->quota != c.quota())
    copy = std::make_shared<const rule>(as_charged(c));
  return copy;
}

std::int64_t sharing_store::known_remaining(const lease& l, std::int64_t now_us) const noexcept {
  const quota& q = l.of->quota;
  if (l.last_us == 0) return q.burst;
  const double regained = static_cast<double>(now_us - l.last_us) * static_cast<double>(q.limit) /
                          static_cast<double>(q.period_us);
  return std::min(q.burst, l.last.remaining + static_cast<std::int64_t>(std::min(regained, 1e15)));
}

/// What headers report: the last known state of the store and the units held here.
rule_state sharing_store::lease_state(const lease& l, std::int64_t now_us) const noexcept {
  rule_state state = l.last;
  state.allowed = true;
  state.granted = 0;
  state.retry_after_us = 0;
  state.remaining = std::min(l.of->quota.burst, known_remaining(l, now_us) + l.held);
  state.reset_after_us = std::max<std::int64_t>(0, l.last.reset_after_us - (now_us - l.last_us));
  return state;
}

/// The answer to a request that finds too few units here and may not, or need not, ask for more.
rule_state sharing_store::refusal(const lease& l, const charge& c, const rule_state& known,
                                  std::int64_t now_us) const noexcept {
  rule_state state = lease_state(l, now_us);
  state.allowed = false;
  state.remaining = std::min(state.remaining, c.cost - 1);
  if (!known.allowed) state.retry_after_us = known.retry_after_us;
  if (state.retry_after_us == -1) return state;
  state.retry_after_us = std::max({std::int64_t{1}, state.retry_after_us, l.suppressed_until_us - now_us});
  return state;
}

void sharing_store::wait_for_grant(flight& f, lease& l, std::int64_t now_us) {
  f.waiting_on = &l;
  l.waiting.push_back(&f);
  if (!l.asking) ask_for_units(l, now_us);
}

void sharing_store::ask_for_units(lease& l, std::int64_t now_us) {
  std::int64_t owed = -l.held;
  for (const flight* f : l.waiting) owed += f->charges[f->taken].cost;
  l.call.matched = l.of.get();
  l.call.subject = l.key.subject;
  l.call.name = l.name;
  l.call.cost =
      units_to_ask(l.size, l.held, owed, known_remaining(l, now_us), l.of->quota.burst, options_.leases);
  l.asking = true;
  l.asked_us = now_us;
  l.epoch = epoch_;
  ++granting_;
  shared_.execute(operation::take_upto, {&l.call, 1}, l);
}

void sharing_store::on_granted(lease& l, errc error, const store_reply& reply) {
  const std::int64_t now_us = clock_();
  l.asking = false;
  --granting_;
  if (observer_ != nullptr) observer_->lease_answered(now_us - l.asked_us);
  if (error == errc::ok) note_grant(l, reply, now_us);
  serve_waiting(l, error, error == errc::ok && reply.states.front().granted < l.call.cost);
  const bool unwanted = l.epoch != epoch_ || draining_ || l.expires_at_us <= now_us;
  if (unwanted && l.held > 0 && !l.asking) give_back(l, l.held);
}

void sharing_store::note_grant(lease& l, const store_reply& reply, std::int64_t now_us) {
  const rule_state& state = reply.states.front();
  l.last = state;
  l.last_us = l.asked_us;
  l.granted_at_us = reply.now_us;
  if (state.granted > 0) {
    hold(l, state.granted);
    l.expires_at_us = now_us + options_.leases.time_us;
    expiries_.push_back({l.expires_at_us, l.key});
  }
  const quota& q = l.of->quota;
  if (state.remaining < q.burst / options_.leases.part_of_burst) {
    std::uniform_real_distribution<double> jitter(0.75, 1.25);
    const auto pause = static_cast<double>(probe_pause_us(q, members_, options_.leases)) * jitter(random_);
    l.suppressed_until_us = now_us + static_cast<std::int64_t>(pause);
  }
  if (l.epoch != epoch_) return;
  denials_.learn(l.call, operation::take_upto, state,
                 {.sent_us = l.asked_us, .received_us = now_us, .store_now_us = reply.now_us},
                 options_.leases.time_us);
}

/// First come, first served. Who finds too little waits for another grant while the store has more.
void sharing_store::serve_waiting(lease& l, errc error, bool store_is_empty) {
  for (std::size_t left = l.waiting.size(); left > 0 && !l.waiting.empty(); --left) {
    flight& f = *l.waiting.front();
    l.waiting.pop_front();
    f.waiting_on = nullptr;
    const std::int64_t now_us = clock_();
    flight::part& part = f.parts[f.taken];
    const charge& c = f.charges[f.taken];
    if (error != errc::ok) {
      put_back(f);
      finish(f, error, {});
    } else if (l.held >= c.cost || draining_) {
      advance(f);
    } else if (store_is_empty) {
      part.state = refusal(l, c, last_answer(c, now_us), now_us);
      part.decided = true;
      if (c.shadow) {
        advance(f);
      } else {
        deny(f, now_us);
      }
    } else {
      f.waiting_on = &l;
      l.waiting.push_back(&f);
    }
  }
  if (!l.waiting.empty() && !l.asking) ask_for_units(l, clock_());
}

void sharing_store::hold(lease& l, std::int64_t units) {
  l.held += units;
  held_ += units;
  if (observer_ != nullptr && units != 0) observer_->leased(*l.of, units);
}

std::int64_t sharing_store::next_wake_us() const noexcept {
  return expiries_.empty() ? -1 : expiries_.front().at_us;
}

void sharing_store::maintain() {
  const std::int64_t now_us = clock_();
  while (!expiries_.empty() && expiries_.front().at_us <= now_us) {
    const entry_key key = expiries_.front().key;
    expiries_.pop_front();
    if (auto* const found = leases_.find(key)) expire(**found, now_us);
  }
}

/// Units that were not used in time go back. Where demand goes on, the next grant would fetch them again at
/// once: only what is too much goes back, and the lease is renewed by what is missing.
void sharing_store::expire(lease& l, std::int64_t now_us) {
  if (l.expires_at_us > now_us || l.held == 0 || l.asking) return;
  const double demand = l.demand.per_lease_time(now_us, options_.leases.time_us);
  if (demand < options_.leases.least_demand || now_us < l.suppressed_until_us || draining_) {
    return give_back(l, l.held);
  }
  l.size = lease_size(demand, l.of->quota.burst, options_.leases);
  if (l.held < l.size) return ask_for_units(l, now_us);
  l.expires_at_us = now_us + options_.leases.time_us;
  expiries_.push_back({l.expires_at_us, l.key});
  if (l.held > l.size) give_back(l, l.held - l.size);
}

/// Sent once: if its outcome is unknown the units come back as time passes.
void sharing_store::give_back(lease& l, std::int64_t units) {
  hold(l, -units);
  if (idle_returns_.empty()) {
    if (returns_.size() >= most_returns) return;
    returns_.push_back(std::make_unique<giving_back>(*this));
    idle_returns_.push_back(returns_.back().get());
  }
  giving_back& g = *idle_returns_.back();
  idle_returns_.pop_back();
  g.of = l.of;
  g.call = {.matched = g.of.get(),
            .subject = l.key.subject,
            .cost = units,
            .charged_at_us = l.granted_at_us,
            .name = l.name};
  g.sent_us = clock_();
  g.epoch = epoch_;
  g.sent = true;
  ++returning_;
  shared_.execute(operation::refund, {&g.call, 1}, g);
}

void sharing_store::on_given_back(giving_back& g, errc error, const store_reply& reply) {
  g.sent = false;
  --returning_;
  if (observer_ != nullptr) observer_->lease_answered(clock_() - g.sent_us);
  idle_returns_.push_back(&g);
  if (error == errc::ok && g.epoch == epoch_) learn({&g.call, 1}, operation::refund, reply, g.sent_us);
}

void sharing_store::give_back_all() {
  leases_.for_each([this](const entry_key&, std::unique_ptr<lease>& l) {
    l->expires_at_us = 0;
    if (l->held > 0) give_back(*l, l->held);
  });
}

void sharing_store::reload() {
  forget_answers();
  give_back_all();
}

void sharing_store::drain() {
  draining_ = true;
  give_back_all();
}

}  // namespace weir::limiter
