// SPDX-License-Identifier: Apache-2.0
// upstream_simulation [SEEDS [STEPS [FIRST_SEED]]]: limiter, pools, circuits, balancer, retry policy and
// budget of one worker on a virtual clock, before endpoints that answer, hang, refuse, reset and ask to be
// left alone as they like. The glue between them follows `forward`; the transport is made up. The last line
// is `N passed, N failed`; a failing seed is printed and shows the same again.
#include "limiter/limiter.hpp"
#include "limiter/stores/memory_store.hpp"
#include "proxy/retry/retry_policy.hpp"
#include "proxy/upstream/health/health_board.hpp"
#include "proxy/upstream/pool_state.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <list>
#include <memory>
#include <optional>
#include <queue>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace weir;
using namespace weir::proxy;

constexpr std::int64_t millisecond = 1000, second = 1'000'000;
constexpr std::int64_t connect_timeout = 250 * millisecond, acquire_timeout = 100 * millisecond;
constexpr std::int64_t first_byte_timeout = second, total_timeout = 3 * second;

void require(bool good, const char* what) {
  if (!good) throw std::runtime_error(what);
}

/// What an endpoint does with what reaches it.
enum class mood : std::uint8_t { well, slow, refuses, hangs, resets, busy_503, quota_429, count };

struct request;

struct connection final : pool_member {
  std::size_t endpoint = 0;
  request* user = nullptr;
  bool dead = false;  // the upstream closed it; nobody has noticed yet
};

struct request final : limiter::pending_decision, pool_waiter {
  enum class stage : std::uint8_t { idle, queued, connecting, exchanging, backoff, answered };
  void on_decision() override { decided = true; }
  std::uint64_t turn = 0;  // events for an earlier turn are void
  request::stage stage = stage::idle;
  bool decided = false, repeatable = true, probe = false, attempt_open = false, retry_granted = false,
       met_stale = false;
  int attempts = 0, transmissions = 0, answers = 0;
  std::vector<std::size_t> tried;
  std::size_t endpoint = 0;
  connection* lease = nullptr;
  std::int64_t deadline = 0;
  std::optional<limiter::permit> permit;
};

struct endpoint_model {
  explicit endpoint_model(const pool_settings& s) : pool(s) {}
  pool_state pool;
  std::list<std::unique_ptr<connection>> connections;
  mood now = mood::well;
  int in_flight() const { return static_cast<int>(pool.busy()); }
};

std::uint64_t draw(void* state, std::uint64_t bound) {
  return bound == 0 ? 0 : (*static_cast<std::mt19937_64*>(state))() % bound;
}

