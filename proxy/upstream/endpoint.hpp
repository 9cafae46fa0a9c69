// SPDX-License-Identifier: Apache-2.0
// One endpoint of an upstream as one worker sees it: its addresses and its connection pool.
#pragma once

#include "proxy/observe/metrics.hpp"
#include "proxy/settings.hpp"
#include "proxy/tls/context.hpp"
#include "proxy/upstream/connection.hpp"

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <sys/socket.h>
#include <vector>

namespace weir::proxy {

/// A resolved address, ready for connect().
struct resolved_address {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

/// Addresses of a literal IP or unix path; empty for a name.
[[nodiscard]] std::vector<resolved_address> literal_addresses(const socket_address& address);

enum class acquire_status : std::uint8_t {
  ready,       ///< the lease is filled
  connecting,  ///< on_connection or on_connect_failed follows
  queued,      ///< as connecting, once a connection is free; the caller bounds its patience
               ///< (pool.acquire_timeout)
  overloaded,  ///< max_pending waiters already, or the process is short of descriptors
  failed,      ///< no connection can be opened now
};

/// The pool: up to `size` connections are kept, `overflow` more are opened under load and closed on return,
/// then requests wait in a FIFO queue of at most `max_pending`. Idle connections are watched by the readiness
/// set: one that the peer closes, or that receives bytes nobody asked for, leaves the pool at once. Reuse is
/// LIFO.
class endpoint final : private timer {
 public:
  /// `tls` is used when the settings say so.
  endpoint(services& worker, const endpoint_settings& settings, const pool_settings& pool,
           upstream_counters& counters, std::vector<resolved_address> addresses,
           std::shared_ptr<const tls::client_context> tls = nullptr);
  ~endpoint() override;

  /// `must_be_quiet`: ask the kernel once more before reuse (for requests that cannot be repeated).
  [[nodiscard]] acquire_status acquire(connection_user& user, bool must_be_quiet, upstream_lease& lease);
  /// Leaves the queue, or abandons the connect under way.
  void cancel(connection_user& user) noexcept;

  /// New look-up result; an empty one is ignored (the last good answer stays).
  void set_addresses(std::vector<resolved_address> addresses);

  [[nodiscard]] const endpoint_settings& settings() const noexcept { return settings_; }
  [[nodiscard]] const std::string& text() const noexcept { return text_; }
  [[nodiscard]] std::uint32_t in_flight() const noexcept { return busy_; }

 private:
  friend class upstream_connection;
  friend class upstream_lease;

  [[nodiscard]] upstream_connection* take_idle(bool must_be_quiet);
  [[nodiscard]] bool start_connect(connection_user& user);
  void finish_connect(upstream_connection& connection);
  [[nodiscard]] bool shake_hands(upstream_connection& connection);
  void connect_failed(upstream_connection& connection, connect_failure why);
  void give_back(upstream_connection& connection);
  void destroy(upstream_connection& connection);
  void serve_waiters();
  [[nodiscard]] connection_user* next_waiter();
  upstream_lease lend(upstream_connection& connection, connection_user& user);
  [[nodiscard]] bool worn_out(const upstream_connection& connection) const noexcept;
  void on_timer() override;

  services& worker_;
  endpoint_settings settings_;
  pool_settings pool_;
  upstream_counters& counters_;
  std::string text_;
  std::shared_ptr<const tls::client_context> tls_;  // null: plain
  std::vector<resolved_address> addresses_;
  std::size_t next_address_ = 0;                           // moves on when a connect fails
  std::vector<std::unique_ptr<upstream_connection>> all_;  // every state
  std::vector<upstream_connection*> idle_;                 // oldest first
  std::deque<connection_user*> waiting_;                   // null = left
  std::uint64_t first_ticket_ = 1;                         // ticket of waiting_.front()
  std::uint32_t busy_ = 0;                                 // connecting or leased
};

}  // namespace weir::proxy
