// SPDX-License-Identifier: Apache-2.0
// One connection to an endpoint, and the lease by which a request uses it.
#pragma once

#include "proxy/runtime/buffer_pool.hpp"
#include "proxy/runtime/services.hpp"
#include "proxy/runtime/stream_socket.hpp"
#include "proxy/upstream/address_race.hpp"
#include "proxy/upstream/pool_state.hpp"

#include <cstdint>
#include <memory>

namespace weir::proxy {

class endpoint;
class upstream_connection;
class upstream_lease;

/// Why no connection came.
enum class connect_failure : std::uint8_t { refused, tls };

/// A request that waits for, or holds, a connection. Calls come on the worker's thread.
class connection_user : private pool_waiter {
 public:
  /// The connection is open and yours. Not called from inside acquire().
  virtual void on_connection(upstream_lease lease) = 0;
  /// The attempt to connect failed. Not called from inside acquire().
  virtual void on_connect_failed(connect_failure why) = 0;
  /// Readiness of the leased connection changed.
  virtual void on_upstream_ready() = 0;
  /// When the holder must have done something about its lease; a lease much older than that is a leak.
  [[nodiscard]] virtual std::int64_t lease_end_us() const noexcept = 0;

 protected:
  ~connection_user() = default;

 private:
  friend class endpoint;
  friend class upstream_connection;
  upstream_connection* connecting_ = nullptr;  // while a connect is under way for this user
};

/// Lives in its endpoint's pool. States: connecting -> lent <-> idle.
class upstream_connection final : public ready_handler,
                                  public mortal,
                                  public pool_member,
                                  private race_owner {
 public:
  upstream_connection(endpoint& owner, const resolved_address& address) : owner_(owner), address_(address) {}

  stream_socket socket;
  io_buffer in;  ///< response bytes; empty and without a block while idle

 private:
  friend class endpoint;
  friend class upstream_lease;
  void on_ready(std::uint32_t events) override;
  void on_race_won(int fd, const resolved_address& address) override;
  void on_race_lost() override;

  endpoint& owner_;
  connection_user* user_ = nullptr;
  std::unique_ptr<address_race> race_;  // while several addresses are tried
  resolved_address address_;
  std::uint32_t position_ = 0;  // in the endpoint's list
  bool leak_reported_ = false;
  std::int64_t lent_us_ = 0;
};

/// Exclusive use of a connection. Destroying it closes the connection; give_back() returns it to the pool.
class upstream_lease {
 public:
  upstream_lease() = default;
  upstream_lease(upstream_lease&& other) noexcept : connection_(std::exchange(other.connection_, nullptr)) {}
  upstream_lease& operator=(upstream_lease&& other) noexcept {
    if (this != &other) {
      drop();
      connection_ = std::exchange(other.connection_, nullptr);
    }
    return *this;
  }
  ~upstream_lease() { drop(); }

  [[nodiscard]] explicit operator bool() const noexcept { return connection_ != nullptr; }
  upstream_connection* operator->() const noexcept { return connection_; }
  upstream_connection& operator*() const noexcept { return *connection_; }

  /// The exchange ended cleanly and the connection may serve another request. `keep_alive_us`: how long the
  /// upstream said it keeps an idle connection; -1 = it did not say.
  void give_back(std::int64_t keep_alive_us = -1);
  /// Closes the connection.
  void drop() noexcept;

 private:
  friend class endpoint;
  explicit upstream_lease(upstream_connection& c) noexcept : connection_(&c) {}
  upstream_connection* connection_ = nullptr;
};

}  // namespace weir::proxy
