// SPDX-License-Identifier: Apache-2.0
// Counters of this process. Each worker writes its own shard (relaxed atomics, one writer); the admin thread sums the
// shards when it is scraped and never blocks a worker.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "limiter/errc.hpp"
#include "limiter/rule.hpp"
#include "proxy/http/head.hpp"
#include "proxy/settings.hpp"

namespace weir::proxy {

/// A counter with one writer.
class counter {
 public:
  void add(std::uint64_t n = 1) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

/// A gauge with one writer.
class gauge {
 public:
  void add(std::int64_t n) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  [[nodiscard]] std::int64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::int64_t> value_{0};
};

/// Bucket bounds in microseconds: A = OpenTelemetry's for requests, B = finer, for parts of a request.
inline constexpr std::array<std::int64_t, 14> buckets_a_us{5000,   10000,  25000,   50000,   75000,   100000,  250000,
                                                           500000, 750000, 1000000, 2500000, 5000000, 7500000, 10000000};
inline constexpr std::array<std::int64_t, 11> buckets_b_us{50,   100,  250,   500,   1000,  2500,
                                                           5000, 10000, 25000, 50000, 100000};

template <std::size_t N>
struct histogram {
  std::array<counter, N + 1> buckets;  ///< last = +Inf; not cumulative
  counter sum_us;
  void observe(std::int64_t us, const std::array<std::int64_t, N>& bounds) noexcept {
    std::size_t i = 0;
    while (i < N && us > bounds[i]) ++i;
    buckets[i].add();
    sum_us.add(us > 0 ? static_cast<std::uint64_t>(us) : 0);
  }
};

/// Decisions of one rule.
struct rule_counters {
  counter allow, deny;
  std::array<counter, 3> failure_mode;  ///< by limiter::failure_mode
  counter degraded_admitted;
  counter near_limit;                   ///< allowed with >= 80 % used
};

struct upstream_counters {
  histogram<buckets_a_us.size()> duration;
  std::array<counter, 600> by_code;     ///< responses by status; index 0 = attempts without a response
  enum retry_reason { connect_error, reset, timeout, status, retry_reason_count };
  std::array<counter, retry_reason_count> retries;
  counter budget_exhausted;
  gauge connections_idle, connections_busy;
  histogram<buckets_b_us.size()> pool_wait;
};

/// One (method, route, status) series of http_server_request_duration_seconds.
struct request_series {
  std::atomic<std::uint64_t> key{0};    ///< 0 = free; else 1 + packed (route slot, method, status)
  histogram<buckets_a_us.size()> duration;
};

/// Names of the label values that shards count by slot. Slots are never reused while the process lives: a reload that
/// adds a rule takes a new slot; a removed one keeps its counts but is no longer exported.
class metric_names {
 public:
  static constexpr std::size_t max_slots = 1024;  ///< per kind; beyond: the last slot, exported as `_overflow`
  /// Slot of a name, created on first use. Any thread; called at load, not per request.
  [[nodiscard]] std::uint32_t rule_slot(std::string_view name);
  [[nodiscard]] std::uint32_t route_slot(std::string_view name);   ///< includes "_none"
  [[nodiscard]] std::uint32_t upstream_slot(std::string_view name);

 private:
  friend class metrics_registry;
  std::mutex mutex_;
  std::vector<std::string> rules_, routes_, upstreams_;
};

/// Everything one worker counts. Written by that worker only.
class metric_shard {
 public:
  metric_shard();
  [[nodiscard]] rule_counters& rule(std::uint32_t slot) noexcept;
  [[nodiscard]] upstream_counters& upstream(std::uint32_t slot) noexcept;
  /// Counts one finished request. Distinct series are bounded (2048 per shard); beyond: counted in overflow.
  void request(std::uint32_t route_slot, http::method_id method, int status, std::int64_t duration_us) noexcept;

  histogram<buckets_b_us.size()> overhead;        ///< time not spent upstream
  histogram<buckets_b_us.size()> store_take;      ///< duration of decisions in the store
  std::array<counter, limiter::errc_count> store_errors;
  std::vector<gauge> connections;                 ///< by listener index
  counter connections_rejected;
  std::array<counter, 600> rejected_by_code;      ///< weir_http_rejected_total: refused before a decision
  counter series_overflow;

 private:
  friend class metrics_registry;
  // chunks are allocated on first use and published with release, so the scraper may read them at any time
  std::array<std::atomic<rule_counters*>, metric_names::max_slots> rules_{};
  std::array<std::atomic<upstream_counters*>, metric_names::max_slots> upstreams_{};
  std::vector<request_series> series_;
  std::vector<std::unique_ptr<rule_counters>> rule_storage_;
  std::vector<std::unique_ptr<upstream_counters>> upstream_storage_;
};

/// Values that are read at scrape time from their owners.
struct scrape_inputs {
  const settings* current = nullptr;
  bool store_up = true;
  bool draining = false;
  std::uint64_t log_dropped = 0;
  std::uint64_t reloads_ok = 0, reloads_rejected = 0, reloads_unchanged = 0;
  bool last_reload_ok = true;
  std::int64_t last_reload_success_s = 0;   ///< Unix seconds
  std::uint64_t admin_requests_200 = 0, admin_requests_404 = 0, admin_requests_503 = 0, admin_requests_other = 0;
  std::int64_t store_keys = -1;             ///< memory store; -1 = not one
  std::int64_t store_evictions = 0;
  std::string_view version, compiler;
};

class metrics_registry {
 public:
  metric_names names;
  /// Called before the worker starts.
  metric_shard& add_shard();
  /// Prometheus text 0.0.4; passes `promtool check metrics`. Any thread.
  [[nodiscard]] std::string render(const scrape_inputs& in);

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<metric_shard>> shards_;
};

}  // namespace weir::proxy
