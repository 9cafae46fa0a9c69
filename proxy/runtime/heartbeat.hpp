// SPDX-License-Identifier: Apache-2.0
// One worker's part in sharing limits with other processes: how many they are, what goes back when, and the
// metrics.
#pragma once

#include "limiter/limiter.hpp"
#include "limiter/sharing/sharing_store.hpp"
#include "proxy/observe/metrics.hpp"
#include "proxy/runtime/timer_wheel.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace weir::proxy {

/// Counts what a worker's sharing store does, by rule.
class sharing_metrics final : public limiter::sharing_observer {
 public:
  sharing_metrics(metric_names& names, metric_shard& shard) : names_(names), shard_(shard) {}
  void denied_from_cache(const limiter::rule& r) override { counters(r).denial_cache_hits.add(); }
  void leased(const limiter::rule& r, std::int64_t difference) override {
    counters(r).leased_units.add(difference);
  }
  void lease_answered(std::int64_t took_us) override {
    shard_.store_requests[metric_shard::lease].observe(took_us, buckets_b_us);
  }

 private:
  [[nodiscard]] rule_counters& counters(const limiter::rule& r);

  struct known {
    limiter::rule_id rid;  // what the store knows a rule by
    std::uint32_t slot = 0;
  };
  metric_names& names_;
  metric_shard& shard_;
  std::vector<known> slots_;  // by rule index; units may belong to a rule of an older configuration
};

/// Beats once a second. One worker of the process tells the store; all learn from the board. Lives on the
/// worker's thread.
class heartbeat final : public limiter::heartbeat_waiter {
 public:
  struct options {
    std::int64_t replicas = 0;  ///< N; 0 = as many as are heard of
    std::string member;         ///< of this process
    bool leads = false;         ///< this worker tells the store
    std::shared_ptr<limiter::members_board> board;
    std::function<std::string()> fingerprint;  ///< of the configuration now
    std::function<std::int64_t()> clock;
    metric_shard* metrics = nullptr;  ///< of this worker
  };
  heartbeat(timer_wheel& timers, limiter::sharing_store& sharing, limiter::rate_limiter& front, options o);

  void start();
  /// Arms the timer of the units that are held, if any. To be called at the end of each turn.
  void watch_leases();
  /// Wakes the worker soon, when units are on their way back and nothing else would.
  void look_again();
  void stop() noexcept;

  void on_heartbeat(limiter::errc error, const limiter::heartbeat_answer& answer) override;

 private:
  struct beat_timer final : timer {
    explicit beat_timer(heartbeat& h) : owner(h) {}
    void on_timer() override { owner.beat(); }
    heartbeat& owner;
  };
  struct lease_timer final : timer {
    explicit lease_timer(heartbeat& h) : owner(h) {}
    void on_timer() override { owner.sharing_.maintain(); }
    heartbeat& owner;
  };
  void beat();
  void apply();

  timer_wheel& timers_;
  limiter::sharing_store& sharing_;
  limiter::rate_limiter& front_;
  const options options_;
  limiter::members members_;
  std::int64_t resets_ = 0;  // applied here
  bool waiting_ = false;     // for the answer of the store
  std::int64_t sent_us_ = 0;
  beat_timer beat_timer_{*this};
  lease_timer lease_timer_{*this};
};

}  // namespace weir::proxy
