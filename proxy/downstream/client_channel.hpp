// SPDX-License-Identifier: Apache-2.0
// The downstream connection as an exchange sees it: the socket and the bytes received from the client.
#pragma once

#include "proxy/runtime/buffer_pool.hpp"
#include "proxy/runtime/stream_socket.hpp"

namespace weir::proxy {

struct client_channel {
  stream_socket socket;
  /// The current request's head lies at offset 0 and must not move while the request is active; body bytes
  /// follow it.
  io_buffer in;
  std::size_t head_size = 0;
  bool drips = false;                             ///< the body came in a drop last time
  static constexpr std::size_t drop_size = 1024;  ///< less than a full segment of any network

  /// Reads more body bytes behind the head, over those that were consumed. Call when nothing is unread; the
  /// block does not move.
  [[nodiscard]] io_result read_body() noexcept {
    in.rewind_to(head_size);
    const io_result result = socket.read(in.space(), in.space_size());
    if (result.status == io_status::ok) in.received(result.bytes);
    drips = result.bytes < drop_size;
    return result;
  }
};

}  // namespace weir::proxy
