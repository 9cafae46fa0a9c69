// SPDX-License-Identifier: Apache-2.0
// One endpoint of an upstream as one worker sees it: its addresses and its connection pool.
#pragma once

#include "proxy/observe/metrics.hpp"
#include "proxy/settings.hpp"
#include "proxy/tls/context.hpp"
#include "proxy/upstream/connection.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace weir::proxy {

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

/// Carries out what the books of its pool (pool_state) say. Idle connections are watched by the readiness
/// set: one that the peer closes, or that receives bytes nobody asked for, leaves the pool at once.
class endpoint final : private timer {
 public:
  /// `tls` is used when the settings say so.
  endpoint(services& worker, const endpoint_settings& settings, const pool_settings& pool,
           upstream_counters& counters, std::vector<resolved_address> addresses,
           std::shared_ptr<const tls::client_context> tls = nullptr);
  ~endpoint() override;

  /// `repeatable`: the request may be sent again when a reused connection turns out to be dead; for others
  /// the kernel is asked once more before reuse.
  [[nodiscard]] acquire_status acquire(connection_user& user, bool repeatable, upstream_lease& lease);
  /// Leaves the queue, or abandons the connect under way.
  void cancel(connection_user& user) noexcept;
  /// How long a connect may take beyond timeout.connect, because several addresses are tried.
  [[nodiscard]] std::int64_t extra_patience_us() const noexcept {
    return address_race::extra_patience_us(addresses_.size());
  }
  /// No connection came: its name is looked up again, at most once a second.
  void note_unreachable();

  /// New look-up result; an empty one is ignored (the last good answer stays). Idle connections to addresses
  /// that are gone are closed, lent ones when they come back.
  void set_addresses(std::vector<resolved_address> addresses);

  [[nodiscard]] const endpoint_settings& settings() const noexcept { return settings_; }
  [[nodiscard]] const std::string& text() const noexcept { return text_; }
  /// Connections that are lent or being opened.
  [[nodiscard]] std::uint32_t in_flight() const noexcept { return static_cast<std::uint32_t>(pool_.busy()); }
  [[nodiscard]] const pool_state& pool() const noexcept { return pool_; }

 private:
  friend class upstream_connection;
  friend class upstream_lease;

  [[nodiscard]] upstream_connection* take_idle(bool repeatable);
  [[nodiscard]] bool start_connect(connection_user& user);
  [[nodiscard]] bool open_socket(upstream_connection& connection);
  void begin_with(upstream_connection& winner);
  void finish_connect(upstream_connection& connection);
  [[nodiscard]] bool shake_hands(upstream_connection& connection);
  void connect_failed(upstream_connection& connection, connect_failure why);
  void give_back(upstream_connection& connection, std::int64_t keep_alive_us);
  [[nodiscard]] std::optional<close_reason> unfit_on_return(upstream_connection& connection);
  void on_idle_event(upstream_connection& connection);
  void destroy(upstream_connection& connection, close_reason why);
  void serve_waiters();
  [[nodiscard]] connection_user* next_waiter();
  upstream_lease lend(upstream_connection& connection, connection_user& user);
  void look_for_leaks();
  void set_timer();
  void on_timer() override;

  static constexpr std::int64_t patrol_us = 1'000'000;          ///< how often leases are looked at
  static constexpr std::int64_t leak_tolerance_us = 1'000'000;  ///< beyond the holder's own deadline

  services& worker_;
  endpoint_settings settings_;
  upstream_counters& counters_;
  std::string text_;
  bool named_;
  std::shared_ptr<const tls::client_context> tls_;  // null: plain
  tls::session_memory session_;
  std::vector<resolved_address> addresses_;
  std::size_t next_address_ = 0;  // where the next connect begins
  pool_state pool_;
  std::vector<std::unique_ptr<upstream_connection>> all_;  // every state
  std::int64_t unreachable_us_ = 0;                        // when note_unreachable() last told anybody
};

}  // namespace weir::proxy
