// SPDX-License-Identifier: Apache-2.0
#include "proxy/tls/tls_stream.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <new>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <string_view>

namespace weir::proxy::tls {

namespace {

constexpr std::size_t record_size_max = 16 * 1024;  // RFC 8446 5.1

/// OpenSSL's view of a stream_socket: knows from it when there is no use in asking the kernel.
struct socket_bio {
  static int read(BIO* bio, char* data, int size) noexcept {
    stream_socket& socket = *static_cast<stream_socket*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    if (!socket.kernel_readable()) {
      BIO_set_retry_read(bio);
      return -1;
    }
    const io_result got = socket.receive(data, static_cast<std::size_t>(size));
    if (got.status == io_status::would_block) BIO_set_retry_read(bio);
    return got.status == io_status::ok ? static_cast<int>(got.bytes) : -1;
  }

  static int write(BIO* bio, const char* data, int size) noexcept {
    stream_socket& socket = *static_cast<stream_socket*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    const iovec part{const_cast<char*>(data), static_cast<std::size_t>(size)};
    const io_result sent = socket.writable() ? socket.send(&part, 1) : io_result{io_status::would_block};
    if (sent.status == io_status::would_block) BIO_set_retry_write(bio);
    return sent.status == io_status::ok ? static_cast<int>(sent.bytes) : -1;
  }

  static long control(BIO*, int command, long, void*) noexcept { return command == BIO_CTRL_FLUSH ? 1 : 0; }

  static const BIO_METHOD* method() {
    static const BIO_METHOD* const one = [] {
      BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stream_socket");
      if (made == nullptr) throw std::bad_alloc();
      BIO_meth_set_read(made, read);
      BIO_meth_set_write(made, write);
      BIO_meth_set_ctrl(made, control);
      return made;
    }();
    return one;
  }
};

/// The front of a gather list as one piece: a head and the beginning of its body leave in one record.
iovec first_record(const iovec* parts, std::size_t count) noexcept {
  if (count == 1 || parts[0].iov_len >= record_size_max) return parts[0];
  static thread_local std::array<char, record_size_max> joined;
  std::size_t size = 0;
  for (std::size_t i = 0; i < count && size < joined.size(); ++i) {
    const std::size_t n = std::min(parts[i].iov_len, joined.size() - size);
    std::memcpy(joined.data() + size, parts[i].iov_base, n);
    size += n;
  }
  return {joined.data(), size};
}

}  // namespace

tls_stream::tls_stream(stream_socket& below, ssl_ptr ssl, std::shared_ptr<const void> context)
    : below_(below), ssl_(std::move(ssl)), context_(std::move(context)) {
  BIO* bio = BIO_new(socket_bio::method());
  if (bio == nullptr) throw std::bad_alloc();
  BIO_set_data(bio, &below_);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_.get(), bio, bio);
}

/// What an operation that did not succeed means; ends the connection's use unless it can be tried again.
io_status tls_stream::judge(int outcome) noexcept {
  below_.note_buffered(false);  // what OpenSSL may hold is part of a record: of use when more has come
  switch (SSL_get_error(ssl_.get(), outcome)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      return io_status::would_block;
    case SSL_ERROR_ZERO_RETURN:
      below_.note_end();
      return io_status::closed;
    default:
      can_notify_ = false;
      return io_status::failed;
  }
}

io_status tls_stream::handshake() noexcept {
  ERR_clear_error();
  const int outcome = SSL_do_handshake(ssl_.get());
  if (outcome == 1) {
    can_notify_ = true;
    context_.reset();
    below_.note_buffered(SSL_has_pending(ssl_.get()) == 1);
    return io_status::ok;
  }
  const unsigned long error = ERR_peek_error();
  const io_status status = judge(outcome);
  if (status != io_status::would_block) {
    const long verdict = SSL_get_verify_result(ssl_.get());
    const char* reason =
        verdict != X509_V_OK ? X509_verify_cert_error_string(verdict) : ERR_reason_error_string(error);
    problem_ = reason != nullptr ? reason : "the peer closed the connection";
  }
  return status;
}

bool tls_stream::resumed() const noexcept {
  return SSL_session_reused(ssl_.get()) == 1;
}

io_result tls_stream::read(char* data, std::size_t size) noexcept {
  ERR_clear_error();
  std::size_t total = 0;
  do {
    std::size_t got = 0;
    const int outcome = SSL_read_ex(ssl_.get(), data + total, size - total, &got);
    if (outcome != 1) {
      const io_status status = judge(outcome);
      if (total == 0) return {status};
      below_.note_buffered(status != io_status::would_block);  // an end is told by the next read
      return {io_status::ok, total};
    }
    total += got;
  } while (total < size && SSL_has_pending(ssl_.get()) == 1);  // many small records are one read
  below_.note_buffered(SSL_has_pending(ssl_.get()) == 1);
  return {io_status::ok, total};
}

io_result tls_stream::write(const iovec* parts, std::size_t count) noexcept {
  const iovec record = first_record(parts, count);
  ERR_clear_error();
  std::size_t sent = 0;
  const int outcome = SSL_write_ex(ssl_.get(), record.iov_base, record.iov_len, &sent);
  if (outcome == 1) {
    mid_write_ = false;
    return {io_status::ok, sent};
  }
  switch (SSL_get_error(ssl_.get(), outcome)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      mid_write_ = true;
      return {io_status::would_block};
    default:
      can_notify_ = false;
      return {io_status::failed};
  }
}

void tls_stream::close_notify() noexcept {
  if (!can_notify_ || mid_write_) return;
  can_notify_ = false;
  ERR_clear_error();
  if (SSL_shutdown(ssl_.get()) >= 0) return;
  below_.make_room();  // nobody will be there to try again later
  SSL_shutdown(ssl_.get());
}

bool tls_stream::is_quiet() noexcept {
  ERR_clear_error();
  char byte;
  std::size_t got = 0;
  const int outcome = SSL_peek_ex(ssl_.get(), &byte, 1, &got);
  if (outcome != 1) return judge(outcome) == io_status::would_block;
  below_.note_buffered(true);
  return false;
}

}  // namespace weir::proxy::tls
