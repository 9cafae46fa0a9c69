// SPDX-License-Identifier: Apache-2.0
#include "proxy/upstream/endpoint.hpp"

#include "proxy/observe/metrics.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdlib>
#include <doctest/doctest.h>
#include <filesystem>
#include <limits>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <vector>

using namespace weir;
using namespace weir::proxy;

namespace {

/// A listening loopback socket; connections are accepted by hand.
struct server_socket {
  server_socket() : fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(fd, 128) == 0);
    socklen_t size = sizeof address;
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
    port = ntohs(address.sin_port);
  }
  ~server_socket() { ::close(fd); }
  [[nodiscard]] int accept() const { return ::accept(fd, nullptr, nullptr); }
  int fd;
  std::uint16_t port = 0;
};

/// A worker without a thread.
struct bench_worker {
  boost::asio::io_context io{1};
  buffer_pool buffers;
  random_source random{1};
  timer_wheel wheel{0};
  graveyard dead;
  turn_queues turns;
  metric_shard shard;
  readiness_set sockets{io, [] {}, [this] { dead.clear(); }};
  services lent{sockets, wheel,   buffers, dead,  turns, random, nullptr, shard,
                nullptr, nullptr, [] {},   false, false, 0,      0,       {}};
  upstream_counters counters;

  bench_worker() { sockets.start(); }
  ~bench_worker() {
    sockets.stop();
    io.poll();
  }
  /// Handles events until `done` holds, at most two seconds.
  template <typename Condition>
  bool until(Condition done) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(2);
    while (!done() && std::chrono::steady_clock::now() < deadline)
      io.run_one_for(std::chrono::milliseconds(10));
    return done();
  }
};

struct user : connection_user {
  void on_connection(upstream_lease l) override {
    lease = std::move(l);
    ++connected;
  }
  void on_connect_failed(connect_failure) override { ++failed; }
  void on_upstream_ready() override { ++ready; }
  [[nodiscard]] std::int64_t lease_end_us() const noexcept override { return end_us; }
  std::int64_t end_us = std::numeric_limits<std::int64_t>::max();
  upstream_lease lease;
  int connected = 0, failed = 0, ready = 0;
};

endpoint_settings to(std::uint16_t port) {
  return {{"127.0.0.1", port, {}}, "127.0.0.1", 1};
}

/// Every connection is idle, lent or being opened, or was closed for one reason.
void check_books(const upstream_counters& counters, const endpoint& e) {
  std::uint64_t closed = 0;
  for (const counter& reason : counters.closed) closed += reason.value();
  REQUIRE(counters.created.value() == closed + e.pool().open());
  REQUIRE(counters.connections_idle.value() == static_cast<std::int64_t>(e.pool().idle()));
  REQUIRE(counters.connections_busy.value() == static_cast<std::int64_t>(e.pool().busy()));
  REQUIRE(counters.waiting.value() == static_cast<std::int64_t>(e.pool().waiting()));
}

std::uint64_t closed_for(const upstream_counters& counters, close_reason why) {
  return counters.closed[static_cast<std::size_t>(why)].value();
}