class world {
 public:
  explicit world(std::uint64_t seed) : random_(seed) {
    retry_.attempts = static_cast<int>(below(4));
    retry_.on_timeout = below(2) == 0;
    outlier_.max_ejected = static_cast<int>(below(101));
    outlier_.ejection = milliseconds(500 + below(3000));
    pool_ = {.size = 1 + below32(4), .overflow = below32(3), .max_pending = below32(5)};
    const std::size_t endpoints = 1 + below(5);
    for (std::size_t i = 0; i < endpoints; ++i) endpoints_.emplace_back(pool_);
    views_.resize(endpoints);
    for (std::size_t i = 0; i < endpoints; ++i)
      views_[i] = {.weight = 1 + static_cast<int>(below(3)), .identity = i};
    board_ = std::make_unique<health_board>(outlier_, endpoints);
    balancer_ = make_balancer(static_cast<balance_method>(below(4)));
    budget_ = std::make_unique<retry_budget>(20, 3);
    rule_.name = "simulated";
    rule_.rid = limiter::make_rule_id(rule_.name);
    rule_.quota = {.limit = 20 + static_cast<std::int64_t>(below(200)), .period_us = second, .burst = 10};
    rule_.count.classes[2] = true;  // only what went well stays charged
    mean_gap_ = 1000 + static_cast<std::int64_t>(below(20'000));
  }

  void run(int steps) {
    at(now_, kind::arrival, nullptr);
    at(now_, kind::mood_swing, nullptr);
    for (int i = 0; i < steps && !events_.empty(); ++i) next();
    ending_ = true;
    while (!events_.empty()) next();
    check_end();
  }

  [[nodiscard]] std::int64_t requests() const { return static_cast<std::int64_t>(arrived_); }
  [[nodiscard]] std::int64_t answered_well() const { return well_; }
  [[nodiscard]] std::int64_t retries() const { return retries_; }
  [[nodiscard]] std::int64_t ejections() const { return ejections_; }

 private:
  enum class kind : std::uint8_t {
    arrival,
    mood_swing,
    connected,
    refused,
    response,
    reset,
    timeout,
    retry,
    leaves
  };
  struct event {
    std::int64_t when;
    std::uint64_t order;
    kind what;
    request* who;
    std::uint64_t turn;
    int status;
    bool operator<(const event& o) const { return when != o.when ? when > o.when : order > o.order; }
  };

  std::uint64_t below(std::uint64_t bound) { return random_() % bound; }
  std::uint32_t below32(std::uint64_t bound) { return static_cast<std::uint32_t>(below(bound)); }

  void at(std::int64_t when, kind what, request* who, int status = 0) {
    events_.push({when, ++order_, what, who, who != nullptr ? who->turn : 0, status});
  }

  void next() {
    const event e = events_.top();
    events_.pop();
    now_ = std::max(now_, e.when);
    if (e.who != nullptr &&
        (e.who->stage == request::stage::answered || (e.what != kind::leaves && e.turn != e.who->turn)))
      return;
    switch (e.what) {
      case kind::arrival:
        arrive();
        break;
      case kind::mood_swing:
        swing();
        break;
      case kind::connected:
        lend(*e.who->lease, *e.who);
        transmit(*e.who);
        break;
      case kind::refused:
        close(*std::exchange(e.who->lease, nullptr));
        ended(*e.who, {outcome::connect_error, 0, -1, false});
        break;
      case kind::response:
        respond(*e.who, e.status);
        break;
      case kind::reset: {
        const bool reused = e.who->lease->reused();
        close(*std::exchange(e.who->lease, nullptr));
        ended(*e.who, {reused ? outcome::stale_connection : outcome::reset_before_headers, 0, -1, true});
        break;
      }
      case kind::timeout:
        on_timeout(*e.who);
        break;
      case kind::retry:
        attempt(*e.who);
        break;
      case kind::leaves:
        give_up(*e.who);
        answer(*e.who, 499);
        break;
    }
    check_always();
  }

  // ---- what happens outside ----

  void arrive() {
    if (ending_) return;
    at(now_ + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(mean_gap_) * 2)), kind::arrival,
       nullptr);
    ++arrived_;
    request& r = *requests_.emplace_back(std::make_unique<request>());
    r.repeatable = below(3) != 0;
    r.deadline = now_ + total_timeout;
    r.charges.push_back({.matched = &rule_, .subject = {}, .cost = 1});
    limiter_.decide(r);
    require(r.decided, "the memory store did not answer at once");
    if (r.result.verdict != limiter::verdict::allow) return answer(r, 429);
    ++admitted_;
    r.permit = r.take_permit();
    if (below(20) == 0) at(now_ + static_cast<std::int64_t>(below(2 * second)), kind::leaves, &r);
    budget_->request(now_);
    attempt(r);
  }

  void swing() {
    if (ending_) return;
    endpoint_model& e = endpoints_[below(endpoints_.size())];
    e.now = below(2) == 0 ? mood::well : static_cast<mood>(below(static_cast<std::uint64_t>(mood::count)));
    if (below(3) == 0) {  // it drops its idle connections, too
      for (const auto& c : e.connections) c->dead = c->pool_place() == pool_member::state::idle;
    }
    at(now_ + static_cast<std::int64_t>(below(2 * second)), kind::mood_swing, nullptr);
  }

  // ---- what forward does ----

