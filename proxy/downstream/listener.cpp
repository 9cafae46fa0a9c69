// SPDX-License-Identifier: Apache-2.0
#include "proxy/downstream/listener.hpp"

#include "proxy/observe/own_log.hpp"
#include "proxy/runtime/compiled_config.hpp"
#include "proxy/runtime/descriptors.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <new>
#include <sys/socket.h>
#include <sys/un.h>
#include <system_error>
#include <unistd.h>

namespace weir::proxy {

namespace {

[[noreturn]] void fail(int fd, const socket_address& address, const char* what) {
  const int error = errno;
  if (fd >= 0) ::close(fd);
  throw std::system_error(error, std::generic_category(), std::string(what) + " " + address.text());
}

/// A socket file nobody listens on any more is left from a killed process.
void remove_stale(const sockaddr_storage& address, socklen_t size, const std::string& path) {
  const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (probe < 0) return;
  const bool refused =
      ::connect(probe, reinterpret_cast<const sockaddr*>(&address), size) != 0 && errno == ECONNREFUSED;
  ::close(probe);
  if (refused) ::unlink(path.c_str());
}

identity::address to_address(const sockaddr_storage& peer) {
  identity::address result;
  if (peer.ss_family == AF_INET6) {
    sockaddr_in6 v6;
    std::memcpy(&v6, &peer, sizeof v6);
    std::memcpy(result.bytes.data(), &v6.sin6_addr, result.bytes.size());
    return result;
  }
  if (peer.ss_family == AF_INET) {
    sockaddr_in v4;
    std::memcpy(&v4, &peer, sizeof v4);
    return identity::from_v4(ntohl(v4.sin_addr.s_addr));
  }
  return identity::from_v4(INADDR_LOOPBACK);  // a unix peer is on this machine
}

}  // namespace

int bind_listener(const socket_address& address) {
  const std::vector<resolved_address> addresses = literal_addresses(address);
  if (addresses.empty()) {
    errno = EINVAL;
    fail(-1, address, "cannot listen on");
  }
  const resolved_address& target = addresses.front();
  const int fd = ::socket(target.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) fail(fd, address, "cannot listen on");
  const int on = 1;
  const int off = 0;
  if (target.storage.ss_family == AF_UNIX) {
    remove_stale(target.storage, target.size, address.unix_path);
  } else {
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    // `[::]` serves IPv4 clients too; their addresses are compared by value
    if (target.storage.ss_family == AF_INET6) ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  }
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&target.storage), target.size) != 0) {
    fail(fd, address, "cannot listen on");
  }
  if (::listen(fd, 4096) != 0) fail(fd, address, "cannot listen on");
  return fd;
}

listener::listener(services& worker, session_set& sessions, const listener_settings& settings,
                   listener_counters& counters, int fd, connection_places& places,
                   std::shared_ptr<const tls::server_context> tls)
    : worker_(worker),
      sessions_(sessions),
      context_(std::make_shared<listener_context>()),
      fd_(fd),
      places_(places) {
  update(settings, counters, std::move(tls));
  if (!is_unix()) context_->port = std::to_string(settings.address.port);
}

void listener::update(const listener_settings& settings, listener_counters& counters,
                      std::shared_ptr<const tls::server_context> tls) {
  // Connections that are open are counted under the name they came by.
  if (context_->name != settings.name) context_ = std::make_shared<listener_context>(*context_);
  settings_ = settings;
  context_->name = settings.name;
  context_->counters = &counters;
  context_->tls = std::move(tls);
  context_->proxy_protocol = settings.proxy_protocol;
  context_->emitters = settings.headers;
}

void listener::retire() {
  close();
  context_->closed = true;
}

/// Who may not announce clients by a PROXY header is not listened to at all.
bool listener::may_connect(const identity::address& peer) const noexcept {
  const std::vector<identity::cidr>& from = context_->proxy_protocol.from;
  return from.empty() || std::any_of(from.begin(), from.end(),
                                     [&](const identity::cidr& range) { return range.contains(peer); });
}

