// SPDX-License-Identifier: Apache-2.0
// Looks up the names of endpoints, on the main thread's io_context, never on a worker.
#pragma once

#include "proxy/runtime/compiled_config.hpp"
#include "proxy/runtime/name_lookup.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>

namespace weir::proxy {

class endpoint_resolver {
 public:
  /// Called on the main thread with a changed, non-empty answer.
  using change_function = std::function<void(const std::string& upstream, std::size_t endpoint,
                                             const std::vector<resolved_address>&)>;

  endpoint_resolver(boost::asio::io_context& io, change_function on_change,
                    blocking_resolver resolve = ask_system_resolver);

  /// Calls `done`, from the io_context, with the addresses of every endpoint: literals, names that are
  /// watched already with their last good answer, other names by look-up, waiting at most the longest
  /// resolve.timeout of the upstreams that have such names. A name without an answer in time has no
  /// addresses; it is asked for again later. A later call takes the place of an earlier one that is not done.
  using resolved_function = std::function<void(resolved_endpoints)>;
  void resolve_all(const std::shared_ptr<const settings>& config, resolved_function done);
  void forget_pending() noexcept { ++asked_; }

  /// Keeps asking for the names of `config` every resolve.interval; replaces what was watched before. A name
  /// whose look-up fails keeps its last good answer.
  void watch(std::shared_ptr<const settings> config, resolved_endpoints known);
  /// An endpoint of that address could not be reached: asks now, or a second after it was asked last.
  void hurry(const socket_address& address);
  void stop();
  ~endpoint_resolver();

 private:
  struct watched;

  [[nodiscard]] std::vector<resolved_address> already_known(const socket_address& address) const;
  void schedule(watched& name, std::chrono::milliseconds wait);
  void refresh(watched& name);
  void on_answer(watched& name, lookup_answer answer);

  static constexpr std::chrono::milliseconds shortest_pause{1000};  ///< between two look-ups of a name

  boost::asio::io_context& io_;
  name_lookup lookup_;
  change_function on_change_;
  std::shared_ptr<const settings> config_;
  std::vector<std::unique_ptr<watched>> names_;
  std::uint64_t generation_ = 0;  // of names_: answers for an older configuration are dropped
  std::uint64_t asked_ = 0;       // of resolve_all()
};

}  // namespace weir::proxy
