// SPDX-License-Identifier: Apache-2.0
// Names to addresses, with a deadline. getaddrinfo() blocks for as long as the resolver library likes and
// cannot be interrupted, so each look-up has a thread of its own: a slow name delays neither the others nor
// the end of the process.
#pragma once

#include "proxy/upstream/endpoint.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/system/result.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace weir::proxy {

/// Never empty when it is a value.
using lookup_answer = boost::system::result<std::vector<resolved_address>>;

/// Blocks. What name_lookup calls on its threads; tests give one of their own.
using blocking_resolver = std::function<lookup_answer(const std::string& host, std::uint16_t port)>;
[[nodiscard]] lookup_answer ask_system_resolver(const std::string& host, std::uint16_t port);

/// Lives on the thread of its io_context.
class name_lookup {
 public:
  static constexpr int most_threads = 32;  ///< look-ups that hang; beyond, names are refused with `busy`
  using handler = std::function<void(lookup_answer)>;

  explicit name_lookup(boost::asio::io_context& io, blocking_resolver resolve = ask_system_resolver);
  /// Handlers that were not called yet are never called.
  ~name_lookup();
  name_lookup(const name_lookup&) = delete;
  name_lookup& operator=(const name_lookup&) = delete;

  /// Calls `done` exactly once from the io_context, after `patience` at the latest: then with timed_out. An
  /// answer that comes later still is dropped.
  void ask(const std::string& host, std::uint16_t port, std::chrono::milliseconds patience, handler done);

 private:
  struct shared_state;
  boost::asio::io_context& io_;
  blocking_resolver resolve_;
  std::shared_ptr<shared_state> shared_;
};

}  // namespace weir::proxy
