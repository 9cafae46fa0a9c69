// SPDX-License-Identifier: Apache-2.0
#include "proxy/runtime/stream_socket.hpp"

#include <cerrno>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace weir::proxy {

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
  readable_ = writable_ = peer_finished_ = broken_ = false;
  return true;
}

void stream_socket::close() noexcept {
  if (fd_ < 0) return;
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
  const linger reset{1, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  close();
}

void stream_socket::shutdown_send() noexcept {
  if (fd_ >= 0) ::shutdown(fd_, SHUT_WR);
}

void stream_socket::note(std::uint32_t events) noexcept {
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) readable_ = true;
  if ((events & EPOLLOUT) != 0) writable_ = true;
  if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) peer_finished_ = true;
  if ((events & (EPOLLHUP | EPOLLERR)) != 0) broken_ = true;
}

io_result stream_socket::read(char* data, std::size_t size) noexcept {
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

io_result stream_socket::write(const iovec* parts, std::size_t count) noexcept {
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

bool stream_socket::is_quiet() noexcept {
  char byte;
  const ssize_t n = ::recv(fd_, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  const bool quiet = n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
  readable_ = !quiet;
  return quiet;
}

}  // namespace weir::proxy
