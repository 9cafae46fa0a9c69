// SPDX-License-Identifier: Apache-2.0
#include "proxy/runtime/server.hpp"

#include "proxy/admin/admin_server.hpp"
#include "proxy/observe/log_ring.hpp"
#include "proxy/observe/log_writer.hpp"
#include "proxy/observe/metrics.hpp"
#include "proxy/observe/own_log.hpp"
#include "proxy/runtime/bound_listeners.hpp"
#include "proxy/runtime/cpu_quota.hpp"
#include "proxy/runtime/descriptors.hpp"
#include "proxy/runtime/endpoint_resolver.hpp"
#include "proxy/runtime/fatal_signals.hpp"
#include "proxy/runtime/memory_limit.hpp"
#include "proxy/runtime/reloader.hpp"
#include "proxy/runtime/spare_memory.hpp"
#include "proxy/runtime/storm_watch.hpp"
#include "proxy/runtime/worker.hpp"
#include "proxy/upstream/health_check.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <fmt/format.h>
#include <malloc.h>
#include <new>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>

namespace weir::proxy {

namespace {

constexpr std::chrono::milliseconds log_flush_patience{1000};
constexpr std::chrono::seconds storm_interval{2};
/// What is larger is a table of a configuration: when the next one takes its place, its pages go back at
/// once. Left to itself the allocator would learn from the first one to keep them.
constexpr int largest_kept_block = 1024 * 1024;

/// `auto`: the descriptor limit less 64 for everything that is not a client connection.
std::uint32_t connection_limit(const limit_settings& limits) {
  if (limits.connections > 0) return limits.connections;
  return static_cast<std::uint32_t>(std::max(descriptor_limit() - descriptors_kept_from_clients, 16));
}

class server {
 public:
  server(std::shared_ptr<const settings> initial, const reload_function& reload, const build_info& build)
      : build_(build),
        places_(connection_limit(initial->limits)),
        resolver_(io_,
                  [this](const std::string& upstream, std::size_t endpoint,
                         const std::vector<resolved_address>& addresses) {
                    for (const auto& w : workers_) w->update_addresses(upstream, endpoint, addresses);
                    checker_.set_addresses(upstream, endpoint, addresses);
                  }),
        checker_(io_,
                 [this](const std::string& upstream, std::size_t endpoint, bool healthy) {
                   for (const auto& w : workers_) w->update_health(upstream, endpoint, healthy);
                 }),
        signals_(io_, SIGTERM, SIGINT),
        drain_timer_(io_),
        cut_timer_(io_),
        storm_timer_(io_),
        reloader_(io_, reload, resolver_,
                  [this](const prepared_config& next, const resolved_endpoints& addresses) {
                    take_over(next, addresses);
                  }),
        initial_(std::move(initial)) {
    signals_.add(SIGHUP);
    signals_.add(SIGUSR1);
  }

  int run();

 private:
  void run_loop();
  void make_workers(const prepared_config& first, bound_listeners& bound, std::size_t count);
  void announce(int workers) const;
  void wait_for_signal();
  void on_signal(int signal);
  void begin_drain(milliseconds delay);
  void cut();
  void on_worker_stopped();
  /// All workers have ended: nothing may begin a new wait on this thread.
  [[nodiscard]] bool over() const noexcept { return stopped_ == workers_.size(); }
  void watch_storms();
  void admin_reload(const std::string& peer, const reload_answer& done);
  void take_over(const prepared_config& next, const resolved_endpoints& addresses);
  [[nodiscard]] resolved_endpoints first_addresses(const std::shared_ptr<const settings>& config);
  void watch_endpoints(const prepared_config& config, resolved_endpoints addresses);
  [[nodiscard]] const settings& config() const noexcept { return *reloader_.config(); }
  [[nodiscard]] readiness_report readiness() const;
  [[nodiscard]] std::string render_metrics();
  [[nodiscard]] bool store_up() const;