  std::size_t pick(const request& r) {
    standing best = standing::out;
    for (std::size_t i = 0; i < endpoints_.size(); ++i) {
      standing how = board_->standing_of(i, !r.tried.empty(), static_cast<std::uint32_t>(random_()), now_);
      if (how == standing::fine && std::find(r.tried.begin(), r.tried.end(), i) != r.tried.end())
        how = standing::tried;
      views_[i].standing = how;
      views_[i].in_flight = static_cast<std::uint32_t>(endpoints_[i].in_flight());
      best = std::min(best, how);
    }
    const std::size_t picked = balancer_->pick(views_, {.random = random_(), .client = random_()});
    require(views_[picked].standing == best, "a worse endpoint was picked");
    // Its time came with the retry, unless everybody else went out meanwhile.
    if (!r.tried.empty() && best == standing::refusing)
      require(board_->wait_us(now_) > 0, "a refusing endpoint was asked");
    return picked;
  }

  void attempt(request& r) {
    ++r.turn;
    r.endpoint = pick(r);
    r.probe = board_->begin(r.endpoint, now_);
    r.attempt_open = true;
    r.tried.push_back(r.endpoint);
    ++r.attempts;
    require(r.attempts <= retry_.attempts + 1, "too many attempts");
    endpoint_model& e = endpoints_[r.endpoint];
    while (pool_member* idle = e.pool.newest_idle()) {
      auto& c = static_cast<connection&>(*idle);
      const bool noticed = c.dead && below(4) != 0;  // one in four closes at the moment of reuse
      if (!e.pool.unfit(c, r.repeatable, now_) && !noticed) {
        lend(c, r);
        return transmit(r);
      }
      close(c);
    }
    if (e.pool.may_open()) return dial(r);
    if (!e.pool.enqueue(r)) {
      hand_back(r, attempt_result::abandoned);
      return answer(r, 503);
    }
    r.stage = request::stage::queued;
    at(std::min(now_ + acquire_timeout, r.deadline), kind::timeout, &r);
  }

  void dial(request& r) {
    endpoint_model& e = endpoints_[r.endpoint];
    auto made = std::make_unique<connection>();
    made->endpoint = r.endpoint;
    made->user = &r;
    e.pool.opened(*made, now_, below32(201));
    r.lease = made.get();
    r.stage = request::stage::connecting;
    e.connections.push_back(std::move(made));
    ++r.turn;
    if (e.now == mood::refuses) {
      at(now_ + static_cast<std::int64_t>(below(300)), kind::refused, &r);
    } else if (e.now != mood::hangs || below(2) == 0) {
      at(now_ + 50 + static_cast<std::int64_t>(below(500)), kind::connected, &r);
    }
    at(std::min(now_ + connect_timeout, r.deadline), kind::timeout, &r);
  }

  void lend(connection& c, request& r) {
    endpoints_[c.endpoint].pool.lend(c);
    c.user = &r;
    r.lease = &c;
  }

