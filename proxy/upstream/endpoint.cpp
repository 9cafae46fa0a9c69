// SPDX-License-Identifier: Apache-2.0
#include "proxy/upstream/endpoint.hpp"

#include "proxy/observe/own_log.hpp"
#include "proxy/tls/tls_stream.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <netinet/in.h>
#include <sys/un.h>

namespace weir::proxy {

namespace {

template <typename T>
resolved_address to_resolved(const T& address) {
  resolved_address result;
  std::memcpy(&result.storage, &address, sizeof address);
  result.size = sizeof address;
  return result;
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
                   upstream_counters& counters, std::vector<resolved_address> addresses,
                   std::shared_ptr<const tls::client_context> tls)
    : worker_(worker),
      settings_(settings),
      counters_(counters),
      text_(settings.address.text()),
      named_(literal_addresses(settings.address).empty()),
      tls_(settings.tls ? std::move(tls) : nullptr),
      addresses_(std::move(addresses)),
      pool_(pool) {}

endpoint::~endpoint() {
  counters_.connections_idle.add(-static_cast<std::int64_t>(pool_.idle()));
  counters_.connections_busy.add(-static_cast<std::int64_t>(pool_.busy()));
  counters_.closed[static_cast<std::size_t>(close_reason::shutdown)].add(all_.size());
}

void endpoint::set_addresses(std::vector<resolved_address> addresses) {
  if (addresses.empty()) return;
  addresses_ = std::move(addresses);
  next_address_ = 0;
  const auto gone = [this](const upstream_connection& c) {
    return std::find(addresses_.begin(), addresses_.end(), c.address_) == addresses_.end();
  };
  std::vector<upstream_connection*> idle;
  for (const auto& connection : all_) {
    if (connection->race_ || !gone(*connection)) continue;
    pool_.retire(*connection);
    if (connection->pool_place() == pool_member::state::idle) idle.push_back(connection.get());
  }
  for (upstream_connection* connection : idle) destroy(*connection, close_reason::address_gone);
}

/// The next connect begins with the address that this one won with.
void endpoint::begin_with(upstream_connection& winner) {
  const auto found = std::find(addresses_.begin(), addresses_.end(), winner.address_);
  if (found == addresses_.end()) {
    pool_.retire(winner);  // the name was looked up again meanwhile
  } else {
    next_address_ = static_cast<std::size_t>(found - addresses_.begin());
  }
}

void endpoint::note_unreachable() {
  constexpr std::int64_t pause_us = 1'000'000;
  if (!named_ || !worker_.unreachable) return;
  if (unreachable_us_ > 0 && worker_.now_us - unreachable_us_ < pause_us) return;
  unreachable_us_ = worker_.now_us;
  worker_.unreachable(settings_.address);
}

// ---- taking ----

acquire_status endpoint::acquire(connection_user& user, bool repeatable, upstream_lease& lease) {
  if (upstream_connection* connection = take_idle(repeatable)) {
    counters_.connections_idle.add(-1);
    counters_.connections_busy.add(1);
    counters_.reused.add();
    lease = lend(*connection, user);
    return acquire_status::ready;
  }
  if (pool_.may_open()) {
    errno = 0;
    if (start_connect(user)) return acquire_status::connecting;
    if (errno != EMFILE) return acquire_status::failed;
    if (pool_.busy() == 0) return acquire_status::overloaded;  // there is no connection to wait for
  }
  if (!pool_.enqueue(user)) return acquire_status::overloaded;
  counters_.waiting.add(1);
  return acquire_status::queued;
}

void endpoint::cancel(connection_user& user) noexcept {
  if (user.in_line()) {
    pool_.leave(user);
    counters_.waiting.add(-1);
  }
  if (user.connecting_ == nullptr) return;
  upstream_connection& connection = *std::exchange(user.connecting_, nullptr);
  // The address that was to win did not: the next connect begins with another.
  if (connection.race_ && connection.race_->started() > 1) ++next_address_;
  destroy(connection, close_reason::cancelled);
}

upstream_connection* endpoint::take_idle(bool repeatable) {
  while (pool_member* member = pool_.newest_idle()) {
    auto& connection = static_cast<upstream_connection&>(*member);
    std::optional<close_reason> unfit = pool_.unfit(connection, repeatable, worker_.now_us);
    if (!unfit && (connection.socket.readable() || !repeatable) && !connection.socket.is_quiet())
      unfit = close_reason::peer;
    if (!unfit) return &connection;
    destroy(connection, *unfit);
  }
  return nullptr;
}

upstream_lease endpoint::lend(upstream_connection& connection, connection_user& user) {
  connection.user_ = &user;
  connection.lent_us_ = worker_.now_us;
  connection.leak_reported_ = false;
  pool_.lend(connection);
  if (!armed()) set_timer();
  return upstream_lease(connection);
}

// ---- connecting ----

bool endpoint::start_connect(connection_user& user) {
  if (addresses_.empty()) {
    note_unreachable();
    return false;
  }
  auto made = std::make_unique<upstream_connection>(*this, addresses_[next_address_ % addresses_.size()]);
  upstream_connection& connection = *made;
  if (!open_socket(connection)) {
    const int error = errno;
    worker_.dead.bury(std::move(made));
    note_unreachable();
    errno = error;
    return false;
  }
  // +-10 % by the connection's own address, so that connections opened together do not close together
  pool_.opened(connection, worker_.now_us,
               static_cast<std::uint32_t>((reinterpret_cast<std::uintptr_t>(&connection) >> 6) % 201));
  connection.user_ = &user;
  connection.position_ = static_cast<std::uint32_t>(all_.size());
  user.connecting_ = &connection;
  all_.push_back(std::move(made));
  counters_.created.add();
  counters_.connections_busy.add(1);
  return true;
}

bool endpoint::open_socket(upstream_connection& connection) {
  if (addresses_.size() > 1) {
    race_owner& owner = connection;
    connection.race_ = std::make_unique<address_race>(worker_, owner, addresses_, next_address_);
    return connection.race_->start();
  }
  const int fd = begin_connect(connection.address_);
  return fd >= 0 && connection.socket.open(worker_.sockets, fd, connection);
}

void endpoint::finish_connect(upstream_connection& connection) {
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(connection.socket.fd(), SOL_SOCKET, SO_ERROR, &error, &size);
  const auto failed = [&] { return error != 0 || connection.socket.broken(); };
  if (failed()) return connect_failed(connection, connect_failure::refused);
  if (!connection.socket.writable() && !connection.socket.is_tls()) return;  // not connected yet
  if (tls_ && !shake_hands(connection)) return;
  // bytes that are there before a request was written answer nobody
  if (failed() || !connection.socket.is_quiet()) return connect_failed(connection, connect_failure::refused);
  connection_user* user = connection.user_;
  user->connecting_ = nullptr;
  user->on_connection(lend(connection, *user));
}

/// False: not done yet, or failed, which its user has been told then.
bool endpoint::shake_hands(upstream_connection& connection) {
  if (!connection.socket.is_tls()) {
    tls::ssl_ptr ssl = tls_->connect(settings_.address.host, session_, worker_.now_us);
    if (!ssl) {
      connect_failed(connection, connect_failure::tls);
      return false;
    }
    connection.socket.start_tls(std::make_unique<tls::tls_stream>(connection.socket, std::move(ssl), tls_));
  }
  const io_status status = connection.socket.handshake();
  if (status == io_status::ok) {
    session_.shaken_hands(connection.socket.resumed(), worker_.now_us);
    return true;
  }
  if (status == io_status::would_block) return false;
  session_.forget();
  log_event(log_level::warn, "TLS handshake with an upstream failed",
            {{"endpoint", text_}, {"cause", connection.socket.handshake_problem()}});
  connect_failed(connection, connect_failure::tls);
  return false;
}

void endpoint::connect_failed(upstream_connection& connection, connect_failure why) {
  connection_user* user = std::exchange(connection.user_, nullptr);
  user->connecting_ = nullptr;
  destroy(connection, close_reason::connect_failed);
  note_unreachable();
  user->on_connect_failed(why);
}

// ---- giving back ----

void endpoint::give_back(upstream_connection& connection, std::int64_t keep_alive_us) {
  connection.user_ = nullptr;
  if (const std::optional<close_reason> unfit = unfit_on_return(connection)) {
    destroy(connection, *unfit);
    return;
  }
  if (connection_user* waiter = next_waiter()) {
    connection.in.clear();  // what was read of one response takes no room from the next
    counters_.reused.add();
    waiter->on_connection(lend(connection, *waiter));
    return;
  }
  const bool kept = keep_alive_us != 0 && pool_.park(connection, keep_alive_us, worker_.now_us);
  if (!kept) {
    destroy(connection, keep_alive_us == 0 ? close_reason::not_reusable : close_reason::overflow);
    return;
  }
  connection.in.release();
  counters_.connections_busy.add(-1);
  counters_.connections_idle.add(1);
  if (!armed()) set_timer();
}

std::optional<close_reason> endpoint::unfit_on_return(upstream_connection& connection) {
  if (const std::optional<close_reason> worn = pool_.outworn(connection, worker_.now_us)) return worn;
  if (connection.socket.peer_finished() || (connection.socket.readable() && !connection.socket.is_quiet()))
    return close_reason::peer;
  return std::nullopt;
}

/// Closed by the peer, or bytes that answer no request: never to be read by a later request.
void endpoint::on_idle_event(upstream_connection& connection) {
  const bool closed = connection.socket.peer_finished();
  if (!closed && (!connection.socket.readable() || connection.socket.is_quiet())) return;
  if (closed) pool_.peer_closed(connection, worker_.now_us);
  destroy(connection, close_reason::peer);
}

void endpoint::destroy(upstream_connection& connection, close_reason why) {
  const bool idle = connection.pool_place() == pool_member::state::idle;
  (idle ? counters_.connections_idle : counters_.connections_busy).add(-1);
  counters_.closed[static_cast<std::size_t>(why)].add();
  pool_.removed(connection);
  connection.user_ = nullptr;
  if (connection.race_) {
    connection.race_->stop();
    worker_.dead.bury(std::move(connection.race_));
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
  pool_waiter* waiter = pool_.next_waiter();
  if (waiter == nullptr) return nullptr;
  counters_.waiting.add(-1);
  return static_cast<connection_user*>(waiter);
}

/// A place became free: the first waiter gets a connection of its own.
void endpoint::serve_waiters() {
  while (pool_.may_open()) {
    connection_user* user = next_waiter();
    if (user == nullptr) return;
    if (!start_connect(*user)) user->on_connect_failed(connect_failure::refused);
  }
}

// ---- the patrol ----

void endpoint::set_timer() {
  const std::int64_t expiry = pool_.next_expiry_us();
  const std::int64_t patrol = worker_.now_us + patrol_us;
  if (pool_.lent() > 0) {
    worker_.timers.arm(*this, expiry < 0 ? patrol : std::min(expiry, patrol));
  } else if (expiry >= 0) {
    worker_.timers.arm(*this, expiry);
  }
}

void endpoint::on_timer() {
  while (pool_member* member = pool_.expired(worker_.now_us))
    destroy(static_cast<upstream_connection&>(*member), close_reason::idle);
  look_for_leaks();
  set_timer();
}

void endpoint::look_for_leaks() {
  for (const auto& connection : all_) {
    if (connection->pool_place() != pool_member::state::lent || connection->leak_reported_) continue;
    const std::int64_t overdue_us = worker_.now_us - leak_tolerance_us;
    if (connection->user_ == nullptr || connection->user_->lease_end_us() >= overdue_us) continue;
    connection->leak_reported_ = true;
    counters_.leaked.add();
    log_event(
        log_level::error, "a lease of an upstream connection is overdue",
        {{"endpoint", text_}, {"age_ms", std::to_string((worker_.now_us - connection->lent_us_) / 1000)}});
  }
}

void upstream_connection::on_ready(std::uint32_t events) {
  socket.note(events);
  switch (pool_place()) {
    case state::connecting:
      owner_.finish_connect(*this);
      break;
    case state::idle:
      owner_.on_idle_event(*this);
      break;
    case state::lent:
      if (user_ != nullptr) user_->on_upstream_ready();
      break;
  }
}

void upstream_connection::on_race_won(int fd, const resolved_address& address) {
  address_ = address;
  owner_.worker_.dead.bury(std::move(race_));
  owner_.begin_with(*this);
  // The readiness that won the race is reported again, to this connection.
  if (!socket.open(owner_.worker_.sockets, fd, *this)) owner_.connect_failed(*this, connect_failure::refused);
}

void upstream_connection::on_race_lost() {
  owner_.connect_failed(*this, connect_failure::refused);
}

void upstream_lease::give_back(std::int64_t keep_alive_us) {
  if (upstream_connection* connection = std::exchange(connection_, nullptr))
    connection->owner_.give_back(*connection, keep_alive_us);
}

void upstream_lease::drop() noexcept {
  if (upstream_connection* connection = std::exchange(connection_, nullptr))
    connection->owner_.destroy(*connection, close_reason::not_reusable);
}

}  // namespace weir::proxy
