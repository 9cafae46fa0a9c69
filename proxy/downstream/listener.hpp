// SPDX-License-Identifier: Apache-2.0
// Accepts connections for one worker.
#pragma once

#include "proxy/downstream/session.hpp"
#include "proxy/settings.hpp"

#include <cstdint>
#include <vector>

namespace weir::proxy {

/// A listening, non-blocking descriptor. TCP sockets share their port between workers (SO_REUSEPORT). A stale
/// unix socket file is replaced. Throws std::system_error whose text names the address.
[[nodiscard]] int bind_listener(const socket_address& address);

class listener final : public ready_handler, private timer, private yielding {
 public:
  /// Takes over `fd`. Beyond `max_connections` sessions of this worker, new connections are accepted and
  /// closed. `tls` null: plain.
  listener(services& worker, session_set& sessions, const listener_settings& settings,
           listener_counters& counters, int fd, std::uint32_t max_connections,
           std::shared_ptr<const tls::server_context> tls);
  ~listener() override;

  /// Registers with the readiness set. Throws std::system_error.
  void start();
  /// TLS and PROXY protocol of connections that come from now on.
  void update(const listener_settings& settings, std::shared_ptr<const tls::server_context> tls);
  /// Accepts what the kernel has queued already, then closes.
  void close();

  void on_ready(std::uint32_t events) override;

 private:
  void on_timer() override { accept_some(); }
  void on_turn() override;
  void accept_some();
  [[nodiscard]] bool may_connect(const identity::address& peer) const noexcept;
  void welcome(int fd, const sockaddr_storage& peer);

  static constexpr int max_accepts_per_turn = 64;
  static constexpr std::int64_t retry_us = 50'000;  ///< pause after running out of descriptors

  services& worker_;
  session_set& sessions_;
  listener_context context_;
  int fd_;
  std::uint32_t max_connections_;
  bool is_unix_;
  bool yielded_ = false;
};

}  // namespace weir::proxy
