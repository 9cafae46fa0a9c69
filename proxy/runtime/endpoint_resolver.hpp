// SPDX-License-Identifier: Apache-2.0
// Looks up the names of endpoints, on the main thread's io_context, never on a worker.
#pragma once

#include "proxy/runtime/compiled_config.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <string>

namespace weir::proxy {

class endpoint_resolver {
 public:
  /// Called on the main thread with a changed, non-empty answer.
  using change_function = std::function<void(const std::string& upstream, std::size_t endpoint,
                                             const std::vector<resolved_address>&)>;

  endpoint_resolver(boost::asio::io_context& io, change_function on_change);

  /// Addresses of every endpoint: literals at once, names by look-up, waiting at most the longest
  /// resolve.timeout of the upstreams that have names. A name without an answer in time has no addresses; it
  /// is asked for again later.
  [[nodiscard]] resolved_endpoints resolve_all(const settings& config);

  /// Keeps asking for the names of `config` every resolve.interval; replaces what was watched before.
  void watch(std::shared_ptr<const settings> config, resolved_endpoints known);
  void stop();

 private:
  void schedule(std::size_t upstream);
  void refresh(std::size_t upstream);

  boost::asio::io_context& io_;
  boost::asio::ip::tcp::resolver resolver_;
  change_function on_change_;
  std::shared_ptr<const settings> config_;
  resolved_endpoints known_;
  std::vector<std::unique_ptr<boost::asio::steady_timer>> timers_;
  std::uint64_t generation_ = 0;  // answers for an older configuration are dropped
};

}  // namespace weir::proxy
