// SPDX-License-Identifier: Apache-2.0
// One connection to an endpoint, and the lease by which a request uses it.
#pragma once

#include "proxy/runtime/buffer_pool.hpp"
#include "proxy/runtime/services.hpp"
#include "proxy/runtime/stream_socket.hpp"

#include <cstdint>

namespace weir::proxy {

class endpoint;
class upstream_connection;
class upstream_lease;

/// Why no connection came.
enum class connect_failure : std::uint8_t { refused, unresolved, no_descriptor, tls };

/// A request that waits for, or holds, a connection. Calls come on the worker's thread.
class connection_user {
 public:
  /// The connection is open and yours. Not called from inside acquire().
  virtual void on_connection(upstream_lease lease) = 0;
  /// The attempt to connect failed. Not called from inside acquire().
  virtual void on_connect_failed(connect_failure why) = 0;
  /// Readiness of the leased connection changed.
  virtual void on_upstream_ready() = 0;

 protected:
  ~connection_user() = default;

 private:
  friend class endpoint;
  friend class upstream_connection;
  std::uint64_t wait_ticket_ = 0;              // > 0 while queued
  upstream_connection* connecting_ = nullptr;  // while a connect is under way for this user
};

/// Lives in its endpoint's pool. States: connecting -> busy <-> idle.
class upstream_connection final : public ready_handler, public mortal {
 public:
  enum class state : std::uint8_t { connecting, idle, busy };

  upstream_connection(endpoint& owner, std::int64_t now_us) : owner_(owner), created_us_(now_us) {}

  stream_socket socket;
  io_buffer in;  ///< response bytes; empty and without a block while idle

  /// True when it served a request before: a reset may only mean that the peer closed an idle connection.
  [[nodiscard]] bool reused() const noexcept { return requests_ > 1; }

 private:
  friend class endpoint;
  friend class upstream_lease;
  void on_ready(std::uint32_t events) override;

  endpoint& owner_;
  connection_user* user_ = nullptr;
  state state_ = state::connecting;
  std::uint32_t requests_ = 0;
  std::uint32_t position_ = 0;  // in the endpoint's list
  std::int64_t created_us_;
  std::int64_t returned_us_ = 0;
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

  /// The exchange ended cleanly and the connection may serve another request.
  void give_back();
  /// Closes the connection.
  void drop() noexcept;

 private:
  friend class endpoint;
  explicit upstream_lease(upstream_connection& c) noexcept : connection_(&c) {}
  upstream_connection* connection_ = nullptr;
};

}  // namespace weir::proxy