  const build_info build_;
  boost::asio::io_context io_{1};
  metrics_registry metrics_;
  std::vector<std::unique_ptr<log_ring>> rings_;
  std::unique_ptr<log_writer> log_writer_;
  std::shared_ptr<limiter::memory_table> shared_table_, local_table_;
  slots::waiting_room waiting_room_{
      [this](const slots::ticket& t) { workers_[t.worker]->call_waiter(t.number); }};
  std::shared_ptr<limiter::members_board> members_;
  connection_places places_;
  std::vector<std::unique_ptr<worker>> workers_;
  std::vector<std::thread> threads_;
  endpoint_resolver resolver_;
  health_checker checker_;
  std::unique_ptr<admin_server> admin_;
  boost::asio::signal_set signals_;
  boost::asio::steady_timer drain_timer_, cut_timer_, storm_timer_;
  storm_watch storm_;
  reloader reloader_;
  std::shared_ptr<const settings> initial_;  // until it runs
  bool draining_ = false;
  bool cutting_ = false;
  bool trim_ = false;  // at the next look: a reload or a storm is over
  std::size_t stopped_ = 0;
};

int server::run() {
  prepared_config first{std::move(initial_), nullptr};
  const int count = first.config->workers > 0 ? first.config->workers : automatic_workers();
  bound_listeners bound{static_cast<std::size_t>(count)};
  try {
    first.tls = tls::make_contexts(*first.config, nullptr, nullptr);
    bound.bind(first.config->listeners, {});
    make_workers(first, bound, static_cast<std::size_t>(count));
    admin_ = std::make_unique<admin_server>(
        io_, first.config->admin,
        admin_sources{
            [this] { return readiness(); }, [this] { return render_metrics(); },
            [this](const std::string& peer, const reload_answer& done) { admin_reload(peer, done); }});
  } catch (const std::runtime_error& error) {
    log_event(log_level::error, "cannot start", {{"cause", error.what()}});
    return 1;
  }
  // Signals are taken on this thread only.
  const sigset_t all = all_but_fatal_signals();
  sigset_t before;
  pthread_sigmask(SIG_BLOCK, &all, &before);
  for (const auto& w : workers_) threads_.emplace_back([&w] { w->run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);

  reloader_.start(std::move(first));
  announce(count);
  return_spare_memory();
  wait_for_signal();
  watch_storms();
  run_loop();

  for (std::thread& thread : threads_) thread.join();
  std::uint64_t lost = 0;
  for (const auto& w : workers_) lost += w->cut_requests();
  if (log_writer_) log_writer_->stop(log_flush_patience);
  log_event(log_level::info, "stopped",
            {{"cut_requests", std::to_string(lost)},
             {"log_dropped", std::to_string(log_writer_ ? log_writer_->dropped() : 0)}});
  return lost > 0 ? 1 : 0;
}

/// A scrape or a signal that found no memory is lost; the next one may find some.
void server::run_loop() {
  for (;;) {
    try {
      io_.run();
      return;
    } catch (const std::bad_alloc&) {
      log_out_of_memory();
    }
  }
}

void server::make_workers(const prepared_config& first, bound_listeners& bound, std::size_t count) {
  const settings& config = *first.config;
  std::vector<log_ring*> rings;
  if (config.access_log.to != "none") {
    for (std::size_t i = 0; i < count; ++i) {
      rings_.push_back(std::make_unique<log_ring>(config.access_log.buffer));
      rings.push_back(rings_.back().get());
    }
    log_writer_ = std::make_unique<log_writer>(config.access_log.to, rings);
  }
  limiter::memory_table::options table;
  table.max_keys = config.store.max_keys;
  table.when_full = config.store.when_full;
  local_table_ = std::make_shared<limiter::memory_table>(table);
  shared_table_ = config.store.kind == store_kind::memory ? local_table_ : nullptr;
  members_ = std::make_shared<limiter::members_board>();
  const std::size_t budget = buffer_budget(memory_limit(), count);
  random_source random;
  const std::string member = fmt::format("{:016x}", random.next());
  const resolved_endpoints addresses = first_addresses(first.config);
  for (std::size_t i = 0; i < count; ++i) {
    worker_setup setup;
    setup.config = first.config;
    setup.addresses = addresses;
    setup.tls = first.tls;
    setup.listening = bound.take(i);
    setup.shared_table = shared_table_;
    setup.local_table = local_table_;
    setup.member = member;
    setup.leads = i == 0;
    setup.members = members_;
    setup.access_log = rings.empty() ? nullptr : rings[i];
    setup.places = &places_;
    setup.buffer_budget = budget;
    setup.number = i;
    setup.waiting_room = &waiting_room_;
    setup.on_unreachable = [this](const socket_address& address) {
      boost::asio::post(io_, [this, address] { resolver_.hurry(address); });
    };
    setup.on_stopped = [this] { boost::asio::post(io_, [this] { on_worker_stopped(); }); };
    workers_.push_back(std::make_unique<worker>(std::move(setup), metrics_));
  }
  watch_endpoints(first, addresses);
}

/// Waits at most the longest resolve.timeout; nothing else happens in the process yet.
resolved_endpoints server::first_addresses(const std::shared_ptr<const settings>& config) {
  std::optional<resolved_endpoints> found;
  resolver_.resolve_all(config, [&found](resolved_endpoints addresses) { found = std::move(addresses); });
  while (!found) io_.run_one();
  io_.restart();  // it stopped when nothing was left to do
  return *std::move(found);
}

void server::watch_endpoints(const prepared_config& config, resolved_endpoints addresses) {
  checker_.watch(*config.config, addresses, *config.tls);
  resolver_.watch(config.config, std::move(addresses));
}

void server::announce(int workers) const {
  std::string listeners;
  for (const listener_settings& l : config().listeners)
    listeners += (listeners.empty() ? "" : ",") + l.address.text();
  log_event(log_level::info, "serving",
            {{"version", build_.version},
             {"listen", listeners},
             {"admin", config().admin.address.text()},
             {"workers", std::to_string(workers)},
             {"store", config().store.kind == store_kind::memory ? "memory" : "redis"},
             {"rules", limiter::modes_in_words(config().policy.rules())},
             {"config", config().source},
             {"config_hash", config().hash}});
}

// ---- signals ----

void server::wait_for_signal() {
  signals_.async_wait([this](const boost::system::error_code& error, int signal) {
    if (error || over()) return;
    wait_for_signal();  // first: whatever becomes of this signal, the next one is heard
    on_signal(signal);
  });
}

void server::on_signal(int signal) {
  switch (signal) {
    case SIGHUP:
      reloader_.request("SIGHUP");
      break;
    case SIGUSR1:
      if (log_writer_) log_writer_->reopen();
      reopen_own_log();
      break;
    case SIGINT:
      draining_ ? cut() : begin_drain(milliseconds{0});
      break;
    default:
      draining_ ? cut() : begin_drain(config().drain.delay);
  }
}

void server::begin_drain(milliseconds delay) {
  draining_ = true;
  for (const auto& w : workers_) w->announce_leaving();
  log_event(log_level::info, "draining", {{"delay_ms", std::to_string(delay.count())}});
  drain_timer_.expires_after(delay);
  drain_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    for (const auto& w : workers_) w->drain();
  });
  cut_timer_.expires_after(config().drain.timeout);
  cut_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) cut();
  });
}