std::size_t open_descriptors() {
  const std::filesystem::directory_iterator all("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

struct fixture {
  bench_worker worker;
  server_socket server;
  pool_settings pool;
  std::unique_ptr<endpoint> target;
  void make() {
    target = std::make_unique<endpoint>(worker.lent, to(server.port), pool, worker.counters,
                                        literal_addresses(to(server.port).address));
  }
  void connect(user& u) {
    REQUIRE(target->acquire(u, true, u.lease) == acquire_status::connecting);
    REQUIRE(worker.until([&] { return u.connected == 1; }));
  }
};

}  // namespace

TEST_CASE_FIXTURE(fixture, "a new connection that speaks before it is asked serves nobody") {
  make();
  user u;
  REQUIRE(target->acquire(u, false, u.lease) == acquire_status::connecting);
  const int peer = server.accept();
  REQUIRE(::send(peer, "HTTP/1.1 200 OK\r\n\r\n", 19, 0) == 19);
  REQUIRE(worker.until([&] { return u.connected + u.failed == 1; }));
  CHECK(u.failed == 1);
  CHECK(worker.counters.connections_busy.value() == 0);
  ::close(peer);
}

TEST_CASE_FIXTURE(fixture, "a returned connection is used again, the latest first") {
  make();
  user a, b, c;
  connect(a);
  connect(b);
  const upstream_connection* last = &*b.lease;
  a.lease.give_back();
  b.lease.give_back();
  CHECK(worker.counters.connections_idle.value() == 2);
  REQUIRE(target->acquire(c, false, c.lease) == acquire_status::ready);
  CHECK(&*c.lease == last);
  CHECK(c.lease->reused());
  CHECK(worker.counters.connections_idle.value() == 1);
  CHECK(worker.counters.connections_busy.value() == 1);
}

TEST_CASE_FIXTURE(fixture, "a connection the peer closes while idle leaves the pool") {
  make();
  user a, b;
  connect(a);
  const int peer = server.accept();
  a.lease.give_back();
  ::close(peer);
  REQUIRE(worker.until([&] { return worker.counters.connections_idle.value() == 0; }));
  CHECK(target->acquire(b, true, b.lease) == acquire_status::connecting);
  target->cancel(b);
}

TEST_CASE_FIXTURE(fixture, "bytes nobody asked for cost an idle connection its place") {
  make();
  user a;
  connect(a);
  const int peer = server.accept();
  a.lease.give_back();
  REQUIRE(::send(peer, "HTTP/1.1 200 OK\r\n\r\n", 19, MSG_NOSIGNAL) == 19);
  CHECK(worker.until([&] { return worker.counters.connections_idle.value() == 0; }));
  ::close(peer);
}

TEST_CASE_FIXTURE(fixture,
                  "a request that cannot be repeated asks the kernel before it reuses a connection") {
  make();
  user a, b;
  connect(a);
  const int peer = server.accept();
  a.lease.give_back();
  ::close(peer);  // the event has not been handled yet
  CHECK(target->acquire(b, false, b.lease) == acquire_status::connecting);
  target->cancel(b);
}

TEST_CASE_FIXTURE(fixture,
                  "beyond size and overflow requests wait in order, beyond max_pending they are refused") {
  pool.size = 1;
  pool.overflow = 0;
  pool.max_pending = 2;
  make();
  user holder, first, second, third;
  connect(holder);
  CHECK(target->acquire(first, true, first.lease) == acquire_status::queued);
  CHECK(target->acquire(second, true, second.lease) == acquire_status::queued);
  CHECK(target->acquire(third, true, third.lease) == acquire_status::overloaded);
  holder.lease.give_back();
  CHECK(first.connected == 1);
  CHECK(second.connected == 0);
  target->cancel(second);
  first.lease.give_back();
  CHECK(second.connected == 0);
  CHECK(worker.counters.connections_idle.value() == 1);
}

TEST_CASE_FIXTURE(fixture, "a waiter gets a connection of its own when a broken one is dropped") {
  pool.size = 1;
  pool.overflow = 0;
  make();
  user holder, waiter;
  connect(holder);
  REQUIRE(target->acquire(waiter, true, waiter.lease) == acquire_status::queued);
  holder.lease.drop();
  CHECK(worker.until([&] { return waiter.connected == 1; }));
}

TEST_CASE_FIXTURE(fixture, "what comes back when enough are idle is closed") {
  pool.size = 1;
  pool.overflow = 1;
  make();
  user a, b;
  connect(a);
  connect(b);
  a.lease.give_back();
  CHECK(worker.counters.connections_idle.value() == 1);
  b.lease.give_back();
  CHECK(worker.counters.connections_idle.value() == 1);
  CHECK(closed_for(worker.counters, close_reason::overflow) == 1);
}

TEST_CASE_FIXTURE(fixture, "an idle connection is closed at its idle timeout") {
  make();
  user a;
  connect(a);
  a.lease.give_back();
  worker.lent.now_us = to_us(pool.idle_timeout) - 1;
  worker.wheel.advance(worker.lent.now_us);
  CHECK(worker.counters.connections_idle.value() == 1);
  worker.lent.now_us = to_us(pool.idle_timeout) + timer_wheel::tick_us;
  worker.wheel.advance(worker.lent.now_us);
  CHECK(worker.counters.connections_idle.value() == 0);
}

TEST_CASE_FIXTURE(fixture, "a worn-out connection is not reused") {
  make();
  user a, b;
  connect(a);
  a.lease.give_back();
  worker.lent.now_us = to_us(pool.recycle) * 2;
  CHECK(target->acquire(b, true, b.lease) == acquire_status::connecting);
  target->cancel(b);
}

TEST_CASE("a refused connect is reported once") {
  bench_worker worker;
  std::uint16_t port = 0;
  {
    const server_socket gone;
    port = gone.port;
  }
  endpoint target(worker.lent, to(port), {}, worker.counters, literal_addresses(to(port).address));
  user a;
  const acquire_status status = target.acquire(a, true, a.lease);
  if (status == acquire_status::connecting) CHECK(worker.until([&] { return a.failed == 1; }));
  CHECK(worker.counters.connections_busy.value() == 0);
  CHECK(target.in_flight() == 0);
}

TEST_CASE_FIXTURE(fixture, "cancelled acquisitions leak nothing") {
  pool.size = 4;
  pool.overflow = 0;
  make();
  for (int i = 0; i < 2000; ++i) {
    std::vector<user> users(6);
    for (user& u : users) (void)target->acquire(u, true, u.lease);
    for (user& u : users) target->cancel(u);
    for (user& u : users) u.lease.drop();
    worker.dead.clear();
  }
  CHECK(worker.counters.connections_busy.value() == 0);
  CHECK(worker.counters.connections_idle.value() == 0);
  CHECK(target->in_flight() == 0);
}

TEST_CASE_FIXTURE(fixture, "a connection is kept for a second less than the upstream promised") {
  make();
  user a, b;
  connect(a);
  a.lease.give_back(2'000'000);
  worker.lent.now_us = 2'000'000 + timer_wheel::tick_us;
  worker.wheel.advance(worker.lent.now_us);
  CHECK(worker.counters.connections_idle.value() == 0);
  CHECK(closed_for(worker.counters, close_reason::idle) == 1);
  connect(b);
  b.lease.give_back(0);
  CHECK(worker.counters.connections_idle.value() == 0);
  CHECK(closed_for(worker.counters, close_reason::not_reusable) == 1);
}

TEST_CASE_FIXTURE(fixture, "a lease held a second beyond its holder's deadline is a leak, told once") {
  make();
  user a, b;
  connect(a);
  connect(b);
  a.end_us = 5'000'000;
  b.end_us = 60'000'000;
  for (std::int64_t now = 0; now <= 12'000'000; now += 500'000) {
    worker.lent.now_us = now;
    worker.wheel.advance(now);
    if (now <= 6'000'000) CHECK(worker.counters.leaked.value() == 0);
  }
  CHECK(worker.counters.leaked.value() == 1);
  a.lease.give_back();
  user c;
  REQUIRE(target->acquire(c, true, c.lease) == acquire_status::ready);
  c.end_us = 60'000'000;
  worker.wheel.advance(14'000'000);
  CHECK(worker.counters.leaked.value() == 1);
}

TEST_CASE_FIXTURE(fixture, "addresses that are gone lose their idle connections, and lent ones on return") {
  make();
  const server_socket other;
  user idle, lent, next;
  connect(idle);
  connect(lent);
  idle.lease.give_back();
  target->set_addresses({});  // an answer without addresses changes nothing
  CHECK(worker.counters.connections_idle.value() == 1);
  target->set_addresses(literal_addresses(to(other.port).address));
  CHECK(worker.counters.connections_idle.value() == 0);
  CHECK(static_cast<bool>(lent.lease));
  lent.lease.give_back();
  CHECK(worker.counters.connections_idle.value() == 0);
  CHECK(closed_for(worker.counters, close_reason::address_gone) == 2);
  connect(next);
  ::close(other.accept());
}

TEST_CASE_FIXTURE(fixture, "connections survive an answer that still has their address") {
  make();
  user a;
  connect(a);
  a.lease.give_back();
  auto both = literal_addresses({"127.0.0.9", 9, {}});
  both.push_back(literal_addresses(to(server.port).address).front());
  target->set_addresses(both);
  CHECK(worker.counters.connections_idle.value() == 1);
}

namespace {

/// Refuses at once: nobody listens there.
resolved_address refusing_address() {
  const server_socket gone;
  return literal_addresses({"127.0.0.1", gone.port, {}}).front();
}

/// A listener whose queue is full: connects neither succeed nor fail.
struct black_hole {
  black_hole() {
    REQUIRE(::listen(server.fd, 0) == 0);
    for (int& fd : fillers) {
      fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
      ::connect(fd, reinterpret_cast<const sockaddr*>(&address.storage), address.size);
    }
  }
  ~black_hole() {
    for (const int fd : fillers) ::close(fd);
  }
  server_socket server;
  resolved_address address = literal_addresses(to(server.port).address).front();
  std::array<int, 4> fillers{};
};

}  // namespace

TEST_CASE_FIXTURE(fixture, "the next address is tried at once when one refuses, and remembered") {
  make();
  target->set_addresses(
      {refusing_address(), refusing_address(), literal_addresses(to(server.port).address).front()});
  user a, b;
  connect(a);
  ::close(server.accept());
  connect(b);
  CHECK(worker.counters.created.value() == 2);
  check_books(worker.counters, *target);
}

TEST_CASE_FIXTURE(fixture, "an address that does not answer costs 250 ms once") {
  const black_hole dead;
  make();
  target->set_addresses({dead.address, literal_addresses(to(server.port).address).front()});
  CHECK(target->extra_patience_us() == 250'000);
  user a, b;
  REQUIRE(target->acquire(a, true, a.lease) == acquire_status::connecting);
  worker.io.poll();
  worker.lent.now_us = 249'000;
  worker.wheel.advance(worker.lent.now_us);
  worker.io.poll();
  CHECK(a.connected == 0);
  worker.lent.now_us = 254'000;
  worker.wheel.advance(worker.lent.now_us);
  REQUIRE(worker.until([&] { return a.connected == 1; }));
  connect(b);  // without any further wait
  check_books(worker.counters, *target);
}

TEST_CASE_FIXTURE(fixture, "a connect fails when every address has") {
  make();
  target->set_addresses({refusing_address(), refusing_address()});
  user a;
  REQUIRE(target->acquire(a, true, a.lease) == acquire_status::connecting);
  REQUIRE(worker.until([&] { return a.failed == 1; }));
  check_books(worker.counters, *target);
}

TEST_CASE_FIXTURE(fixture, "a race that is cancelled leaves nothing, and the next one begins elsewhere") {
  const black_hole dead;
  make();
  target->set_addresses(
      {dead.address, refusing_address(), literal_addresses(to(server.port).address).front()});
  const std::size_t before = open_descriptors();
  user a;
  REQUIRE(target->acquire(a, true, a.lease) == acquire_status::connecting);
  target->cancel(a);
  worker.dead.clear();
  CHECK(open_descriptors() == before);
  CHECK(closed_for(worker.counters, close_reason::cancelled) == 1);
  check_books(worker.counters, *target);
}

TEST_CASE("a named endpoint that cannot be reached asks for its name once a second") {
  bench_worker worker;
  int asked = 0;
  worker.lent.unreachable = [&](const socket_address& address) {
    CHECK(address.host == "app.internal");
    ++asked;
  };
  worker.lent.now_us = 10'000'000;
  endpoint target(worker.lent, {{"app.internal", 80, {}}, "app.internal", 1}, {}, worker.counters, {});
  user a;
  for (int i = 0; i < 5; ++i) CHECK(target.acquire(a, true, a.lease) == acquire_status::failed);
  CHECK(asked == 1);
  worker.lent.now_us += 1'000'000;
  CHECK(target.acquire(a, true, a.lease) == acquire_status::failed);
  CHECK(asked == 2);
}

TEST_CASE("a million cancelled leases lose no connection, no place and no descriptor") {
  const char* wanted = std::getenv("WEIR_CANCELLED_LEASES");  // 10,000 unless asked for more
  const long goal = wanted != nullptr ? std::atol(wanted) : 10'000;
  const std::string path = "/tmp/weir-endpoint-test-" + std::to_string(::getpid());
  sockaddr_un un{};
  un.sun_family = AF_UNIX;
  path.copy(un.sun_path, sizeof un.sun_path - 1);
  const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  REQUIRE(::bind(listener, reinterpret_cast<sockaddr*>(&un), sizeof un) == 0);
  REQUIRE(::listen(listener, 128) == 0);
  {
    bench_worker worker;
    const std::size_t before = open_descriptors();
    const endpoint_settings where{{{}, 0, path}, "app", 1};
    const pool_settings pool{.size = 4, .overflow = 3, .max_pending = 5};
    endpoint target(worker.lent, where, pool, worker.counters, literal_addresses(where.address));
    random_source random(11);
    std::array<user, 16> users;
    std::array<bool, 16> asked{};
    std::vector<int> peers;
    long cancelled = 0, served = 0;
    for (long step = 0; cancelled < goal; ++step) {
      const std::size_t i = random.below(users.size());
      user& u = users[i];
      if (u.lease) {  // the request ends well, or its client leaves
        ++served;
        random.below(3) == 0 ? u.lease.give_back() : u.lease.drop();
        asked[i] = false;
      } else if (asked[i] && u.failed == 0) {
        target.cancel(u);
        ++cancelled;
        asked[i] = false;
      } else {
        u.failed = 0;
        const acquire_status status = target.acquire(u, random.below(2) == 0, u.lease);
        asked[i] = status == acquire_status::connecting || status == acquire_status::queued;
      }
      if (step % 8 != 0) continue;
      worker.lent.now_us += 10'000;
      worker.io.poll();
      for (int fd = ::accept(listener, nullptr, nullptr); fd >= 0; fd = ::accept(listener, nullptr, nullptr))
        peers.push_back(fd);
      while (peers.size() > 12 || (!peers.empty() && random.below(4) == 0)) {  // the upstream closes some
        std::swap(peers[random.below(peers.size())], peers.back());
        ::close(peers.back());
        peers.pop_back();
      }
      worker.wheel.advance(worker.lent.now_us);
      worker.dead.clear();
      REQUIRE(target.pool().open() <= 7);
      check_books(worker.counters, target);
    }
    CHECK(served > goal / 50);
    for (std::size_t i = 0; i < users.size(); ++i) {
      if (asked[i]) target.cancel(users[i]);
      users[i].lease.drop();
    }
    worker.io.poll();
    for (const int fd : peers) ::close(fd);
    for (int fd = ::accept(listener, nullptr, nullptr); fd >= 0; fd = ::accept(listener, nullptr, nullptr))
      ::close(fd);
    worker.lent.now_us += 10'000'000;
    worker.wheel.advance(worker.lent.now_us);
    worker.dead.clear();
    check_books(worker.counters, target);
    CHECK(target.pool().open() == 0);
    CHECK(target.pool().waiting() == 0);
    CHECK(open_descriptors() == before);
    MESSAGE(cancelled << " cancelled, " << served << " served, " << worker.counters.created.value()
                      << " connections");
  }
  ::close(listener);
  ::unlink(path.c_str());
}
