// SPDX-License-Identifier: Apache-2.0
#include "simulation.hpp"

#include "limiter/sharing/sharing_store.hpp"
#include "limiter/stores/memory_store.hpp"

#include <algorithm>
#include <cmath>
#include <deque>
#include <functional>
#include <memory>
#include <queue>
#include <random>

namespace weir::simulation {
namespace {

using namespace limiter;

constexpr std::int64_t start_us = 4'102'444'800'000'000;  // 2100-01-01
constexpr double round_trip_us = 500, jitter_us = 200;
constexpr std::int64_t maintenance_us = 10'000;
constexpr std::int64_t settle_us = 5'000;

class world {
 public:
  explicit world(std::uint64_t seed) : random(seed) {}

  void at(std::int64_t when_us, std::function<void()> what) {
    events_.push({when_us, ++number_, std::move(what)});
  }
  [[nodiscard]] std::int64_t next_us() const { return events_.empty() ? INT64_MAX : events_.top().when_us; }
  void run_next() {
    event e = std::move(const_cast<event&>(events_.top()));
    events_.pop();
    now_us = e.when_us;
    e.what();
  }
  [[nodiscard]] std::int64_t half_trip() {
    std::exponential_distribution<double> jitter(1 / jitter_us);
    return static_cast<std::int64_t>((round_trip_us + jitter(random)) / 2);
  }

  std::int64_t now_us = start_us;
  std::mt19937_64 random;

 private:
  struct event {
    std::int64_t when_us;
    std::uint64_t order;
    std::function<void()> what;
    bool operator<(const event& o) const {
      return when_us != o.when_us ? when_us > o.when_us : order > o.order;
    }
  };
  std::priority_queue<event> events_;
  std::uint64_t number_ = 0;
};

/// The table that all processes share, and what it was asked.
struct central {
  explicit central(world& w)
      : table({.max_keys = 4'000'000, .shards = 64, .clock = [&w] { return w.now_us; }}) {}
  memory_table table;
  std::int64_t calls = 0, evaluations = 0;
};

/// One process' connection.
class link final : public store {
 public:
  link(world& w, central& c, bool coalesce) : world_(w), central_(c), coalesce_(coalesce) {}

  void execute(operation op, std::span<const charge> charges, store_waiter& waiter) override {
    waiting_.push_back({op, charges.front(), &waiter, {}});
    if (!coalesce_ || !in_flight_) send();
  }
  void cancel(store_waiter&) noexcept override {}
  [[nodiscard]] bool available() const noexcept override { return true; }

 private:
  struct call {
    operation op;
    charge what;
    store_waiter* waiter;
    store_reply reply;
  };

  void send() {
    in_flight_ = true;
    auto batch = std::make_shared<std::vector<call>>();
    batch->swap(waiting_);
    ++central_.calls;
    world_.at(world_.now_us + world_.half_trip(), [this, batch] { decide(*batch, batch); });
  }

  void decide(std::vector<call>& batch, const std::shared_ptr<std::vector<call>>& owner) {
    for (std::size_t i = 0; i < batch.size(); ++i) {
      call& c = batch[i];
      central_.table.execute(c.op, {&c.what, 1}, c.reply);
      const auto equal = [&c](const call& o) {
        return o.op == c.op && o.what.subject == c.what.subject && o.what.cost == c.what.cost;
      };
      const auto end = batch.begin() + static_cast<std::ptrdiff_t>(i);
      const bool merged = coalesce_ && c.op == operation::take && std::any_of(batch.begin(), end, equal);
      if (!merged) ++central_.evaluations;
    }
    world_.at(world_.now_us + world_.half_trip(), [this, owner] { answer(*owner); });
  }

  void answer(std::vector<call>& batch) {
    in_flight_ = false;
    for (call& c : batch) c.waiter->on_store_reply(errc::ok, c.reply);
    if (!waiting_.empty() && !in_flight_) send();
  }

