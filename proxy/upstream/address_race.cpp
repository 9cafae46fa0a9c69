// SPDX-License-Identifier: Apache-2.0
#include "proxy/upstream/address_race.hpp"

#include "proxy/runtime/descriptors.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

namespace weir::proxy {

bool operator==(const resolved_address& a, const resolved_address& b) noexcept {
  return a.size == b.size && std::memcmp(&a.storage, &b.storage, a.size) == 0;
}

int begin_connect(const resolved_address& address) noexcept {
  const int fd = ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  if (short_of_descriptors(fd, descriptors_kept_from_upstreams)) {
    ::close(fd);
    errno = EMFILE;
    return -1;
  }
  if (address.storage.ss_family != AF_UNIX) {
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address.storage), address.size) == 0 ||
      errno == EINPROGRESS) {
    return fd;
  }
  const int error = errno;
  ::close(fd);
  errno = error;
  return -1;
}

address_race::address_race(services& worker, race_owner& owner,
                           const std::vector<resolved_address>& addresses, std::size_t first)
    : worker_(worker), owner_(owner) {
  for (std::size_t i = 0; i < std::min(addresses.size(), most_runners); ++i)
    addresses_.push_back(addresses[(first + i) % addresses.size()]);
}

std::int64_t address_race::extra_patience_us(std::size_t addresses) noexcept {
  const std::size_t runners = std::clamp<std::size_t>(addresses, 1, most_runners);
  return static_cast<std::int64_t>(runners - 1) * head_start_us;
}

bool address_race::start() {
  return start_next();
}

/// Starts the next address that does not fail at once. False: none is left, nothing was started.
bool address_race::start_next() {
  while (started_ < addresses_.size()) {
    runner& next = runners_[started_];
    next.race = this;
    next.number = started_;
    const int fd = begin_connect(addresses_[started_++]);
    if (fd < 0 || !next.socket.open(worker_.sockets, fd, next)) continue;
    ++running_;
    if (started_ < addresses_.size()) worker_.timers.arm(*this, worker_.now_us + head_start_us);
    return true;
  }
  return false;
}

void address_race::on_timer() {
  (void)start_next();
}

void address_race::runner::on_ready(std::uint32_t events) {
  socket.note(events);
  race->on_runner(*this);
}

void address_race::on_runner(runner& who) {
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(who.socket.fd(), SOL_SOCKET, SO_ERROR, &error, &size);
  if (error == 0 && !who.socket.broken()) {
    if (!who.socket.writable()) return;  // not connected yet
    const int fd = who.socket.release();
    stop();
    owner_.on_race_won(fd, addresses_[who.number]);
    return;
  }
  who.socket.close();
  --running_;
  if (start_next() || running_ > 0) return;
  stop();
  owner_.on_race_lost();
}

void address_race::stop() noexcept {
  worker_.timers.disarm(*this);
  for (runner& r : runners_) r.socket.close();
}

}  // namespace weir::proxy
