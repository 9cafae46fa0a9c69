// SPDX-License-Identifier: Apache-2.0
#include "proxy/runtime/server.hpp"

#include "proxy/admin/admin_server.hpp"
#include "proxy/observe/log_ring.hpp"
#include "proxy/observe/log_writer.hpp"
#include "proxy/observe/metrics.hpp"
#include "proxy/observe/own_log.hpp"
#include "proxy/runtime/cpu_quota.hpp"
#include "proxy/runtime/descriptors.hpp"
#include "proxy/runtime/endpoint_resolver.hpp"
#include "proxy/runtime/fatal_signals.hpp"
#include "proxy/runtime/file_watch.hpp"
#include "proxy/runtime/memory_limit.hpp"
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

/// Closes what it still holds; the workers take the descriptors over one by one.
class bound_listeners {
 public:
  bound_listeners() = default;
  bound_listeners(const bound_listeners&) = delete;
  bound_listeners& operator=(const bound_listeners&) = delete;
  ~bound_listeners() {
    for (const std::vector<int>& set : by_worker_) {
      for (const int fd : set) ::close(fd);
    }
  }
  /// Throws std::system_error naming the address that cannot be had.
  void bind(const settings& config, int workers) {
    by_worker_.resize(static_cast<std::size_t>(workers));
    for (const listener_settings& listener : config.listeners) {
      for (std::size_t w = 0; w < by_worker_.size(); ++w) {
        // A unix socket has one queue for all workers.
        const bool shared = !listener.address.unix_path.empty() && w > 0;
        by_worker_[w].push_back(shared ? ::dup(by_worker_[0].back()) : bind_listener(listener.address));
      }
    }
  }
  [[nodiscard]] std::vector<int> take(std::size_t worker) { return std::exchange(by_worker_[worker], {}); }

 private:
  std::vector<std::vector<int>> by_worker_;
};

/// `auto`: the descriptor limit less 64 for everything that is not a client connection.
std::uint32_t connection_limit(const limit_settings& limits) {
  if (limits.connections > 0) return limits.connections;
  return static_cast<std::uint32_t>(std::max(descriptor_limit() - descriptors_kept_from_clients, 16));
}

class server {
 public:
  server(std::shared_ptr<const settings> initial, const reload_function& reload, std::string version,
         std::string compiler)
      : reload_(reload),
        version_(std::move(version)),
        compiler_(std::move(compiler)),
        current_(std::move(initial)),
        places_(connection_limit(current_->limits)),
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
        watch_(io_, [this] { this->reload("a file changed"); }) {
    signals_.add(SIGHUP);
    signals_.add(SIGUSR1);
  }

  int run();

 private:
  void run_loop();
  void make_workers(bound_listeners& bound, int count);
  void announce(int workers) const;
  void wait_for_signal();
  void on_signal(int signal);
  void begin_drain(milliseconds delay);
  void cut();
  void on_worker_stopped();
  void watch_storms();
  void reload(std::string_view why);
  void take_over(std::shared_ptr<const settings> next, std::shared_ptr<const tls::context_set> contexts,
                 const resolved_endpoints& addresses, std::string_view why);
  [[nodiscard]] resolved_endpoints first_addresses();
  void watch_endpoints(resolved_endpoints addresses);
  [[nodiscard]] readiness_report readiness() const;
  [[nodiscard]] std::string render_metrics();
  [[nodiscard]] bool store_up() const;

  const reload_function& reload_;
  const std::string version_, compiler_;
  std::shared_ptr<const settings> current_;
  std::shared_ptr<const tls::context_set> tls_;
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
  file_watch watch_;
  bool draining_ = false;
  bool cutting_ = false;
  bool trim_ = false;  // at the next look: a storm is over
  std::size_t stopped_ = 0;
  std::uint64_t reloads_ok_ = 0, reloads_rejected_ = 0, reloads_unchanged_ = 0;
  std::int64_t last_reload_success_s_ = wall_now_us() / 1'000'000;
  std::string reload_error_;  // first line of the last refusal; empty after a good reload
};

