// SPDX-License-Identifier: Apache-2.0
#include "proxy/upstream/endpoint.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/un.h>
#include <unistd.h>

namespace weir::proxy {

namespace {

constexpr std::uint32_t max_requests_per_connection = 10'000;

template <typename T>
resolved_address to_resolved(const T& address) {
  resolved_address result;
  std::memcpy(&result.storage, &address, sizeof address);
  result.size = sizeof address;
  return result;
}

/// Starts a non-blocking connect; -1 and errno when it failed at once.
int open_and_connect(const resolved_address& address) {
  const int fd = ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
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

}  // namespace

std::vector<resolved_address> literal_addresses(const socket_address& address) {
  if (!address.unix_path.empty()) {
    sockaddr_un un{};
    un.sun_family = AF_UNIX;
    std::memcpy(un.sun_path, address.unix_path.data(),
                std::min(address.unix_path.size(), sizeof un.sun_path - 1));
    return {to_resolved(un)};
  }
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(address.port);
  if (::inet_pton(AF_INET, address.host.c_str(), &v4.sin_addr) == 1) return {to_resolved(v4)};
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(address.port);
  if (::inet_pton(AF_INET6, address.host.c_str(), &v6.sin6_addr) == 1) return {to_resolved(v6)};
  return {};
}

endpoint::endpoint(services& worker, const endpoint_settings& settings, const pool_settings& pool,
                   upstream_counters& counters, std::vector<resolved_address> addresses)
    : worker_(worker),
      settings_(settings),
      pool_(pool),
      counters_(counters),
      text_(settings.address.text()),
      addresses_(std::move(addresses)) {}

endpoint::~endpoint() {
  counters_.connections_idle.add(-static_cast<std::int64_t>(idle_.size()));
  counters_.connections_busy.add(-static_cast<std::int64_t>(busy_));
}

void endpoint::set_addresses(std::vector<resolved_address> addresses) {
  if (addresses.empty()) return;
  addresses_ = std::move(addresses);
  next_address_ = 0;
}

acquire_status endpoint::acquire(connection_user& user, bool must_be_quiet, upstream_lease& lease) {
  if (upstream_connection* connection = take_idle(must_be_quiet)) {
    lease = lend(*connection, user);
    return acquire_status::ready;
  }
  if (all_.size() < std::size_t{pool_.size} + pool_.overflow) {
    return start_connect(user) ? acquire_status::connecting : acquire_status::failed;
  }
  if (waiting_.size() >= pool_.max_pending) return acquire_status::overloaded;
  waiting_.push_back(&user);
  user.wait_ticket_ = first_ticket_ + waiting_.size() - 1;
  return acquire_status::queued;
}

void endpoint::cancel(connection_user& user) noexcept {
  if (user.wait_ticket_ != 0) {
    waiting_[user.wait_ticket_ - first_ticket_] = nullptr;
    user.wait_ticket_ = 0;
    while (!waiting_.empty() && waiting_.front() == nullptr) {
      waiting_.pop_front();
      ++first_ticket_;
    }
  }
  if (user.connecting_ != nullptr) {
    upstream_connection& connection = *std::exchange(user.connecting_, nullptr);
    connection.user_ = nullptr;
    // A connect that outlived its caller's patience points at a bad address: the next one tries another.
    ++next_address_;
    destroy(connection);
  }
}

bool endpoint::worn_out(const upstream_connection& connection) const noexcept {
  if (connection.requests_ >= max_requests_per_connection) return true;
  // +-10 % by the connection's own address, so that connections opened together do not close together
  const std::int64_t limit = to_us(pool_.recycle);
  const auto spread =
      static_cast<std::int64_t>((reinterpret_cast<std::uintptr_t>(&connection) >> 6) % 201) - 100;
  return worker_.now_us - connection.created_us_ > limit + limit / 1000 * spread;
}

upstream_connection* endpoint::take_idle(bool must_be_quiet) {
  while (!idle_.empty()) {
    upstream_connection& connection = *idle_.back();
    const bool fresh = worker_.now_us - connection.returned_us_ <= to_us(pool_.idle_timeout);
    if (fresh && !worn_out(connection) && !connection.socket.readable() &&
        (!must_be_quiet || connection.socket.is_quiet())) {
      idle_.pop_back();
      counters_.connections_idle.add(-1);
      counters_.connections_busy.add(1);
      ++busy_;
      return &connection;
    }
    destroy(connection);
  }
  return nullptr;
}

bool endpoint::start_connect(connection_user& user) {
  if (addresses_.empty()) return false;
  const int fd = open_and_connect(addresses_[next_address_ % addresses_.size()]);
  if (fd < 0) {
    ++next_address_;
    return false;
  }
  auto connection = std::make_unique<upstream_connection>(*this, worker_.now_us);
  if (!connection->socket.open(worker_.sockets, fd, *connection)) return false;
  connection->user_ = &user;
  connection->position_ = static_cast<std::uint32_t>(all_.size());
  user.connecting_ = connection.get();
  all_.push_back(std::move(connection));
  ++busy_;
  counters_.connections_busy.add(1);
  return true;
}

upstream_lease endpoint::lend(upstream_connection& connection, connection_user& user) {
  connection.user_ = &user;
  connection.state_ = upstream_connection::state::busy;
  ++connection.requests_;
  return upstream_lease(connection);
}

void endpoint::finish_connect(upstream_connection& connection) {
  connection_user* user = connection.user_;
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(connection.socket.fd(), SOL_SOCKET, SO_ERROR, &error, &size);
  const bool open = error == 0 && !connection.socket.broken();
  if (open && !connection.socket.writable()) return;  // not connected yet
  user->connecting_ = nullptr;
  // bytes that are there before a request was written answer nobody
  if (open && connection.socket.is_quiet()) {
    user->on_connection(lend(connection, *user));
    return;
  }
  ++next_address_;
  connection.user_ = nullptr;
  destroy(connection);
  user->on_connect_failed(connect_failure::refused);
}

void endpoint::give_back(upstream_connection& connection) {
  connection.user_ = nullptr;
  if (worn_out(connection) || connection.socket.peer_finished() ||
      (connection.socket.readable() && !connection.socket.is_quiet())) {
    destroy(connection);
    return;
  }
  if (connection_user* waiter = next_waiter()) {
    waiter->on_connection(lend(connection, *waiter));
    return;
  }
  if (all_.size() > pool_.size) {
    destroy(connection);
    return;
  }
  connection.in.release();
  connection.state_ = upstream_connection::state::idle;
  connection.returned_us_ = worker_.now_us;
  idle_.push_back(&connection);
  --busy_;
  counters_.connections_busy.add(-1);
  counters_.connections_idle.add(1);
  if (!armed()) worker_.timers.arm(*this, worker_.now_us + to_us(pool_.idle_timeout));
}

void endpoint::destroy(upstream_connection& connection) {
  if (connection.state_ == upstream_connection::state::idle) {
    idle_.erase(std::find(idle_.begin(), idle_.end(), &connection));
    counters_.connections_idle.add(-1);
  } else {
    --busy_;
    counters_.connections_busy.add(-1);
  }
  connection.socket.close();
  connection.in.release();
  const std::uint32_t position = connection.position_;
  worker_.dead.bury(std::move(all_[position]));
  all_[position] = std::move(all_.back());
  all_.pop_back();
  if (position < all_.size()) all_[position]->position_ = position;
  serve_waiters();
}

connection_user* endpoint::next_waiter() {
  while (!waiting_.empty()) {
    connection_user* user = waiting_.front();
    waiting_.pop_front();
    ++first_ticket_;
    if (user != nullptr) {
      user->wait_ticket_ = 0;
      return user;
    }
  }
  return nullptr;
}

/// A place became free: the first waiter gets a connection of its own.
void endpoint::serve_waiters() {
  while (!waiting_.empty() && all_.size() < std::size_t{pool_.size} + pool_.overflow) {
    connection_user* user = next_waiter();
    if (user == nullptr) return;
    if (!start_connect(*user)) user->on_connect_failed(connect_failure::refused);
  }
}

void endpoint::on_timer() {
  const std::int64_t oldest_allowed = worker_.now_us - to_us(pool_.idle_timeout);
  while (!idle_.empty() && idle_.front()->returned_us_ <= oldest_allowed) destroy(*idle_.front());
  if (!idle_.empty()) worker_.timers.arm(*this, idle_.front()->returned_us_ + to_us(pool_.idle_timeout));
}

void upstream_connection::on_ready(std::uint32_t events) {
  socket.note(events);
  switch (state_) {
    case state::connecting:
      owner_.finish_connect(*this);
      break;
    case state::idle:
      // Closed by the peer, or bytes that answer no request: never to be read by a later request.
      if (socket.readable() || socket.peer_finished()) owner_.destroy(*this);
      break;
    case state::busy:
      if (user_ != nullptr) user_->on_upstream_ready();
      break;
  }
}

void upstream_lease::give_back() {
  if (upstream_connection* connection = std::exchange(connection_, nullptr))
    connection->owner_.give_back(*connection);
}

void upstream_lease::drop() noexcept {
  if (upstream_connection* connection = std::exchange(connection_, nullptr)) {
    connection->user_ = nullptr;
    connection->owner_.destroy(*connection);
  }
}

}  // namespace weir::proxy
