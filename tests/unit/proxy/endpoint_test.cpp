// SPDX-License-Identifier: Apache-2.0
#include "proxy/upstream/endpoint.hpp"

#include "proxy/observe/metrics.hpp"

#include <arpa/inet.h>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>
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
  turn_queue turns;
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
  upstream_lease lease;
  int connected = 0, failed = 0, ready = 0;
};

endpoint_settings to(std::uint16_t port) {
  return {{"127.0.0.1", port, {}}, "127.0.0.1", 1};
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
    REQUIRE(target->acquire(u, false, u.lease) == acquire_status::connecting);
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
  REQUIRE(target->acquire(c, true, c.lease) == acquire_status::ready);
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
  CHECK(target->acquire(b, false, b.lease) == acquire_status::connecting);
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
  CHECK(target->acquire(b, true, b.lease) == acquire_status::connecting);
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
  CHECK(target->acquire(first, false, first.lease) == acquire_status::queued);
  CHECK(target->acquire(second, false, second.lease) == acquire_status::queued);
  CHECK(target->acquire(third, false, third.lease) == acquire_status::overloaded);
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
  REQUIRE(target->acquire(waiter, false, waiter.lease) == acquire_status::queued);
  holder.lease.drop();
  CHECK(worker.until([&] { return waiter.connected == 1; }));
}

TEST_CASE_FIXTURE(fixture, "an overflow connection is closed on return") {
  pool.size = 1;
  pool.overflow = 1;
  make();
  user a, b;
  connect(a);
  connect(b);
  a.lease.give_back();
  CHECK(worker.counters.connections_idle.value() == 0);
  b.lease.give_back();
  CHECK(worker.counters.connections_idle.value() == 1);
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
  CHECK(target->acquire(b, false, b.lease) == acquire_status::connecting);
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
  const acquire_status status = target.acquire(a, false, a.lease);
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
    for (user& u : users) (void)target->acquire(u, false, u.lease);
    for (user& u : users) target->cancel(u);
    for (user& u : users) u.lease.drop();
    worker.dead.clear();
  }
  CHECK(worker.counters.connections_busy.value() == 0);
  CHECK(worker.counters.connections_idle.value() == 0);
  CHECK(target->in_flight() == 0);
}
