// SPDX-License-Identifier: Apache-2.0
// The admin port: /livez /healthz /readyz[?verbose] /metrics, POST /api/reload. Runs on its own thread's
// io_context, never on a worker.
#pragma once

#include "proxy/runtime/reload_report.hpp"
#include "proxy/settings.hpp"

#include <array>
#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

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

/// What the server shows; called on the admin thread for every request. An exception becomes a 500.
struct admin_sources {
  std::function<readiness_report()> readiness;
  std::function<std::string()> metrics;
  /// Asked for by `peer`; calls back once, from the io_context, or never when the process ends.
  std::function<void(std::string peer, reload_answer)> reload;
};

/// Bounded: 64 connections (more are closed at once), 5 s per request including the wait for it, 60 s for a
/// reload, heads <= 8 KiB, bodies <= 64 KiB, and none where nothing is changed. What changes something is
/// POST with `Content-Type: application/json` (else 405, 415), the rest GET and HEAD (else 405). On the main
/// address `Host` must be localhost, 127.0.0.1 or [::1] and `Origin`, if any, this address (else 403, against
/// pages of other sites); the scrape address takes any Host and changes nothing.
class admin_server {
 public:
  /// Binds at once; throws std::system_error naming the address when it is taken. Port 0 takes a free one.
  admin_server(boost::asio::io_context& io, const admin_settings& settings, admin_sources sources);
  ~admin_server();
  /// Closes the listeners and every connection; the coroutines end in the io_context's next turns. Call it on
  /// the io_context's thread, or when nobody runs it.
  void stop();

  /// Ports that are bound; 0 = no scrape address.
  [[nodiscard]] std::uint16_t port() const noexcept;
  [[nodiscard]] std::uint16_t scrape_port() const noexcept;

  /// Answers by status: [0] 200, [1] 404, [2] 503, [3] everything else. Any thread.
  [[nodiscard]] std::array<std::uint64_t, 4> answered() const noexcept;

 private:
  class impl;
  std::shared_ptr<impl> impl_;
};

}  // namespace weir::proxy
