// SPDX-License-Identifier: Apache-2.0
// Two sockets joined after a 101: bytes pass both ways unread, each way in one bounded window.
#pragma once

#include "proxy/downstream/client_channel.hpp"
#include "proxy/runtime/services.hpp"
#include "proxy/upstream/connection.hpp"

#include <algorithm>
#include <cstdint>
#include <string_view>

namespace weir::proxy {

/// One direction. Whoever takes no bytes stops the other from being read; the end of one direction is passed
/// on behind its last byte and leaves the other direction open.
class tunnel_flow {
 public:
  enum class progress : std::uint8_t {
    waiting,  ///< for a socket
    yield,    ///< more could be moved at once
    ended,    ///< the end was passed on
    source_failed,
    sink_failed,
  };

  tunnel_flow(buffer_pool& buffers, stream_socket& source, stream_socket& sink) noexcept
      : buffers_(buffers), source_(source), sink_(sink) {}

  /// What came behind the handshake goes first.
  void begin(std::string_view early, std::int64_t now_us);
  /// Moves whatever can be moved now.
  [[nodiscard]] progress pump(std::int64_t now_us);

  [[nodiscard]] bool ended() const noexcept { return end_passed_on_; }
  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }  ///< taken from the source
  [[nodiscard]] std::int64_t moved_us() const noexcept { return moved_us_; }

 private:
  [[nodiscard]] bool fill(progress& stop, std::int64_t now_us);
  [[nodiscard]] bool flush(progress& stop, std::int64_t now_us);

  static constexpr int max_windows_per_turn = 8;

  buffer_pool& buffers_;
  stream_socket& source_;
  stream_socket& sink_;
  io_buffer in_;  // no block while nothing is on its way
  bool large_ = false;
  bool source_ended_ = false;
  bool end_passed_on_ = false;
  std::uint64_t bytes_ = 0;
  std::int64_t moved_us_ = 0;
};

/// Owns the upstream's side. Destroying it closes that connection, which never returns to its pool.
class tunnel {
 public:
  enum class progress : std::uint8_t { waiting, yield, complete, client_failed, upstream_failed };

  /// Takes the bytes that either side sent behind the handshake.
  tunnel(services& worker, client_channel& client, upstream_lease upstream);

  /// Moves whatever can be moved now.
  [[nodiscard]] progress pump();
  /// The client vanished: the upstream must not take what it got for complete.
  void abort_upstream() noexcept { upstream_->socket.abort(); }

  [[nodiscard]] std::uint64_t from_client() const noexcept { return up_.bytes(); }
  [[nodiscard]] std::uint64_t from_upstream() const noexcept { return down_.bytes(); }
  /// When a byte last moved in either direction.
  [[nodiscard]] std::int64_t moved_us() const noexcept { return std::max(up_.moved_us(), down_.moved_us()); }

 private:
  services& worker_;
  client_channel& client_;
  upstream_lease upstream_;
  tunnel_flow up_, down_;
};

}  // namespace weir::proxy
