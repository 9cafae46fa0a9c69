// SPDX-License-Identifier: Apache-2.0
// One connected, non-blocking stream socket in a readiness_set, with the readiness it has remembered. TLS
// lies inside of it, so that whoever uses one does not know the difference.
#pragma once

#include "proxy/runtime/readiness_set.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <sys/uio.h>

namespace weir::proxy::tls {
class tls_stream;
}

namespace weir::identity {
struct peer_names;
}  // namespace weir::identity

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
  stream_socket() noexcept;
  ~stream_socket();
  stream_socket(const stream_socket&) = delete;
  stream_socket& operator=(const stream_socket&) = delete;

  /// Takes over `fd` and registers it for `handler`. False: fd is closed, errno set.
  [[nodiscard]] bool open(readiness_set& set, int fd, ready_handler& handler) noexcept;
  /// Over TLS the peer is told first that this is the end of what it gets.
  void close() noexcept;
  /// Ends the registration and hands the open descriptor to the caller.
  [[nodiscard]] int release() noexcept;
  /// Closes with RST: the peer must not take what it got for complete.
  void abort() noexcept;
  /// Ends our direction.
  void shutdown_send() noexcept;

  /// The first bytes that have come, left where they are; before start_tls(). `size` > 0. The same bytes are
  /// shown again only after more have come.
  [[nodiscard]] io_result peek(char* data, std::size_t size) noexcept;
  /// Removes `size` bytes that peek() showed. False: they are not there any more.
  [[nodiscard]] bool skip(std::size_t size) noexcept;

  /// From here on everything is TLS; handshake() comes first.
  void start_tls(std::unique_ptr<tls::tls_stream> layer) noexcept;
  /// ok: read() and write() may be used; would_block: again after the next event.
  [[nodiscard]] io_status handshake() noexcept;
  /// After the handshake: who the peer has proven to be; null = nobody.
  [[nodiscard]] std::unique_ptr<const identity::peer_names> peer() const;
  /// After a handshake: it resumed an earlier one.
  [[nodiscard]] bool resumed() const noexcept;
  /// Why the handshake failed; static text.
  [[nodiscard]] const char* handshake_problem() const noexcept;
  [[nodiscard]] bool is_tls() const noexcept { return tls_ != nullptr; }

  /// Merges the events of ready_handler::on_ready.
  void note(std::uint32_t events) noexcept;

  /// `size` > 0.
  [[nodiscard]] io_result read(char* data, std::size_t size) noexcept;
  [[nodiscard]] io_result write(const iovec* parts, std::size_t count) noexcept;

  [[nodiscard]] bool is_open() const noexcept { return fd_ >= 0; }
  [[nodiscard]] int fd() const noexcept { return fd_; }
  [[nodiscard]] bool readable() const noexcept { return readable_ || buffered_; }
  [[nodiscard]] bool writable() const noexcept { return writable_; }
  /// The peer has sent FIN or the connection is broken; bytes before it may still be unread.
  [[nodiscard]] bool peer_finished() const noexcept { return peer_finished_; }
  [[nodiscard]] bool broken() const noexcept { return broken_; }
  /// The same without FIN: looks for a close_notify that nobody reads towards. Plain sockets have none.
  [[nodiscard]] bool said_goodbye() noexcept;
  /// Asks the kernel whether an idle connection is still silent and open (one peek).
  [[nodiscard]] bool is_quiet() noexcept;
  /// Bytes of a message are under way that write() has not reported: other bytes must not take their place.
  [[nodiscard]] bool mid_write() const noexcept;

  // ---- for the TLS layer: past it
  [[nodiscard]] io_result receive(char* data, std::size_t size) noexcept;
  [[nodiscard]] io_result send(const iovec* parts, std::size_t count) noexcept;
  [[nodiscard]] bool kernel_readable() const noexcept { return readable_; }
  /// For a last small record: a full send buffer takes some more.
  void make_room() noexcept;
  void note_buffered(bool buffered) noexcept { buffered_ = buffered; }
  void note_end() noexcept { peer_finished_ = true; }

 private:
  readiness_set* set_ = nullptr;
  ready_handler* handler_ = nullptr;
  int fd_ = -1;
  std::unique_ptr<tls::tls_stream> tls_;  // null: plain
  bool readable_ = false;                 // the kernel may have bytes
  bool buffered_ = false;                 // the TLS layer has some
  bool writable_ = false;
  bool peer_finished_ = false;
  bool broken_ = false;
};

}  // namespace weir::proxy
