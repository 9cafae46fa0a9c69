// SPDX-License-Identifier: Apache-2.0
// Accepts connections for one worker.
#pragma once

#include "proxy/downstream/connection_places.hpp"
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
  /// Takes over `fd`. A connection for which there is no place, no descriptor to spare or no memory is
  /// accepted and closed. `tls` null: plain.
  listener(services& worker, session_set& sessions, const listener_settings& settings,
           listener_counters& counters, int fd, connection_places& places,
           std::shared_ptr<const tls::server_context> tls);
  ~listener() override;

  /// Registers with the readiness set. Throws std::system_error.
  void start();
  /// Name, TLS and PROXY protocol of connections that come from now on, emitters of responses.
  void update(const listener_settings& settings, listener_counters& counters,
              std::shared_ptr<const tls::server_context> tls);
  /// Accepts what the kernel has queued already, then closes.
  void close();
  /// close(), for good: its connections end as in a drain.
  void retire();
  [[nodiscard]] const listener_settings& configured() const noexcept { return settings_; }
  [[nodiscard]] const listener_context& context() const noexcept { return *context_; }

  void on_ready(std::uint32_t events) override;

 private:
  void on_timer() override { accept_some(); }
  void on_turn() override;
  void accept_some();
  [[nodiscard]] bool is_unix() const noexcept { return !settings_.address.unix_path.empty(); }
  [[nodiscard]] bool may_connect(const identity::address& peer) const noexcept;
  void welcome(int fd, const sockaddr_storage& peer) noexcept;
  void open_session(int fd, const sockaddr_storage& peer);
  void turn_away(int fd, listener_counters::reject_reason why) noexcept;
  [[nodiscard]] connection_places::answer place_for(const identity::address& peer) const;
  void wait_for_descriptors(int error);

  /// Each opens a session and brings its first request into the next turn: as much work as ten requests.
  static constexpr int max_accepts_per_turn = 8;
  /// Bytes the kernel takes beyond what the client can receive now. Without it a client that reads nothing
  /// costs megabytes that no limit of weir's sees.
  static constexpr int max_unsent = 128 * 1024;
  static constexpr std::int64_t retry_us = 50'000;  ///< pause after running out of descriptors

  services& worker_;
  session_set& sessions_;
  listener_settings settings_;
  std::shared_ptr<listener_context> context_;
  int fd_;
  connection_places& places_;
  bool short_of_descriptors_ = false;  // said so in the log
};

}  // namespace weir::proxy
