// SPDX-License-Identifier: Apache-2.0
// Counters of this process. Each worker writes its own shard (relaxed atomics, one writer); the admin thread
// sums the shards when it is scraped and never blocks a worker.
#pragma once

#include "limiter/errc.hpp"
#include "limiter/redis/counters.hpp"
#include "limiter/rule.hpp"
#include "proxy/http/head.hpp"
#include "proxy/observe/deployment.hpp"
#include "proxy/settings.hpp"
#include "proxy/upstream/health/circuit.hpp"
#include "proxy/upstream/pool_state.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

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
inline constexpr std::array<std::int64_t, 14> buckets_a_us{5000,    10000,   25000,   50000,   75000,
                                                           100000,  250000,  500000,  750000,  1000000,
                                                           2500000, 5000000, 7500000, 10000000};
inline constexpr std::array<std::int64_t, 11> buckets_b_us{50,   100,   250,   500,   1000,  2500,
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

/// Sums of one histogram over the shards.
template <std::size_t N>
struct totals {
  std::array<std::uint64_t, N + 1> buckets{};
  std::uint64_t sum_us = 0;
  void add(const histogram<N>& h) noexcept {
    for (std::size_t i = 0; i <= N; ++i) buckets[i] += h.buckets[i].value();
    sum_us += h.sum_us.value();
  }
  void add(const totals& other) noexcept {
    for (std::size_t i = 0; i <= N; ++i) buckets[i] += other.buckets[i];
    sum_us += other.sum_us;
  }
  [[nodiscard]] std::uint64_t count() const noexcept {
    return std::accumulate(buckets.begin(), buckets.end(), std::uint64_t{0});
  }
};

inline constexpr std::size_t status_codes = 600;  ///< arrays indexed by status

/// Decisions of one rule.
struct rule_counters {
  counter allow, deny, shadow_deny;
  counter exempt;                       ///< the key's limit is `unlimited`
  std::array<counter, 3> failure_mode;  ///< by limiter::failure_mode
  counter degraded_admitted;
  counter near_limit;  ///< allowed with >= 80 % used
  enum settled_outcome { refund, exact, extra, uncollected, settled_outcome_count };
  std::array<counter, settled_outcome_count> settled;  ///< units, by what the response made of them
  counter denial_cache_hits;
  gauge leased_units;
};

/// One limit of `concurrency`.
struct concurrency_counters {
  gauge in_flight, queued;
  enum reject_reason { full, timeout, client_gone, reject_reason_count };
  std::array<counter, reject_reason_count> rejected;
};

/// Requests that `block` and `exempt` speak about, by their reason.
struct list_counters {
  counter blocked, exempt;
};

struct upstream_counters {
  histogram<buckets_a_us.size()> duration;
  std::array<counter, status_codes> by_code;  ///< responses by status; index 0 = attempts without a response
  enum retry_reason { connect_error, reset, timeout, status, retry_reason_count };
  std::array<counter, retry_reason_count> retries;
  counter budget_exhausted;
  gauge connections_idle, connections_busy, waiting;
  counter created, reused, leaked;
  std::array<counter, close_reason_count> closed;  ///< by close_reason
  histogram<buckets_b_us.size()> pool_wait;
  static constexpr std::size_t max_endpoints = 100;
  std::array<gauge, max_endpoints> endpoints_out;     ///< by endpoint: 1 while this worker does not use it
  std::array<counter, eject_reason_count> ejections;  ///< by eject_reason
};

/// Connections of one listener.
struct listener_counters {
  gauge connections;
  enum reject_reason {
    connection_limit,
    address_limit,
    descriptor_limit,
    memory_limit,
    proxy_protocol,
    reject_reason_count
  };
  std::array<counter, reject_reason_count> rejected;
  enum handshake_result { handshake_ok, handshake_failed, handshake_timeout, handshake_result_count };
  std::array<counter, handshake_result_count> handshakes;
};

/// One (method, route, status) series of http_server_request_duration_seconds.
struct request_series {
  std::uint32_t route_slot = 0;
  http::method_id method = http::method_id::other;
  int status = 0;
  histogram<buckets_a_us.size()> duration;
};

/// Names of the label values that shards count by slot. Slots are never reused while the process lives: a
/// reload that adds a rule takes a new slot; a removed one keeps its counts but is no longer exported.
class metric_names {
 public:
  static constexpr std::size_t max_slots =
      1024;  ///< per kind; beyond: the last slot, exported as `_overflow`
  /// Slot of a name, created on first use. Any thread; called at load, not per request.
  [[nodiscard]] std::uint32_t rule_slot(std::string_view name);
  [[nodiscard]] std::uint32_t route_slot(std::string_view name);  ///< includes "_none"
  [[nodiscard]] std::uint32_t upstream_slot(std::string_view name);
  [[nodiscard]] std::uint32_t listener_slot(std::string_view name);
  [[nodiscard]] std::uint32_t concurrency_slot(std::string_view name);
  [[nodiscard]] std::uint32_t list_slot(std::string_view reason);

 private:
  std::mutex mutex_;
  std::vector<std::string> rules_, routes_, upstreams_, listeners_, concurrency_, lists_;
};

/// Counters by slot, allocated on first use by the one writer and published with release, so that a reader
/// may walk them at any time. Owns them.
template <class Counters, std::size_t Slots>
class slot_table {
 public:
  slot_table() = default;
  slot_table(const slot_table&) = delete;
  slot_table& operator=(const slot_table&) = delete;
  ~slot_table() {
    for (auto& slot : slots_) delete slot.load(std::memory_order_relaxed);
  }

  /// Writer: the counters of a slot, created when it is the first use.
  [[nodiscard]] Counters& operator[](std::size_t slot) {
    Counters* found = slots_[slot].load(std::memory_order_relaxed);
    return found != nullptr ? *found : put(slot, std::make_unique<Counters>());
  }
  /// Writer: fills an empty slot.
  Counters& put(std::size_t slot, std::unique_ptr<Counters> counters) noexcept {
    slots_[slot].store(counters.get(), std::memory_order_release);
    return *counters.release();
  }
  /// Any thread; null: nothing was counted there yet.
  [[nodiscard]] const Counters* find(std::size_t slot) const noexcept {
    return slots_[slot].load(std::memory_order_acquire);
  }
  [[nodiscard]] static constexpr std::size_t size() noexcept { return Slots; }

 private:
  std::array<std::atomic<Counters*>, Slots> slots_{};
};

/// Everything one worker counts. Written by that worker only; the const members may be called from any
/// thread. The first use of a slot or series allocates.
class metric_shard {
 public:
  static constexpr std::size_t max_label_sets = 5888;     ///< of requests; beyond: `_overflow`
  using series_table = slot_table<request_series, 8192>;  ///< open addressing, at most three quarters full

  [[nodiscard]] rule_counters& rule(std::uint32_t slot) { return rules_[slot]; }
  [[nodiscard]] upstream_counters& upstream(std::uint32_t slot) { return upstreams_[slot]; }
  [[nodiscard]] listener_counters& listener(std::uint32_t slot) { return listeners_[slot]; }
  [[nodiscard]] concurrency_counters& concurrency(std::uint32_t slot) { return concurrency_[slot]; }
  [[nodiscard]] list_counters& list(std::uint32_t slot) { return lists_[slot]; }

  /// Counts one finished request. `status` 0 ... 999.
  void request(std::uint32_t route_slot, http::method_id method, int status, std::int64_t duration_us) {
    const std::uint32_t key = series_key(route_slot, method, status);
    if (key != last_key_) {
      last_series_ = &find_series(key, route_slot, method, status);
      last_key_ = key;
    }
    if (last_series_ == &overflow_series) series_overflow.add();
    last_series_->duration.observe(duration_us, buckets_a_us);
  }

  [[nodiscard]] const rule_counters* find_rule(std::uint32_t slot) const noexcept {
    return rules_.find(slot);
  }
  [[nodiscard]] const upstream_counters* find_upstream(std::uint32_t slot) const noexcept {
    return upstreams_.find(slot);
  }
  [[nodiscard]] const listener_counters* find_listener(std::uint32_t slot) const noexcept {
    return listeners_.find(slot);
  }
  [[nodiscard]] const concurrency_counters* find_concurrency(std::uint32_t slot) const noexcept {
    return concurrency_.find(slot);
  }
  [[nodiscard]] const list_counters* find_list(std::uint32_t slot) const noexcept {
    return lists_.find(slot);
  }
  [[nodiscard]] const series_table& requests() const noexcept { return series_; }

  histogram<buckets_b_us.size()> overhead;  ///< time not spent upstream
  /// What the store is asked for: decisions; what they owe afterwards; units in advance; news of the others.
  enum store_operation : std::uint8_t { take, settle, lease, admin, store_operation_count };
  std::array<histogram<buckets_b_us.size()>, store_operation_count> store_requests;  ///< durations
  std::array<counter, limiter::errc_count> store_errors;
  std::array<counter, status_codes>
      rejected_by_code;  ///< weir_http_rejected_total: refused before a decision
  /// Parts of heads that were not taken for what they said: names with `_`, and Connection options that name
  /// a field that no client may remove.
  enum ignored_part : std::uint8_t { underscore, nomination, ignored_part_count };
  std::array<counter, ignored_part_count> ignored;
  request_series overflow_series;  ///< requests of label sets beyond max_label_sets
  counter series_overflow;

 private:
  /// Never 0, the key of "no request yet".
  [[nodiscard]] static std::uint32_t series_key(std::uint32_t route_slot, http::method_id method,
                                                int status) noexcept {
    return 0x8000'0000u | route_slot << 14 | static_cast<std::uint32_t>(method) << 10 |
           (static_cast<std::uint32_t>(status) & 0x3ffu);
  }
  [[nodiscard]] request_series& find_series(std::uint32_t key, std::uint32_t route_slot,
                                            http::method_id method, int status);

  slot_table<rule_counters, metric_names::max_slots> rules_;
  slot_table<upstream_counters, metric_names::max_slots> upstreams_;
  slot_table<listener_counters, metric_names::max_slots> listeners_;
  slot_table<concurrency_counters, metric_names::max_slots> concurrency_;
  slot_table<list_counters, metric_names::max_slots> lists_;
  series_table series_;
  std::size_t series_size_ = 0;
  std::uint32_t last_key_ = 0;
  request_series* last_series_ = nullptr;
};

/// What the kernel says about this process. start_time_s 0 = not read.
struct process_stats {
  double start_time_s = 0;  ///< Unix seconds
  double cpu_s = 0;
  std::uint64_t resident_bytes = 0;
  std::uint64_t virtual_bytes = 0;
  std::uint64_t open_fds = 0;
  std::uint64_t max_fds = 0;
};
/// Reads /proc/self (process_stats.cpp). Zero where the kernel does not tell.
[[nodiscard]] process_stats read_process_stats();

/// Values that are read at scrape time from their owners.
struct scrape_inputs {
  const settings* current = nullptr;
  bool store_up = true;      ///< false: also weir_store_degraded, the failure modes decide
  std::int64_t members = 1;  ///< processes that share the limits
  bool draining = false;
  std::vector<std::int64_t> certificate_expiry_s;  ///< by current->listeners; 0: no TLS
  std::uint64_t log_dropped = 0;
  std::uint64_t reloads_ok = 0, reloads_rejected = 0, reloads_unchanged = 0;
  bool last_reload_ok = true;
  std::int64_t last_reload_success_s = 0;  ///< Unix seconds
  std::uint64_t admin_requests_200 = 0, admin_requests_404 = 0, admin_requests_503 = 0,
                admin_requests_other = 0;
  std::vector<const limiter::redis_counters*> stores;  ///< of each worker; empty: the store is not Redis
  std::int64_t store_keys = -1;                        ///< memory store; -1 = not one
  std::int64_t store_evictions = 0;
  build_info build;
  deployment place;       ///< labels of weir_build_info
  process_stats process;  ///< read_process_stats(); left out of the text when it is empty
};

/// Labels of http_server_request_duration_seconds: route, method, status.
using request_labels = std::tuple<std::string, std::string_view, int>;

using request_totals = totals<buckets_a_us.size()>;

/// What was once counted under `_overflow`, as it was last counted there: so that it never goes back when a
/// reload takes a route away or makes room.
using folded_series = std::map<request_labels, request_totals>;

/// Which label sets are told apart when not all of them may be. One that was told apart stays so while its
/// route exists, so that no counter goes back.
class series_budget {
 public:
  /// `wanted`: label sets with the number of requests of each. Answers those that are told apart: the ones
  /// that were, then the most used, up to `room` of them.
  const std::set<request_labels>& admit(const std::map<request_labels, std::uint64_t>& wanted,
                                        std::size_t room);

 private:
  std::set<request_labels> admitted_;
};

class metrics_registry {
 public:
  metric_names names;
  /// Called before the worker starts.
  metric_shard& add_shard();
  /// Prometheus text 0.0.4; passes `promtool check metrics`. Any thread.
  /// Only rules, routes, upstreams and listeners of `in.current` appear; it must not be null. At most
  /// `metrics.max_series` series, if the policy itself names fewer.
  [[nodiscard]] std::string render(const scrape_inputs& in);

 private:
  [[nodiscard]] std::vector<const metric_shard*> snapshot();

  std::mutex mutex_;         // of shards_
  std::mutex render_mutex_;  // of budget_ and folded_
  std::vector<std::unique_ptr<metric_shard>> shards_;
  series_budget budget_;
  folded_series folded_;
};

}  // namespace weir::proxy
