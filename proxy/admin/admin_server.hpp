// SPDX-License-Identifier: Apache-2.0
// The admin port: /livez /healthz /readyz[?verbose] /metrics. Runs on its own thread's io_context, never on a worker.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "proxy/settings.hpp"

namespace weir::proxy {

/// One line of /readyz?verbose.
struct readiness_check {
  std::string name;
  bool ok = true;
  std::string detail;
};

struct readiness_report {
  bool ready = true;
  std::vector<readiness_check> checks;
};

/// What the server shows; called on the admin thread for every request.
struct admin_sources {
  std::function<readiness_report()> readiness;
  std::function<std::string()> metrics;
};

/// Counts of answered requests by status class, for weir_admin_requests_total.
struct admin_counters;

/// Bounded: 64 connections, 5 s per request, request bodies refused, heads <= 8 KiB. GET and HEAD only (else 405);
/// on the main address `Host` must be localhost, 127.0.0.1 or [::1] (else 403); the scrape address takes any Host.
class admin_server {
 public:
  /// Binds at once; throws std::system_error naming the address when it is taken.
  admin_server(boost::asio::io_context& io, const admin_settings& settings, admin_sources sources);
  ~admin_server();
  /// Closes the listeners and every connection.
  void stop();

  /// Answers by status: [0] 200, [1] 404, [2] 503, [3] everything else. Any thread.
  [[nodiscard]] std::array<std::uint64_t, 4> answered() const noexcept;

 private:
  class impl;
  std::shared_ptr<impl> impl_;
};

}  // namespace weir::proxy