  void transmit(request& r) {
    ++r.turn;
    r.stage = request::stage::exchanging;
    ++r.transmissions;
    require(r.repeatable || r.transmissions == 1, "a request that must not be repeated was sent twice");
    at(std::min(now_ + first_byte_timeout, r.deadline), kind::timeout, &r);
    if (r.lease->dead) return at(now_ + 40, kind::reset, &r);
    const std::int64_t soon = now_ + 100 + static_cast<std::int64_t>(below(20'000));
    switch (endpoints_[r.endpoint].now) {
      case mood::well:
      case mood::refuses:
        return at(soon, kind::response, &r, 200);
      case mood::slow:
        return at(soon + static_cast<std::int64_t>(below(2 * second)), kind::response, &r, 200);
      case mood::resets:
        return at(soon, kind::reset, &r);
      case mood::busy_503:
        return at(now_ + 100, kind::response, &r, 503);
      case mood::quota_429:
        return at(now_ + 100, kind::response, &r, 429);
      default:
        return;  // hangs
    }
  }

  void respond(request& r, int status) {
    std::int64_t floor = -1;
    if (status == 429 || status == 503) {
      board_->refused(r.endpoint, below(2) == 0 ? -1 : static_cast<std::int64_t>(below(3 * second)), now_);
      floor = board_->wait_us(now_);
    }
    endpoint_model& e = endpoints_[r.endpoint];
    connection& c = *std::exchange(r.lease, nullptr);
    c.user = nullptr;
    give_back(e, c);
    ended(r, {outcome::response, status, floor, true});
  }

  void give_back(endpoint_model& e, connection& c) {
    if (e.pool.outworn(c, now_)) return close(c);
    if (pool_waiter* w = e.pool.next_waiter()) {
      auto& waiter = static_cast<request&>(*w);
      lend(c, waiter);
      return transmit(waiter);
    }
    if (!e.pool.park(c, below(4) == 0 ? second : -1, now_)) close(c);
  }

  void close(connection& c) {
    endpoint_model& e = endpoints_[c.endpoint];
    e.pool.removed(c);
    const auto found = std::find_if(e.connections.begin(), e.connections.end(),
                                    [&](const auto& o) { return o.get() == &c; });
    e.connections.erase(found);
    while (e.pool.may_open()) {
      pool_waiter* w = e.pool.next_waiter();
      if (w == nullptr) return;
      dial(static_cast<request&>(*w));
    }
  }

  void on_timeout(request& r) {
    const auto before = r.stage;
    give_up(r);
    if (before == request::stage::queued) {
      hand_back(r, attempt_result::abandoned);
      return answer(r, 503);
    }
    ended(r, {before == request::stage::connecting ? outcome::connect_error : outcome::first_byte_timeout, 0,
              -1, before == request::stage::exchanging});
  }

  /// Leaves the line, the connect or the exchange.
  void give_up(request& r) {
    endpoints_[r.endpoint].pool.leave(r);
    if (connection* c = std::exchange(r.lease, nullptr)) close(*c);
    ++r.turn;
  }

  void hand_back(request& r, attempt_result how) {
    if (!std::exchange(r.attempt_open, false)) return;
    const health_change change = board_->end(r.endpoint, r.probe, how, now_);
    if (change.what == health_change::kind::out) ++ejections_;
  }

  void ended(request& r, const proxy::attempt& last) {
    const bool gateway = last.outcome == outcome::response && last.status == 503;
    const bool good = last.outcome == outcome::response && !gateway;
    const bool stale = last.outcome == outcome::stale_connection;
    hand_back(r, good ? attempt_result::good : stale ? attempt_result::abandoned : attempt_result::bad);
    if (std::exchange(r.retry_granted, false)) budget_->finished();
    const retry_facts facts{.method = r.repeatable ? "GET" : "POST",
                            .attempts_made = r.attempts,
                            .stale_before = r.met_stale,
                            .time_left_us = r.deadline - now_};
    const retry_step step = next_step(retry_, last, facts, *budget_, now_, draw, &random_);
    if (!step.retry) return answer(r, last.outcome == outcome::response ? last.status : 502);
    require(last.status != 429, "a 429 was retried");
    require(step.delay_us >= last.retry_after_us, "a retry before Retry-After");
    r.retry_granted = step.unit_taken;
    r.met_stale = r.met_stale || stale;
    ++retries_;
    ++r.turn;
    r.stage = request::stage::backoff;
    at(now_ + step.delay_us, kind::retry, &r);
  }

  void answer(request& r, int status) {
    hand_back(r, attempt_result::abandoned);
    if (std::exchange(r.retry_granted, false)) budget_->finished();
    require(++r.answers == 1, "answered twice");
    require(now_ <= r.deadline + 100 * millisecond, "answered after the deadline");
    r.stage = request::stage::answered;
    if (status == 200) ++well_;
    if (!r.permit) return;
    r.permit->settle({.status = status, .complete = status != 499});
    r.permit.reset();
    if (status / 100 != 2) --admitted_;  // given back
  }

  // ---- what must hold ----

  void check_always() {
    limiter::store_reply reply;
    const limiter::charge peek{.matched = &rule_, .subject = {}, .cost = 1};
    table_->execute(limiter::operation::peek, {&peek, 1}, reply);
    require(reply.states[0].remaining >= 0, "tokens below zero");
    const std::int64_t model = rule_.quota.burst + (now_ - begun_) * rule_.quota.limit / second + 1;
    require(admitted_ <= model, "more admitted than the model");
    require(board_->ejected() <= endpoints_.size() * static_cast<std::size_t>(outlier_.max_ejected) / 100,
            "too many ejected");
    std::size_t up = 0;
    for (std::size_t i = 0; i < endpoints_.size(); ++i) {
      up += board_->up(i) ? 1u : 0u;
      const pool_state& pool = endpoints_[i].pool;
      require(pool.open() == endpoints_[i].connections.size(), "connections lost");
      require(pool.open() <= std::size_t{pool_.size} + pool_.overflow, "too many connections");
      require(pool.idle() <= pool_.size, "too many idle connections");
      require(pool.waiting() <= pool_.max_pending, "too many waiters");
      require(pool.waiting() == 0 || pool.idle() == 0, "a waiter beside an idle connection");
    }
    require(up > 0, "the last endpoint was ejected");
    require(budget_->active() >= 0, "the retry budget is overdrawn");
  }

  void check_end() {
    for (const auto& r : requests_) require(r->answers == 1, "a request without an answer");
    for (const endpoint_model& e : endpoints_) {
      require(e.pool.busy() == 0, "a connection was never given back");
      require(e.pool.waiting() == 0, "somebody waits for ever");
    }
    require(budget_->active() == 0, "a unit of the retry budget was never given back");
    now_ += 1000 * second;
    limiter::store_reply reply;
    const limiter::charge peek{.matched = &rule_, .subject = {}, .cost = 1};
    table_->execute(limiter::operation::peek, {&peek, 1}, reply);
    require(reply.states[0].remaining == rule_.quota.burst, "the bucket does not fill again");
    // Nobody is left out for good: every circuit lets a probe pass by now.
    for (std::size_t i = 0; i < endpoints_.size(); ++i)
      require(board_->standing_of(i, true, 0, now_) == standing::fine, "a probe was never told");
  }

  std::mt19937_64 random_;
  std::int64_t now_ = 4'102'444'800'000'000;
  const std::int64_t begun_ = now_;
  std::uint64_t order_ = 0;
  std::priority_queue<event> events_;
  bool ending_ = false;
  std::int64_t mean_gap_ = 0;
  retry_settings retry_;
  outlier_settings outlier_;
  pool_settings pool_;
  std::vector<endpoint_model> endpoints_;
  std::vector<endpoint_view> views_;
  std::unique_ptr<health_board> board_;
  std::unique_ptr<balancer> balancer_;
  std::unique_ptr<retry_budget> budget_;
  limiter::rule rule_;
  std::shared_ptr<limiter::memory_table> table_ = std::make_shared<limiter::memory_table>(
      limiter::memory_table::options{.max_keys = 1000, .shards = 1, .clock = [this] { return now_; }});
  limiter::memory_store store_{table_};
  limiter::rate_limiter limiter_{store_, store_, 1};
  std::vector<std::unique_ptr<request>> requests_;
  std::size_t arrived_ = 0;
  std::int64_t admitted_ = 0, well_ = 0, retries_ = 0, ejections_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  const int seeds = argc > 1 ? std::atoi(argv[1]) : 1000;
  const int steps = argc > 2 ? std::atoi(argv[2]) : 1000;
  const int first = argc > 3 ? std::atoi(argv[3]) : 1;
  int passed = 0, failed = 0;
  std::int64_t requests = 0, well = 0, retries = 0, ejections = 0;
  for (int seed = first; seed < first + seeds; ++seed) {
    world w(static_cast<std::uint64_t>(seed));
    try {
      w.run(steps);
      ++passed;
    } catch (const std::exception& error) {
      ++failed;
      std::printf("FAILED  seed %d: %s\n", seed, error.what());
    }
    requests += w.requests();
    well += w.answered_well();
    retries += w.retries();
    ejections += w.ejections();
  }
  std::printf("%d steps each: %lld requests, %lld answered well, %lld retries, %lld ejections\n", steps,
              static_cast<long long>(requests), static_cast<long long>(well), static_cast<long long>(retries),
              static_cast<long long>(ejections));
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 && passed > 0 ? 0 : 1;
}