listener::~listener() {
  if (fd_ >= 0) ::close(fd_);
}

void listener::start() {
  if (!worker_.sockets.add(fd_, *this)) throw std::system_error(errno, std::generic_category(), "epoll_ctl");
}

void listener::close() {
  if (fd_ < 0) return;
  accept_some();
  worker_.sockets.remove(fd_, *this);
  ::close(fd_);
  fd_ = -1;
  if (armed()) worker_.timers.disarm(*this);
}

void listener::on_ready(std::uint32_t) {
  accept_some();
}

void listener::on_turn() {
  if (fd_ >= 0) accept_some();
}

void listener::accept_some() {
  for (int i = 0; i < max_accepts_per_turn; ++i) {
    sockaddr_storage peer{};
    socklen_t size = sizeof peer;
    const int fd = ::accept4(fd_, reinterpret_cast<sockaddr*>(&peer), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      short_of_descriptors_ = false;
      welcome(fd, peer);
      continue;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) return;
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      wait_for_descriptors(errno);
      return;
    }
    // ECONNABORTED and the like concern one connection only
  }
  worker_.turns.next.add(*this);
}

/// The queue stays readable without a new edge: come back when descriptors may be free again.
void listener::wait_for_descriptors(int error) {
  worker_.timers.arm(*this, worker_.now_us + retry_us);
  if (short_of_descriptors_) return;
  short_of_descriptors_ = true;
  log_event(log_level::warn, "cannot accept",
            {{"listener", context_->name}, {"cause", std::strerror(error)}});
}

void listener::turn_away(int fd, listener_counters::reject_reason why) noexcept {
  ::close(fd);
  context_->counters->rejected[why].add();
}

/// Memory that runs out ends this connection and nothing else.
void listener::welcome(int fd, const sockaddr_storage& peer) noexcept {
  if (short_of_client_descriptors(fd)) return turn_away(fd, listener_counters::descriptor_limit);
  if (worker_.buffers.exhausted()) return turn_away(fd, listener_counters::memory_limit);
  try {
    open_session(fd, peer);
  } catch (const std::bad_alloc&) {
    turn_away(fd, listener_counters::memory_limit);
  }
}

/// Who brings many clients is exempt from the limit of one address: trusted proxies, peers that announce
/// their clients, unix peers.
connection_places::answer listener::place_for(const identity::address& peer) const {
  const settings& s = *worker_.config->settings;
  const auto& trusted = s.client_ip.trusted_proxies;
  std::string group;
  if (!is_unix() && context_->proxy_protocol.from.empty() &&
      std::none_of(trusted.begin(), trusted.end(), [&](const auto& c) { return c.contains(peer); })) {
    identity::append_group(group, peer, s.client_ip.group_ipv4, s.client_ip.group_ipv6);
  }
  return places_.take(group, s.limits.connections_per_address);
}

/// Throws only as long as the descriptor is the caller's.
void listener::open_session(int fd, const sockaddr_storage& peer) {
  const identity::address address = to_address(peer);
  if (!may_connect(address)) return turn_away(fd, listener_counters::proxy_protocol);
  connection_places::answer place = place_for(address);
  if (!place.taken.taken()) {
    const bool total = place.why == connection_places::refusal::total;
    return turn_away(fd, total ? listener_counters::connection_limit : listener_counters::address_limit);
  }
  if (!is_unix()) {
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ::setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &max_unsent, sizeof max_unsent);
  }
  std::string text;
  if (is_unix()) {
    text = "unix";
  } else {
    identity::append_address(text, address);
  }
  session& made =
      sessions_.add(std::make_unique<session>(worker_, sessions_, context_, std::move(place.taken)));
  if (!made.open(fd, address, std::move(text))) sessions_.remove(made, worker_.dead);
}

}  // namespace weir::proxy