int server::run() {
  bound_listeners bound;
  const int count = current_->workers > 0 ? current_->workers : automatic_workers();
  try {
    tls_ = tls::make_contexts(*current_, nullptr, nullptr);
    bound.bind(*current_, count);
    make_workers(bound, count);
    admin_ = std::make_unique<admin_server>(
        io_, current_->admin,
        admin_sources{[this] { return readiness(); }, [this] { return render_metrics(); }});
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

  announce(count);
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

void server::make_workers(bound_listeners& bound, int count) {
  std::vector<log_ring*> rings;
  if (current_->access_log.to != "none") {
    for (int i = 0; i < count; ++i) {
      rings_.push_back(std::make_unique<log_ring>(current_->access_log.buffer));
      rings.push_back(rings_.back().get());
    }
    log_writer_ = std::make_unique<log_writer>(current_->access_log.to, rings);
  }
  limiter::memory_table::options table;
  table.max_keys = current_->store.max_keys;
  table.when_full = current_->store.when_full;
  local_table_ = std::make_shared<limiter::memory_table>(table);
  shared_table_ = current_->store.kind == store_kind::memory ? local_table_ : nullptr;
  members_ = std::make_shared<limiter::members_board>();
  const std::size_t budget = buffer_budget(memory_limit(), static_cast<std::size_t>(count));
  random_source random;
  const std::string member = fmt::format("{:016x}", random.next());
  const resolved_endpoints addresses = first_addresses();
  for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
    worker_setup setup;
    setup.config = current_;
    setup.addresses = addresses;
    setup.tls = tls_;
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
  watch_endpoints(addresses);
}

/// Waits at most the longest resolve.timeout; nothing else happens in the process yet.
resolved_endpoints server::first_addresses() {
  std::optional<resolved_endpoints> found;
  resolver_.resolve_all(current_, [&found](resolved_endpoints addresses) { found = std::move(addresses); });
  while (!found) io_.run_one();
  io_.restart();  // it stopped when nothing was left to do
  return *std::move(found);
}

void server::watch_endpoints(resolved_endpoints addresses) {
  checker_.watch(*current_, addresses, *tls_);
  resolver_.watch(current_, std::move(addresses));
  watch_.set(current_->watched_files);
}

void server::announce(int workers) const {
  std::string listeners;
  for (const listener_settings& l : current_->listeners)
    listeners += (listeners.empty() ? "" : ",") + l.address.text();
  const std::size_t rules = current_->policy.rules().size();
  log_event(log_level::info, "serving",
            {{"version", version_},
             {"listen", listeners},
             {"admin", current_->admin.address.text()},
             {"workers", std::to_string(workers)},
             {"store", current_->store.kind == store_kind::memory ? "memory" : "redis"},
             {"rules", std::to_string(rules) + " enforced"},
             {"config", current_->source},
             {"config_hash", current_->hash}});
}

// ---- signals ----

void server::wait_for_signal() {
  signals_.async_wait([this](const boost::system::error_code& error, int signal) {
    if (error) return;
    wait_for_signal();  // first: whatever becomes of this signal, the next one is heard
    on_signal(signal);
  });
}

void server::on_signal(int signal) {
  switch (signal) {
    case SIGHUP:
      reload("SIGHUP");
      break;
    case SIGUSR1:
      if (log_writer_) log_writer_->reopen();
      reopen_own_log();
      break;
    case SIGINT:
      draining_ ? cut() : begin_drain(milliseconds{0});
      break;
    default:
      draining_ ? cut() : begin_drain(current_->drain.delay);
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
  cut_timer_.expires_after(current_->drain.timeout);
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
  if (++stopped_ < workers_.size()) return;
  cut_timer_.cancel();
  drain_timer_.cancel();
  storm_timer_.cancel();
  signals_.cancel();
  resolver_.stop();
  watch_.stop();
  checker_.stop();
  admin_->stop();
}

/// The kept blocks are freed by their owners first, which takes less than the time until the next look.
void server::watch_storms() {
  storm_timer_.expires_after(storm_interval);
  storm_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    watch_storms();
    if (std::exchange(trim_, false)) ::malloc_trim(0);
    if (!storm_.over(places_.open())) return;
    trim_ = true;
    for (const auto& w : workers_) w->drop_spare_memory();
  });
}

// ---- reload ----

void server::reload(std::string_view why) {
  watch_.about_to_read();
  reload_outcome outcome = reload_(*current_);
  std::shared_ptr<const tls::context_set> contexts;
  if (outcome.settings) {
    try {
      contexts = tls::make_contexts(*outcome.settings, current_.get(), tls_.get());
    } catch (const std::runtime_error& error) {
      outcome = {nullptr, error.what()};
    }
  }
  if (!outcome.settings) {
    ++reloads_rejected_;
    reload_error_ = outcome.problems.substr(0, outcome.problems.find('\n'));
    log_event(log_level::error, "reload refused, the running configuration stays",
              {{"why", std::string(why)}, {"config_hash", current_->hash}, {"problems", outcome.problems}});
    return;
  }
  reload_error_.clear();
  last_reload_success_s_ = wall_now_us() / 1'000'000;
  // the hash is that of the policy file: the files it names may have changed without it
  const settings& next = *outcome.settings;
  if (next.hash == current_->hash && next.file_digests == current_->file_digests &&
      next.store == current_->store && next.listeners == current_->listeners &&
      next.upstreams == current_->upstreams) {
    ++reloads_unchanged_;
    resolver_.forget_pending();  // an earlier reload that still waits for names is overtaken
    log_event(log_level::info, "reload: unchanged",
              {{"why", std::string(why)}, {"config_hash", current_->hash}});
    return;
  }
  // New names are looked up first; a later reload takes the place of one that still waits for that.
  resolver_.resolve_all(outcome.settings, [this, wanted = outcome.settings, contexts,
                                           cause = std::string(why)](const resolved_endpoints& addresses) {
    take_over(wanted, contexts, addresses, cause);
  });
}

void server::take_over(std::shared_ptr<const settings> next, std::shared_ptr<const tls::context_set> contexts,
                       const resolved_endpoints& addresses, std::string_view why) {
  ++reloads_ok_;
  log_event(log_level::info, "reloaded",
            {{"why", std::string(why)}, {"config_hash", current_->hash + " -> " + next->hash}});
  current_ = std::move(next);
  tls_ = std::move(contexts);
  try {
    configure_own_log(current_->log);
  } catch (const std::system_error& error) {
    log_event(log_level::error, "the own log stays where it was", {{"cause", error.what()}});
  }
  for (const auto& w : workers_) w->reload(current_, addresses, tls_);
  watch_endpoints(addresses);
}

// ---- what the admin port shows ----

bool server::store_up() const {
  return std::all_of(workers_.begin(), workers_.end(), [](const auto& w) { return w->store_available(); });
}

readiness_report server::readiness() const {
  readiness_report report;
  const bool up = store_up();
  const auto& rules = current_->policy.rules();
  const bool needs_store = std::any_of(rules.begin(), rules.end(), [](const limiter::rule& rule) {
    return rule.failure_mode == limiter::failure_mode::deny;
  });
  report.checks.push_back(
      {"config", true, reload_error_.empty() ? current_->hash : "last reload refused: " + reload_error_});
  report.checks.push_back({"listeners", !draining_, draining_ ? "draining" : "accepting"});
  report.checks.push_back({"store", up, up ? "" : "degraded: the rules' failure_mode decides"});
  report.ready = !draining_ && (up || !needs_store);
  return report;
}

std::string server::render_metrics() {
  scrape_inputs in;
  in.current = current_.get();
  in.store_up = store_up();
  in.members = current_->store.replicas > 0 ? current_->store.replicas
                                            : members_->count.load(std::memory_order_relaxed);
  for (const auto& w : workers_) {
    if (const auto* counters = w->store_counters()) in.stores.push_back(counters);
  }
  in.draining = draining_;
  for (const auto& listener : tls_->listeners)
    in.certificate_expiry_s.push_back(listener ? listener->expiry_s() : 0);
  in.log_dropped = log_writer_ ? log_writer_->dropped() : 0;
  in.reloads_ok = reloads_ok_;
  in.reloads_rejected = reloads_rejected_;
  in.reloads_unchanged = reloads_unchanged_;
  in.last_reload_ok = reload_error_.empty();
  in.last_reload_success_s = last_reload_success_s_;
  const std::array<std::uint64_t, 4> answered = admin_->answered();
  in.admin_requests_200 = answered[0];
  in.admin_requests_404 = answered[1];
  in.admin_requests_503 = answered[2];
  in.admin_requests_other = answered[3];
  if (shared_table_) {
    in.store_keys = shared_table_->keys();
    in.store_evictions = shared_table_->evictions();
  }
  in.version = version_;
  in.place = this_deployment();
  in.compiler = compiler_;
  in.process = read_process_stats();
  return metrics_.render(in);
}

}  // namespace

int serve(std::shared_ptr<const settings> initial, const reload_function& reload, const std::string& version,
          const std::string& compiler) {
  std::signal(SIGPIPE, SIG_IGN);
  report_fatal_signals(version.c_str());
  const signal_stack for_this_thread;
  configure_own_log(initial->log);
  server process(std::move(initial), reload, version, compiler);
  return process.run();
}

}  // namespace weir::proxy
