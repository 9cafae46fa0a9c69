// SPDX-License-Identifier: Apache-2.0
// One thread, one io_context, its own listeners, sessions, upstream pools, Redis connection, metric shard and
// log ring.
#pragma once

#include "limiter/limiter.hpp"
#include "limiter/stores/memory_store.hpp"
#include "limiter/stores/redis_store.hpp"
#include "proxy/downstream/listener.hpp"
#include "proxy/downstream/session.hpp"
#include "proxy/runtime/compiled_config.hpp"
#include "proxy/runtime/heartbeat.hpp"
#include "proxy/runtime/services.hpp"
#include "proxy/slots/slot_desk.hpp"

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <vector>

namespace weir::proxy {

/// What the process gives a worker at start.
struct worker_setup {
  std::shared_ptr<const settings> config;
  resolved_endpoints addresses;
  std::shared_ptr<const tls::context_set> tls;
  std::vector<int> listening;                           ///< one descriptor per listener; taken over
  std::shared_ptr<limiter::memory_table> shared_table;  ///< store memory://
  std::shared_ptr<limiter::memory_table> local_table;   ///< failure_mode local
  std::string member;                                   ///< names this process to others that share the store
  bool leads = false;                                   ///< this worker sends the process' heartbeat
  std::shared_ptr<limiter::members_board> members;
  log_ring* access_log = nullptr;
  connection_places* places = nullptr;          ///< of the process; outlives the worker
  std::size_t buffer_budget = 0;                ///< bytes of all connections' buffers
  std::size_t number = 0;                       ///< of the worker, from 0
  slots::waiting_room* waiting_room = nullptr;  ///< of the process; outlives the worker
  std::function<void()> on_stopped;             ///< called on the worker's thread as it ends
  /// A named endpoint could not be reached; called on the worker's thread.
  std::function<void(const socket_address&)> on_unreachable;
};

class worker final : private limiter::settlement_observer {
 public:
  worker(worker_setup setup, metrics_registry& metrics);
  ~worker();
  worker(const worker&) = delete;
  worker& operator=(const worker&) = delete;

  /// The thread's body; returns when the worker has drained or was cut.
  void run();

  // Any thread:
  /// Requests that begin after it use the new configuration.
  /// `listening`: a descriptor for each listener that is new, taken over; -1 for the others.
  void reload(std::shared_ptr<const settings> config, resolved_endpoints addresses,
              std::shared_ptr<const tls::context_set> tls, std::vector<int> listening);
  /// New addresses of one endpoint, by upstream name.
  void update_addresses(std::string upstream_name, std::size_t endpoint,
                        std::vector<resolved_address> addresses);
  /// The active checks changed their mind about one endpoint, by upstream name.
  void update_health(std::string upstream_name, std::size_t endpoint, bool healthy);
  /// The process will end soon: responses say Connection: close, new connections are still accepted.
  void announce_leaving();
  /// Closes the listeners and idle connections; run() returns when the last request is done.
  void drain();
  /// Ends everything now. cut_requests() then tells how many were in flight.
  void cut();

  /// Frees what is kept for more connections than there are now.
  void drop_spare_memory();

  /// It is the turn of a request that waits for a slot.
  void call_waiter(std::uint64_t number);

  [[nodiscard]] bool store_available() const noexcept;
  /// Null: the store is not Redis.
  [[nodiscard]] const limiter::redis_counters* store_counters() const noexcept {
    return redis_ == nullptr ? nullptr : &redis_->counters();
  }
  [[nodiscard]] std::uint64_t cut_requests() const noexcept {
    return cut_requests_.load(std::memory_order_relaxed);
  }

 private:
  void run_loop();
  /// The upstream of that name, if it has such an endpoint; else null.
  [[nodiscard]] upstream* find_upstream(std::string_view name, std::size_t endpoint) const;
  void begin_turn();
  /// The end of a turn: what it decided leaves, who died in it is freed, what it armed is due.
  void settle();
  /// Outside of a turn: one that only settles.
  void settle_soon();
  void arm_wheel();
  void stop_when_drained();
  void make_store(const worker_setup& setup);
  [[nodiscard]] std::unique_ptr<listener> make_listener(const listener_settings& wanted, int fd,
                                                        std::shared_ptr<const tls::server_context> tls);
  void update_listeners(const settings& config, const tls::context_set& tls,
                        const std::vector<int>& listening);
  void start_listener(listener& added) noexcept;
  void retire_listener(listener& gone);
  void on_settled(const limiter::settled& what) override;
  [[nodiscard]] std::int64_t now_us() const noexcept override;
  void make_sharing(const worker_setup& setup);
  [[nodiscard]] bool return_timed_out();

  metric_names& names_;
  metric_shard& shard_;
  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  boost::asio::steady_timer wheel_timer_;
  buffer_pool buffers_;
  request_pool requests_;
  random_source random_;
  timer_wheel wheel_;
  graveyard dead_;
  turn_queues turns_;
  slots::slot_desk desk_;
  readiness_set sockets_;
  services services_;
  std::unique_ptr<limiter::store> store_;
  limiter::redis_store* redis_ = nullptr;  // store_, when it is one
  std::unique_ptr<limiter::store> local_store_;
  std::unique_ptr<limiter::local_share> share_;
  std::unique_ptr<limiter::sharing_store> sharing_;  // in front of redis_
  sharing_metrics sharing_metrics_;
  std::unique_ptr<limiter::rate_limiter> limiter_;
  std::unique_ptr<heartbeat> heartbeat_;  // with sharing_
  std::unique_ptr<session_set> sessions_;
  connection_places& places_;
  std::vector<std::unique_ptr<listener>> listeners_;  // by settings::listeners
  std::function<void()> on_stopped_;
  std::int64_t wheel_wake_us_ = -1;  // when wheel_timer_ will fire; -1 = not armed
  bool settle_posted_ = false;
  bool in_turn_ = false;  // between begin_turn() and settle()
  bool stopping_ = false;
  std::int64_t return_deadline_us_ = 0;  // of leased units, when everything else is done
  std::atomic<std::uint64_t> cut_requests_{0};
};

}  // namespace weir::proxy
