// SPDX-License-Identifier: Apache-2.0
// One connected, non-blocking stream socket in a readiness_set, with the readiness it has remembered.
#pragma once

#include "proxy/runtime/readiness_set.hpp"

#include <cstddef>
#include <cstdint>
#include <sys/uio.h>

namespace weir::proxy {

enum class io_status : std::uint8_t {
  ok,           ///< at least one byte moved
  would_block,  ///< nothing now; an event will follow
  closed,       ///< the peer finished sending (read only)
  failed,       ///< reset or another error; `error` holds errno
};

struct io_result {
  io_status status;
  std::size_t bytes = 0;
  int error = 0;
};

/// Owns the descriptor. Reads and writes only when the kernel may have something: after a short read the
/// socket is drained until the next event, so no transfer is tried in vain.
class stream_socket {
 public:
  stream_socket() = default;
  ~stream_socket() { close(); }
  stream_socket(const stream_socket&) = delete;
  stream_socket& operator=(const stream_socket&) = delete;

  /// Takes over `fd` and registers it for `handler`. False: fd is closed, errno set.
  [[nodiscard]] bool open(readiness_set& set, int fd, ready_handler& handler) noexcept;
  void close() noexcept;
  /// Ends the registration and hands the open descriptor to the caller.
  [[nodiscard]] int release() noexcept;
  /// Closes with RST: the peer must not take what it got for complete.
  void abort() noexcept;
  /// Ends our direction.
  void shutdown_send() noexcept;

  /// Merges the events of ready_handler::on_ready.
  void note(std::uint32_t events) noexcept;

  /// `size` > 0.
  [[nodiscard]] io_result read(char* data, std::size_t size) noexcept;
  [[nodiscard]] io_result write(const iovec* parts, std::size_t count) noexcept;

  [[nodiscard]] bool is_open() const noexcept { return fd_ >= 0; }
  [[nodiscard]] int fd() const noexcept { return fd_; }
  [[nodiscard]] bool readable() const noexcept { return readable_; }
  [[nodiscard]] bool writable() const noexcept { return writable_; }
  /// The peer has sent FIN or the connection is broken; bytes before it may still be unread.
  [[nodiscard]] bool peer_finished() const noexcept { return peer_finished_; }
  [[nodiscard]] bool broken() const noexcept { return broken_; }
  /// Asks the kernel whether an idle connection is still silent and open (one peek).
  [[nodiscard]] bool is_quiet() noexcept;

 private:
  readiness_set* set_ = nullptr;
  ready_handler* handler_ = nullptr;
  int fd_ = -1;
  bool readable_ = false;
  bool writable_ = false;
  bool peer_finished_ = false;
  bool broken_ = false;
};

}  // namespace weir::proxy
