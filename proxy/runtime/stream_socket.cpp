// SPDX-License-Identifier: Apache-2.0
#include "proxy/runtime/stream_socket.hpp"

#include "proxy/tls/tls_stream.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace weir::proxy {

stream_socket::stream_socket() noexcept = default;

stream_socket::~stream_socket() {
  close();
}

bool stream_socket::open(readiness_set& set, int fd, ready_handler& handler) noexcept {
  close();
  if (!set.add(fd, handler)) {
    const int error = errno;
    ::close(fd);
    errno = error;
    return false;
  }
  set_ = &set;
  handler_ = &handler;
  fd_ = fd;
  readable_ = buffered_ = writable_ = peer_finished_ = broken_ = false;
  return true;
}

void stream_socket::close() noexcept {
  if (fd_ < 0) return;
  if (tls_) {
    if (!broken_) tls_->close_notify();
    tls_.reset();
  }
  set_->remove(fd_, *handler_);
  ::close(fd_);
  fd_ = -1;
}

int stream_socket::release() noexcept {
  set_->remove(fd_, *handler_);
  return std::exchange(fd_, -1);
}

void stream_socket::abort() noexcept {
  if (fd_ < 0) return;
  tls_.reset();  // no word that this is the end
  const linger reset{1, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  close();
}

void stream_socket::shutdown_send() noexcept {
  if (fd_ < 0) return;
  if (tls_) tls_->close_notify();
  ::shutdown(fd_, SHUT_WR);
}

io_result stream_socket::peek(char* data, std::size_t size) noexcept {
  readable_ = false;
  const ssize_t n = ::recv(fd_, data, size, MSG_PEEK | MSG_DONTWAIT);
  if (n > 0) return {io_status::ok, static_cast<std::size_t>(n)};
  if (n == 0) return {io_status::closed};
  if (errno == EAGAIN || errno == EWOULDBLOCK) return {io_status::would_block};
  return {io_status::failed, 0, errno};
}

bool stream_socket::skip(std::size_t size) noexcept {
  std::array<char, 512> dropped;
  while (size > 0) {
    const io_result got = receive(dropped.data(), std::min(size, dropped.size()));
    if (got.status != io_status::ok) return false;
    size -= got.bytes;
  }
  readable_ = true;  // more may lie behind them
  return true;
}

void stream_socket::start_tls(std::unique_ptr<tls::tls_stream> layer) noexcept {
  tls_ = std::move(layer);
}

io_status stream_socket::handshake() noexcept {
  return tls_->handshake();
}

std::unique_ptr<const identity::peer_names> stream_socket::peer() const {
  return tls_ ? tls_->peer() : nullptr;
}

bool stream_socket::resumed() const noexcept {
  return tls_->resumed();
}

const char* stream_socket::handshake_problem() const noexcept {
  return tls_ ? tls_->problem() : "";
}

bool stream_socket::mid_write() const noexcept {
  return tls_ && tls_->mid_write();
}

void stream_socket::note(std::uint32_t events) noexcept {
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) readable_ = true;
  if ((events & EPOLLOUT) != 0) writable_ = true;
  if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) peer_finished_ = true;
  if ((events & (EPOLLHUP | EPOLLERR)) != 0) broken_ = true;
}

io_result stream_socket::read(char* data, std::size_t size) noexcept {
  if (tls_) [[unlikely]]
    return tls_->read(data, size);
  return receive(data, size);
}

io_result stream_socket::write(const iovec* parts, std::size_t count) noexcept {
  if (tls_) [[unlikely]]
    return tls_->write(parts, count);
  return send(parts, count);
}

io_result stream_socket::receive(char* data, std::size_t size) noexcept {
  for (;;) {
    const ssize_t n = ::recv(fd_, data, size, 0);
    if (n > 0) {
      // A short read drained the socket; a FIN behind the data gets no further event, so keep reading towards
      // it.
      if (static_cast<std::size_t>(n) < size && !peer_finished_) readable_ = false;
      return {io_status::ok, static_cast<std::size_t>(n)};
    }
    if (n == 0) {
      readable_ = false;
      peer_finished_ = true;
      return {io_status::closed};
    }
    if (errno == EINTR) continue;
    readable_ = false;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return {io_status::would_block};
    return {io_status::failed, 0, errno};
  }
}

io_result stream_socket::send(const iovec* parts, std::size_t count) noexcept {
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(parts);  // sendmsg does not write through it
  message.msg_iovlen = count;
  for (;;) {
    const ssize_t n = ::sendmsg(fd_, &message, MSG_NOSIGNAL);
    if (n >= 0) return {io_status::ok, static_cast<std::size_t>(n)};
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
      writable_ = false;
      return {io_status::would_block};
    }
    return {io_status::failed, 0, errno};
  }
}

void stream_socket::make_room() noexcept {
  const int no_mark = std::numeric_limits<int>::max();
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &no_mark, sizeof no_mark);
  int size = 0;
  socklen_t length = sizeof size;
  ::getsockopt(fd_, SOL_SOCKET, SO_SNDBUF, &size, &length);
  ::setsockopt(fd_, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);  // which doubles it: socket(7)
  writable_ = true;
}

bool stream_socket::said_goodbye() noexcept {
  if (!tls_ || !readable_ || buffered_) return false;
  return !tls_->is_quiet() && peer_finished_;
}

bool stream_socket::is_quiet() noexcept {
  if (tls_) {
    readable_ = true;
    return tls_->is_quiet();
  }
  char byte;
  const ssize_t n = ::recv(fd_, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  const bool quiet = n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
  readable_ = !quiet;
  return quiet;
}

}  // namespace weir::proxy