void server::cut() {
  if (cutting_) return;
  cutting_ = true;
  drain_timer_.cancel();
  for (const auto& w : workers_) w->cut();
}

void server::on_worker_stopped() {
  ++stopped_;
  if (!over()) return;
  cut_timer_.cancel();
  drain_timer_.cancel();
  storm_timer_.cancel();
  signals_.cancel();
  reloader_.stop();
  resolver_.stop();
  checker_.stop();
  admin_->stop();
}

/// The kept blocks are freed by their owners first, which takes less than the time until the next look.
void server::watch_storms() {
  storm_timer_.expires_after(storm_interval);
  storm_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error || over()) return;  // one that had fired already cannot be cancelled any more
    watch_storms();
    if (std::exchange(trim_, false)) return_spare_memory();
    if (!storm_.has_halved(places_.open())) return;
    trim_ = true;
    for (const auto& w : workers_) w->drop_spare_memory();
  });
}

// ---- reload ----

/// Whoever changes something by the admin port leaves a line.
void server::admin_reload(const std::string& peer, const reload_answer& done) {
  reloader_.request("admin", [peer, done](const reload_report& report) {
    log_event(log_level::info, "audit",
              {{"action", "reload"},
               {"peer", peer},
               {"result", to_string(report.result)},
               {"before", report.hash_before},
               {"after", report.hash_after}});
    done(report);
  });
}

