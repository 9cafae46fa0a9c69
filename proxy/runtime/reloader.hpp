// SPDX-License-Identifier: Apache-2.0
// From "something changed" to a configuration that is taken over, or to the reasons why not.
#pragma once

#include "proxy/runtime/endpoint_resolver.hpp"
#include "proxy/runtime/file_watch.hpp"
#include "proxy/runtime/reload_report.hpp"
#include "proxy/runtime/server.hpp"
#include "proxy/tls/context.hpp"

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace weir::proxy {

/// A configuration with everything that is made for it off the loops.
struct prepared_config {
  std::shared_ptr<const settings> config;
  std::shared_ptr<const tls::context_set> tls;
};

/// Reading, checking and key material are the work of a thread of its own, so that no loop waits for it;
/// names are looked up before anything is taken over; settings nobody uses any more are freed by that thread,
/// too. One reading at a time: what is asked for meanwhile is answered by one more. Lives on the main thread.
class reloader {
 public:
  /// Puts a configuration to use. Throws std::runtime_error when it cannot, and has then changed nothing.
  using apply_function = std::function<void(const prepared_config&, const resolved_endpoints&)>;

  reloader(boost::asio::io_context& io, const reload_function& read, endpoint_resolver& resolver,
           apply_function apply);
  ~reloader();

  /// What is in use now. From here on its files are watched.
  void start(prepared_config current);
  /// Reads everything again; `why` is for the log. `done` is called once, from the io_context; never after
  /// stop().
  void request(std::string why, reload_answer done = {});
  void stop();

  [[nodiscard]] const std::shared_ptr<const settings>& config() const noexcept { return current_.config; }
  [[nodiscard]] const tls::context_set& tls() const noexcept { return *current_.tls; }

  /// For the metrics; by reload_result.
  [[nodiscard]] std::uint64_t count(reload_result r) const noexcept {
    return counts_[static_cast<std::size_t>(r)];
  }
  /// When a configuration was last accepted, Unix seconds.
  [[nodiscard]] std::int64_t last_success_s() const noexcept { return last_success_s_; }
  /// First line of the last refusal; empty after a good reload.
  [[nodiscard]] const std::string& error() const noexcept { return error_; }

 private:
  struct question {
    std::uint64_t number;
    reload_answer done;
  };
  struct loaded;

  void load(std::string why);
  void on_loaded(const std::shared_ptr<loaded>& what);
  void decide(const std::shared_ptr<loaded>& what);
  void take_over(const std::shared_ptr<loaded>& what, const resolved_endpoints& addresses);
  void reject(const loaded& what, std::string problems);
  void finish(const loaded& what, const reload_report& report);
  void retire(std::shared_ptr<const settings> old);
  void look_after_retired();
  void free_retired();

  static constexpr std::chrono::milliseconds retired_interval{1000};

  boost::asio::io_context& io_;
  const reload_function& read_;
  endpoint_resolver& resolver_;
  apply_function apply_;
  prepared_config current_;
  file_watch watch_;
  boost::asio::steady_timer retired_timer_;
  boost::asio::thread_pool thread_{1};
  std::vector<std::shared_ptr<const settings>> retired_;  // until the last request that uses them has ended
  std::deque<question> questions_;                        // without an answer, oldest first
  std::uint64_t asked_ = 0;
  std::string next_why_;  // of what was asked for while the thread reads; empty: nothing
  bool loading_ = false;
  bool stopped_ = false;
  std::array<std::uint64_t, 3> counts_{};
  std::int64_t last_success_s_ = 0;
  std::string error_;
};

}  // namespace weir::proxy
