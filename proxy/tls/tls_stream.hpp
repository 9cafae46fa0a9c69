// SPDX-License-Identifier: Apache-2.0
// The TLS layer of one stream_socket.
#pragma once

#include "proxy/runtime/stream_socket.hpp"
#include "proxy/tls/context.hpp"
#include "proxy/tls/peer_names.hpp"

#include <memory>

namespace weir::proxy::tls {

/// Encrypts what its socket sends and decrypts what it receives; never blocks. What stream_socket promises
/// holds for it, too: `closed` is the peer's close_notify and nothing else, so that a connection that merely
/// ends is `failed` (RFC 8446 6.1), and bytes count as written when the kernel has taken their whole record.
class tls_stream {
 public:
  /// `context` is what made `ssl`; it is kept until the handshake is over.
  tls_stream(stream_socket& below, ssl_ptr ssl, std::shared_ptr<const void> context);
  tls_stream(const tls_stream&) = delete;
  tls_stream& operator=(const tls_stream&) = delete;

  /// ok: done; would_block: again after the next event; else the connection is of no use.
  [[nodiscard]] io_status handshake() noexcept;
  /// After the handshake: see verified_peer().
  [[nodiscard]] std::unique_ptr<const identity::peer_names> peer() const { return verified_peer(ssl_.get()); }
  /// After the handshake: it was a short one, without a certificate.
  [[nodiscard]] bool resumed() const noexcept;
  /// Why the handshake failed; static text.
  [[nodiscard]] const char* problem() const noexcept { return problem_; }

  [[nodiscard]] io_result read(char* data, std::size_t size) noexcept;
  [[nodiscard]] io_result write(const iovec* parts, std::size_t count) noexcept;
  /// Tells the peer that nothing more follows, unless a record is under way: then something is missing.
  void close_notify() noexcept;
  /// Nothing has come but what concerns TLS alone, such as session tickets.
  [[nodiscard]] bool is_quiet() noexcept;
  /// A record with bytes that are not reported as written yet is under way.
  [[nodiscard]] bool mid_write() const noexcept { return mid_write_; }

 private:
  [[nodiscard]] io_status judge(int outcome) noexcept;

  stream_socket& below_;
  ssl_ptr ssl_;
  std::shared_ptr<const void> context_;
  const char* problem_ = "";
  bool mid_write_ = false;
  bool can_notify_ = false;  // after the handshake, until something fails or the end was told
};

}  // namespace weir::proxy::tls