  world& world_;
  central& central_;
  bool coalesce_;
  bool in_flight_ = false;
  std::vector<call> waiting_;
};

struct process {
  process(world& w, central& c, const scenario& s, std::uint64_t seed)
      : wire(w, c, s.how == technique::coalesced_cache || s.how == technique::balanced),
        own(std::make_shared<memory_table>(
            memory_table::options{.max_keys = 16, .shards = 1, .clock = [&w] { return w.now_us; }})),
        own_store(own),
        share(own_store, seed),
        sharing(wire, share, [&w] { return w.now_us; }, {.max_leases = 65'536, .seed = seed}) {}
  link wire;
  std::shared_ptr<memory_table> own;
  memory_store own_store;
  local_share share;
  sharing_store sharing;
};

std::vector<double> cumulative(int n, double exponent) {
  std::vector<double> sums(static_cast<std::size_t>(n));
  double sum = 0;
  for (int i = 0; i < n; ++i) sums[static_cast<std::size_t>(i)] = sum += std::pow(i + 1, -exponent);
  for (double& s : sums) s /= sum;
  return sums;
}

std::size_t draw(const std::vector<double>& sums, std::mt19937_64& random) {
  const double u = std::uniform_real_distribution<double>()(random);
  return std::min(sums.size() - 1,
                  static_cast<std::size_t>(std::upper_bound(sums.begin(), sums.end(), u) - sums.begin()));
}

struct key_record {
  subject_key subject;
  double tokens = 0;  // of the ideal bucket
  std::int64_t ideal_at_us = start_us;
  std::int64_t offered = 0, ideal = 0, admitted = 0;
  std::int64_t refunded_at_us = INT64_MIN / 2;
  std::vector<std::int64_t> admissions_us;
};

class experiment {
 public:
  explicit experiment(const scenario& s)
      : s_(s),
        world_(s.seed),
        central_(world_),
        key_sums_(cumulative(s.keys, s.zipf)),
        process_sums_(cumulative(s.processes, s.skewed ? 1 : 0)),
        keys_(static_cast<std::size_t>(s.keys)) {
    rule_.name = "simulated";
    rule_.rid = make_rule_id(rule_.name);
    rule_.quota = s.quota;
    rule_.sharing = s.how == technique::balanced ? sharing_mode::balanced : sharing_mode::strict;
    if (s.refunds > 0) rule_.count.classes[4] = true;
    for (std::size_t i = 0; i < keys_.size(); ++i) {
      keys_[i].subject = hash_subject("key " + std::to_string(i));
      keys_[i].tokens = static_cast<double>(s.quota.burst);
    }
    for (int i = 0; i < s.processes; ++i) {
      processes_.push_back(
          std::make_unique<process>(world_, central_, s, s.seed * 1'000'003 + static_cast<std::uint64_t>(i)));
      processes_.back()->sharing.set_members(s.processes);
    }
  }

  outcome run() {
    const auto end_us = start_us + static_cast<std::int64_t>(s_.seconds * 1e6);
    std::exponential_distribution<double> gap(s_.rate / 1e6);
    double arrival = static_cast<double>(world_.now_us - start_us) + gap(world_.random);
    std::int64_t maintenance = start_us;
    while (true) {
      const std::int64_t arrival_us = start_us + static_cast<std::int64_t>(arrival);
      const std::int64_t next = std::min({arrival_us, maintenance, world_.next_us()});
      if (next >= end_us) break;
      if (next == world_.next_us()) {
        world_.run_next();
      } else if (next == maintenance) {
        world_.now_us = maintenance;
        for (const auto& p : processes_) p->sharing.maintain();
        maintenance += maintenance_us;
      } else {
        world_.now_us = arrival_us;
        arrive();
        arrival += gap(world_.random);
      }
    }
    return measure();
  }

 private:
  struct request final : store_waiter {
    void on_store_reply(errc error, const store_reply& reply) override {
      owner->answered(*this, error, reply);
    }
    experiment* owner = nullptr;
    std::size_t key = 0, process = 0;
    charge what;
    std::int64_t arrived_us = 0;
    bool refunding = false;
    bool asked = false;  // a call was made before the answer
  };

  request& new_request() {
    if (idle_.empty()) {
      requests_.emplace_back();
      idle_.push_back(&requests_.back());
    }
    request& r = *idle_.back();
    idle_.pop_back();
    r.owner = this;
    return r;
  }

  void arrive() {
    request& r = new_request();
    r.key = draw(key_sums_, world_.random);
    r.process = draw(process_sums_, world_.random);
    r.what = {.matched = &rule_, .subject = keys_[r.key].subject, .cost = 1};
    r.arrived_us = world_.now_us;
    r.refunding = r.asked = false;
    ++result_.requests;
    ideal(keys_[r.key]);
    process& p = *processes_[r.process];
    store& front = s_.how == technique::sync ? static_cast<store&>(p.wire) : p.sharing;
    at_once_ = true;
    front.execute(operation::take, {&r.what, 1}, r);
    at_once_ = false;
  }

  void ideal(key_record& k) {
    const double rate = static_cast<double>(s_.quota.limit) / static_cast<double>(s_.quota.period_us);
    k.tokens = std::min(static_cast<double>(s_.quota.burst),
                        k.tokens + static_cast<double>(world_.now_us - k.ideal_at_us) * rate);
    k.ideal_at_us = world_.now_us;
    ++k.offered;
    if (k.tokens < 1) return;
    k.tokens -= 1;
    ++k.ideal;
  }

  void answered(request& r, errc, const store_reply& reply) {
    key_record& k = keys_[r.key];
    if (r.refunding) {
      k.refunded_at_us = world_.now_us;
      idle_.push_back(&r);
      return;
    }
    const auto waited = static_cast<double>(world_.now_us - r.arrived_us);
    waits_.push_back(static_cast<float>(waited));
    const bool here = at_once_ && r.arrived_us == world_.now_us;
    if (here) ++local_;
    const bool allowed = reply.states.front().allowed;
    if (!allowed && here) check_denial(r);
    if (allowed) {
      ++k.admitted;
      k.admissions_us.push_back(reply.now_us > 0 ? reply.now_us : world_.now_us);
      if (s_.refunds > 0 && std::uniform_real_distribution<double>()(world_.random) < s_.refunds) {
        world_.at(world_.now_us + settle_us, [this, &r] { refund(r); });
        return;
      }
    }
    idle_.push_back(&r);
  }

  void refund(request& r) {
    r.refunding = true;
    keys_[r.key].refunded_at_us = world_.now_us;
    processes_[r.process]->sharing.execute(operation::refund, {&r.what, 1}, r);
  }

  /// Was the store asked it would deny as well, unless units came back in the meantime.
  void check_denial(const request& r) {
    if (s_.how == technique::balanced) return;
    ++result_.denied_from_cache;
    store_reply truth;
    central_.table.execute(operation::peek, {&r.what, 1}, truth);
    if (!truth.states.front().allowed) return;
    ++result_.wrong_denials;
    constexpr std::int64_t excused_us = denial_cache::refunded_life_us + 5'000;
    if (world_.now_us - keys_[r.key].refunded_at_us > excused_us) ++result_.unexplained_denials;
  }

  outcome measure() {
    result_.calls = static_cast<double>(central_.calls) / s_.seconds;
    result_.evaluations = static_cast<double>(central_.evaluations) / s_.seconds;
    const double rate = static_cast<double>(s_.quota.limit) / static_cast<double>(s_.quota.period_us);
    std::int64_t hot_ideal = 0, hot_admitted = 0;
    double burst = 0;
    for (key_record& k : keys_) {
      result_.admitted += k.admitted;
      result_.ideal += k.ideal;
      if (k.ideal < k.offered) {
        hot_ideal += k.ideal;
        hot_admitted += k.admitted;
      }
      std::sort(k.admissions_us.begin(), k.admissions_us.end());
      double level = 0;
      std::int64_t before = start_us;
      for (const std::int64_t at : k.admissions_us) {
        level = std::max(0.0, level - static_cast<double>(at - before) * rate) + 1;
        before = at;
        burst = std::max(burst, level);
      }
    }
    result_.burst = burst / static_cast<double>(s_.quota.burst);
    result_.admitted_of_ideal =
        hot_ideal > 0 ? static_cast<double>(hot_admitted) / static_cast<double>(hot_ideal)
                      : static_cast<double>(result_.admitted) / static_cast<double>(result_.ideal);
    result_.local_share = static_cast<double>(local_) / static_cast<double>(result_.requests);
    std::sort(waits_.begin(), waits_.end());
    if (!waits_.empty()) {
      result_.p50_us = static_cast<double>(waits_[waits_.size() / 2]);
      result_.p99_us = static_cast<double>(waits_[waits_.size() * 99 / 100]);
    }
    return result_;
  }

  const scenario& s_;
  world world_;
  central central_;
  rule rule_;
  std::vector<double> key_sums_, process_sums_;
  std::vector<key_record> keys_;
  std::deque<request> requests_;
  std::vector<request*> idle_;
  std::vector<std::unique_ptr<process>> processes_;
  std::vector<float> waits_;
  std::int64_t local_ = 0;
  bool at_once_ = false;
  outcome result_;
};

}  // namespace

outcome run(const scenario& s) {
  return experiment(s).run();
}

}  // namespace weir::simulation