void server::take_over(const prepared_config& next, const resolved_endpoints& addresses) {
  bound_listeners bound{workers_.size()};
  bound.bind(next.config->listeners, config().listeners);
  try {
    configure_own_log(next.config->log);
  } catch (const std::system_error& error) {
    log_event(log_level::error, "the own log stays where it was", {{"cause", error.what()}});
  }
  for (std::size_t i = 0; i < workers_.size(); ++i)
    workers_[i]->reload(next.config, addresses, next.tls, bound.take(i));
  watch_endpoints(next, addresses);
  trim_ = true;
}

// ---- what the admin port shows ----

bool server::store_up() const {
  return std::all_of(workers_.begin(), workers_.end(), [](const auto& w) { return w->store_available(); });
}

readiness_report server::readiness() const {
  readiness_report report;
  const bool up = store_up();
  const auto& rules = config().policy.rules();
  const bool needs_store = std::any_of(rules.begin(), rules.end(), [](const limiter::rule& rule) {
    return rule.enforced() && rule.failure_mode == limiter::failure_mode::deny;
  });
  report.checks.push_back(
      {"config", true,
       reloader_.error().empty() ? config().hash : "last reload refused: " + reloader_.error()});
  report.checks.push_back({"listeners", !draining_, draining_ ? "draining" : "accepting"});
  report.checks.push_back({"store", up, up ? "" : "degraded: the rules' failure_mode decides"});
  report.ready = !draining_ && (up || !needs_store);
  return report;
}

std::string server::render_metrics() {
  scrape_inputs in;
  in.current = reloader_.config().get();
  in.store_up = store_up();
  in.members =
      config().store.replicas > 0 ? config().store.replicas : members_->count.load(std::memory_order_relaxed);
  for (const auto& w : workers_) {
    if (const auto* counters = w->store_counters()) in.stores.push_back(counters);
  }
  in.draining = draining_;
  for (const auto& listener : reloader_.tls().listeners)
    in.certificate_expiry_s.push_back(listener ? listener->expiry_s() : 0);
  in.log_dropped = log_writer_ ? log_writer_->dropped() : 0;
  in.reloads_ok = reloader_.count(reload_result::ok);
  in.reloads_rejected = reloader_.count(reload_result::rejected);
  in.reloads_unchanged = reloader_.count(reload_result::unchanged);
  in.last_reload_ok = reloader_.error().empty();
  in.last_reload_success_s = reloader_.last_success_s();
  const std::array<std::uint64_t, 4> answered = admin_->answered();
  in.admin_requests_200 = answered[0];
  in.admin_requests_404 = answered[1];
  in.admin_requests_503 = answered[2];
  in.admin_requests_other = answered[3];
  if (shared_table_) {
    in.store_keys = shared_table_->keys();
    in.store_evictions = shared_table_->evictions();
  }
  in.build = build_;
  in.place = this_deployment();
  in.process = read_process_stats();
  return metrics_.render(in);
}

}  // namespace

int serve(std::shared_ptr<const settings> initial, const reload_function& reload, const build_info& build) {
  std::signal(SIGPIPE, SIG_IGN);
  report_fatal_signals(build.version);
  const signal_stack for_this_thread;
  ::mallopt(M_MMAP_THRESHOLD, largest_kept_block);
  try {
    configure_own_log(initial->log);
  } catch (const std::system_error& error) {
    log_event(log_level::error, "cannot start", {{"cause", error.what()}});
    return 1;
  }
  reserve_descriptors();
  server process(std::move(initial), reload, build);
  return process.run();
}

}  // namespace weir::proxy
