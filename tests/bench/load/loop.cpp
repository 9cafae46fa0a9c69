// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/load/loop.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <ctime>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdexcept>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace weir::bench {

nanoseconds now_ns() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<nanoseconds>(t.tv_sec) * 1'000'000'000 + static_cast<nanoseconds>(t.tv_nsec);
}

int checked(int result, const char* what) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), what);
  return result;
}

// ---- connection --------------------------------------------------------------------
connection::~connection() {
  close();
}

void connection::close() noexcept {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

void connection::write(std::string_view bytes) {
  if (!unwritten_.empty()) {
    unwritten_ += bytes;
    return;
  }
  const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN) return close();
  const std::size_t taken = sent < 0 ? 0 : static_cast<std::size_t>(sent);
  if (taken < bytes.size()) unwritten_ = bytes.substr(taken);
}

void connection::flush() {
  if (unwritten_.empty()) return;
  const ssize_t sent = send(fd_, unwritten_.data() + written_, unwritten_.size() - written_, MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN) return close();
  written_ += sent < 0 ? 0 : static_cast<std::size_t>(sent);
  if (written_ < unwritten_.size()) return;
  unwritten_.clear();
  written_ = 0;
}

std::string_view connection::read() {
  static std::array<char, read_size> buffer;
  const ssize_t got = recv(fd_, buffer.data(), buffer.size(), 0);
  if (got == 0 || (got < 0 && errno != EAGAIN)) close();
  return {buffer.data(), got < 0 ? 0 : static_cast<std::size_t>(got)};
}

// ---- loop --------------------------------------------------------------------------
loop::loop() : epoll_(checked(epoll_create1(EPOLL_CLOEXEC), "epoll_create1")) {}

loop::~loop() {
  close(epoll_);
}

connection& loop::add(std::unique_ptr<connection> made) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.ptr = made.get();
  checked(epoll_ctl(epoll_, EPOLL_CTL_ADD, made->fd(), &event), "epoll_ctl");
  return *all_.emplace_back(std::move(made));
}

void loop::turn(nanoseconds longest) {
  std::array<epoll_event, 512> events;
  const timespec wait{static_cast<time_t>(longest / 1'000'000'000),
                      static_cast<long>(longest % 1'000'000'000)};
  const int count = epoll_pwait2(epoll_, events.data(), static_cast<int>(events.size()), &wait, nullptr);
  if (count < 0 && errno != EINTR) checked(count, "epoll_pwait2");
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    auto* const ready = static_cast<connection*>(event.data.ptr);
    if (!ready->closed()) ready->on_ready((event.events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0);
  }
}

// ---- sockets -----------------------------------------------------------------------
namespace {
sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}
}  // namespace

int listen_on(std::uint16_t port) {
  const int fd = checked(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket");
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const sockaddr_in address = loopback(port);
  checked(bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), "bind");
  checked(listen(fd, SOMAXCONN), "listen");
  return fd;
}

int connect_to(std::uint16_t port) {
  const int fd = checked(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket");
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const sockaddr_in address = loopback(port);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0 && errno != EINPROGRESS) {
    checked(-1, "connect");
  }
  return fd;
}

std::size_t content_length(std::string_view head) {
  constexpr std::string_view length = "\r\ncontent-length:", coding = "\r\ntransfer-encoding:";
  for (std::size_t at = head.find("\r\n"); at != std::string_view::npos; at = head.find("\r\n", at + 2)) {
    const std::string_view rest = head.substr(at);
    if (rest.size() > coding.size() && strncasecmp(rest.data(), coding.data(), coding.size()) == 0) {
      throw std::runtime_error("a chunked body: all peers are set up to know the length");
    }
    if (rest.size() <= length.size() || strncasecmp(rest.data(), length.data(), length.size()) != 0) continue;
    const std::size_t digits = rest.find_first_not_of(' ', length.size());
    std::size_t value = 0;
    std::from_chars(rest.data() + digits, rest.data() + rest.size(), value);
    return value;
  }
  return 0;
}

}  // namespace weir::bench
