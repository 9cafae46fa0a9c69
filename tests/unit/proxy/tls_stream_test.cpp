// SPDX-License-Identifier: Apache-2.0
// A stream_socket with TLS inside, against OpenSSL itself at the other end of a socket pair.
#include "proxy/tls/tls_stream.hpp"

#include "tests/support/test_certificate.hpp"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <csignal>
#include <doctest/doctest.h>
#include <openssl/ssl.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

using namespace weir;
using namespace weir::proxy;
using weir::tests::test_certificate;

namespace {

struct ready_socket final : ready_handler {
  void on_ready(std::uint32_t events) override { socket.note(events); }
  stream_socket socket;
};

/// Our side is a stream_socket; the peer is OpenSSL on a socket of its own, driven by hand.
struct pair {
  boost::asio::io_context io{1};
  readiness_set set{io, [] {}, [] {}};
  ready_socket own;
  int peer_fd = -1;
  tls::ssl_ptr peer;

  explicit pair(int buffer = 0) {
    std::signal(SIGPIPE, SIG_IGN);  // the peer writes as OpenSSL does, and the other end may be closed
    int fds[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
    if (buffer > 0) ::setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
    set.start();
    REQUIRE(own.socket.open(set, fds[0], own));
    peer_fd = fds[1];
  }
  ~pair() {
    own.socket.close();
    set.stop();
    io.poll();
    if (peer_fd >= 0) ::close(peer_fd);
  }
  void turn() { io.run_for(std::chrono::milliseconds(1)), io.restart(); }

  void begin(const std::shared_ptr<const tls::server_context>& server, tls::ssl_ptr client) {
    own.socket.start_tls(std::make_unique<tls::tls_stream>(own.socket, server->accept(), server));
    peer = std::move(client);
    SSL_set_fd(peer.get(), peer_fd);
  }
  /// Both sides to the end of the handshake.
  io_status shake_hands() {
    io_status status = io_status::would_block;
    for (int i = 0; i < 50 && status == io_status::would_block; ++i) {
      (void)SSL_do_handshake(peer.get());
      turn();
      status = own.socket.handshake();
    }
    (void)SSL_do_handshake(peer.get());
    return status;
  }
  io_result write(std::string_view text) {
    const iovec part{const_cast<char*>(text.data()), text.size()};
    return own.socket.write(&part, 1);
  }
  io_result read(std::string& out, std::size_t size = 65536) {
    turn();
    out.resize(size);
    const io_result got = own.socket.read(out.data(), out.size());
    out.resize(got.bytes);
    return got;
  }
  std::string peer_read() {
    std::string text(65536, '\0');
    const int n = SSL_read(peer.get(), text.data(), static_cast<int>(text.size()));
    text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    return text;
  }
};

certificate_settings showing(const test_certificate& certificate, const test_certificate& key) {
  certificate_settings s;
  s.certificate = certificate.certificate();
  s.key = key.key();
  return s;
}

using several = std::vector<certificate_settings>;

struct fixture {
  test_certificate authority;
  test_certificate leaf{"DNS:a.example", &authority};
  std::shared_ptr<const tls::server_context> server =
      std::make_shared<tls::server_context>(several{showing(leaf, leaf)});

  tls::ssl_ptr client(bool only_tls13 = false, const std::string& name = "a.example") const {
    upstream_tls_settings settings;
    settings.ca = authority.certificate();
    settings.only_tls13 = only_tls13;
    return tls::client_context(settings).connect(name);
  }
  void connect(pair& p) const {
    p.begin(server, client());
    REQUIRE(p.shake_hands() == io_status::ok);
  }
};

}  // namespace

TEST_CASE_FIXTURE(fixture, "bytes cross both ways, and a head leaves in one record with its body") {
  pair p;
  connect(p);
  CHECK(p.own.socket.is_tls());
  CHECK(SSL_write(p.peer.get(), "hello", 5) == 5);
  std::string got;
  CHECK(p.read(got).status == io_status::ok);
  CHECK(got == "hello");
  std::string head = "head ", body(20000, 'b');
  const iovec parts[] = {{head.data(), head.size()}, {body.data(), body.size()}};
  const io_result sent = p.own.socket.write(parts, 2);
  CHECK(sent.status == io_status::ok);
  CHECK(sent.bytes == 16384);
  CHECK(p.peer_read() == "head " + std::string(16384 - 5, 'b'));
}

TEST_CASE_FIXTURE(fixture, "many small records are one read, and what is left makes the socket readable") {
  pair p;
  connect(p);
  for (int i = 0; i < 50; ++i) CHECK(SSL_write(p.peer.get(), "ab", 2) == 2);
  std::string got;
  CHECK(p.read(got, 75).bytes == 75);
  CHECK(p.own.socket.readable());
  CHECK(p.read(got).bytes == 25);
  CHECK(p.read(got).status == io_status::would_block);
  CHECK_FALSE(p.own.socket.readable());
}

TEST_CASE_FIXTURE(fixture, "half a record is nothing to read") {
  pair p;
  connect(p);
  BIO* memory = BIO_new(BIO_s_mem());
  SSL_set0_wbio(p.peer.get(), memory);
  CHECK(SSL_write(p.peer.get(), "whole", 5) == 5);
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(memory, &bytes);
  std::string got;
  CHECK(::send(p.peer_fd, bytes, 10, 0) == 10);
  CHECK(p.read(got).status == io_status::would_block);
  CHECK_FALSE(p.own.socket.readable());  // else whoever waits for bytes would forget his deadline
  CHECK(::send(p.peer_fd, bytes + 10, static_cast<std::size_t>(size) - 10, 0) == size - 10);
  CHECK(p.read(got).status == io_status::ok);
  CHECK(got == "whole");
}

TEST_CASE_FIXTURE(fixture, "close_notify is the end; an end without it is a failure") {
  for (const bool clean : {true, false}) {
    pair p;
    connect(p);
    CHECK(SSL_write(p.peer.get(), "last", 4) == 4);
    if (clean) SSL_shutdown(p.peer.get());
    ::close(std::exchange(p.peer_fd, -1));
    std::string got;
    CHECK(p.read(got, 4).status == io_status::ok);
    CHECK(p.own.socket.readable());
    CHECK(p.read(got).status == (clean ? io_status::closed : io_status::failed));
  }
}

TEST_CASE_FIXTURE(fixture, "closing tells the peer, aborting does not") {
  for (const bool abort : {false, true}) {
    pair p;
    connect(p);
    if (abort) {
      p.own.socket.abort();
    } else {
      p.own.socket.close();
    }
    char byte;
    const int outcome = SSL_read(p.peer.get(), &byte, 1);
    CHECK((SSL_get_error(p.peer.get(), outcome) == SSL_ERROR_ZERO_RETURN) == !abort);
  }
}

TEST_CASE_FIXTURE(fixture, "after our end was told the peer can still be read") {
  pair p;
  connect(p);
  p.own.socket.shutdown_send();
  CHECK(SSL_write(p.peer.get(), "rest", 4) == 4);
  std::string got;
  CHECK(p.read(got).status == io_status::ok);
  CHECK(got == "rest");
}

TEST_CASE_FIXTURE(fixture, "bytes count as written when their record has left") {
  pair p(4096);
  connect(p);
  const std::string text(100'000, 'x');
  std::size_t reported = 0;
  io_result sent{io_status::ok};
  while ((sent = p.write(std::string_view(text).substr(reported))).status == io_status::ok)
    reported += sent.bytes;
  CHECK(sent.status == io_status::would_block);
  CHECK(p.own.socket.mid_write());
  CHECK_FALSE(p.own.socket.writable());
  std::string received;
  for (int i = 0; i < 1000 && received.size() < text.size(); ++i) {
    received += p.peer_read();
    p.turn();
    if (reported == text.size() || !p.own.socket.writable()) continue;
    sent = p.write(std::string_view(text).substr(reported));
    if (sent.status == io_status::ok) reported += sent.bytes;
  }
  CHECK(received == text);
  CHECK_FALSE(p.own.socket.mid_write());
}

TEST_CASE_FIXTURE(fixture, "session tickets do not make a connection talk, bytes do") {
  // Our side is the client here: tickets come to it.
  pair p;
  upstream_tls_settings settings;
  settings.ca = authority.certificate();
  const auto context = std::make_shared<tls::client_context>(settings);
  p.own.socket.start_tls(
      std::make_unique<tls::tls_stream>(p.own.socket, context->connect("a.example"), context));
  p.peer = server->accept();
  SSL_set_fd(p.peer.get(), p.peer_fd);
  REQUIRE(p.own.socket.handshake() == io_status::would_block);
  for (int i = 0; i < 10; ++i) p.turn(), (void)SSL_do_handshake(p.peer.get()), (void)p.own.socket.handshake();
  REQUIRE(SSL_new_session_ticket(p.peer.get()) == 1);
  REQUIRE(SSL_do_handshake(p.peer.get()) == 1);
  p.turn();
  CHECK(p.own.socket.readable());
  CHECK(p.own.socket.is_quiet());
  CHECK_FALSE(p.own.socket.readable());
  CHECK(SSL_write(p.peer.get(), "x", 1) == 1);
  CHECK_FALSE(p.own.socket.is_quiet());
  CHECK(p.own.socket.readable());
}

TEST_CASE_FIXTURE(fixture, "a handshake without a way to succeed fails and says why") {
  for (const auto& [name, problem] :
       {std::pair{"b.example", "hostname mismatch"}, {"127.0.0.1", "IP address mismatch"}}) {
    pair p;
    upstream_tls_settings settings;
    settings.ca = authority.certificate();
    const auto context = std::make_shared<tls::client_context>(settings);
    p.own.socket.start_tls(std::make_unique<tls::tls_stream>(p.own.socket, context->connect(name), context));
    p.peer = server->accept();
    SSL_set_fd(p.peer.get(), p.peer_fd);
    io_status status = io_status::would_block;
    for (int i = 0; i < 10 && status == io_status::would_block; ++i)
      p.turn(), (void)SSL_do_handshake(p.peer.get()), status = p.own.socket.handshake();
    CHECK(status == io_status::failed);
    CHECK(std::string(p.own.socket.handshake_problem()) == problem);
  }
}

TEST_CASE_FIXTURE(fixture, "a client may not renegotiate") {
  pair p;
  tls::ssl_ptr old = client();
  SSL_set_max_proto_version(old.get(), TLS1_2_VERSION);
  p.begin(server, std::move(old));
  REQUIRE(p.shake_hands() == io_status::ok);
  CHECK(SSL_renegotiate(p.peer.get()) == 0);  // the client of this test must not either
  SSL_clear_options(p.peer.get(), SSL_OP_NO_RENEGOTIATION);
  CHECK(SSL_renegotiate(p.peer.get()) == 1);
  (void)SSL_do_handshake(p.peer.get());
  std::string got;
  CHECK(p.read(got).status != io_status::ok);
  CHECK(SSL_do_handshake(p.peer.get()) != 1);
}

TEST_CASE("what cannot be shown is an exception that quotes nothing") {
  const test_certificate a, b;
  CHECK_THROWS_WITH_AS(tls::server_context(several{showing(a, b)}), doctest::Contains("key"),
                       std::runtime_error);
  upstream_tls_settings settings;
  settings.ca = "nothing";
  CHECK_THROWS_AS(tls::client_context{settings}, std::runtime_error);
}

TEST_CASE("contexts whose settings did not change are taken over") {
  const test_certificate a, b;
  settings before;
  before.listeners = {{"one", {"127.0.0.1", 1, {}}, {showing(a, a)}, {}}, {"two", {"127.0.0.1", 2, {}}}};
  upstream_settings u;
  u.name = "web";
  u.endpoints = {{{"h", 443, {}}, "h", 1, true}};
  u.tls.ca = a.certificate();
  before.upstreams = {u};
  const auto first = tls::make_contexts(before, nullptr, nullptr);
  REQUIRE(first->listeners.size() == 2);
  CHECK(first->listeners[0] != nullptr);
  CHECK(first->listeners[1] == nullptr);
  CHECK(first->upstreams.at(0) != nullptr);
  settings after = before;
  after.listeners[0].tls[0] = showing(b, b);
  const auto second = tls::make_contexts(after, &before, first.get());
  CHECK(second->listeners[0] != first->listeners[0]);
  CHECK(second->upstreams[0] == first->upstreams[0]);
  const auto third = tls::make_contexts(after, &after, second.get());
  CHECK(third->listeners[0] == second->listeners[0]);
}

/// How many bytes lie there, TLS or not.
static std::size_t received_raw(int fd) {
  std::string bytes(4096, '\0');
  std::size_t total = 0;
  for (ssize_t n = 0; (n = ::recv(fd, bytes.data(), bytes.size(), MSG_DONTWAIT)) > 0;)
    total += static_cast<std::size_t>(n);
  return total;
}

TEST_CASE_FIXTURE(fixture, "an end is told even when the send buffer is full") {
  pair p(4096);
  connect(p);
  (void)received_raw(p.peer_fd);  // tickets
  const std::string filler(1024, 'f');
  std::size_t filled = 0;
  for (ssize_t n = 0; n >= 0; filled += static_cast<std::size_t>(std::max<ssize_t>(n, 0)))
    n = ::send(p.own.socket.fd(), filler.data(), filler.size(), MSG_DONTWAIT);
  REQUIRE(filled > 0);
  p.own.socket.close();
  CHECK(received_raw(p.peer_fd) >= filled + 7);  // a header of five bytes, an alert of two
}

TEST_CASE_FIXTURE(fixture, "a session is resumed for an hour after the peer has shown its certificate") {
  for (const bool only_tls13 : {false, true}) {
    upstream_tls_settings settings;
    settings.ca = authority.certificate();
    settings.only_tls13 = only_tls13;
    const tls::client_context context(settings);
    tls::session_memory memory;
    const auto resumes = [&](std::int64_t now_us) {
      pair p;
      p.begin(server, context.connect("a.example", memory, now_us));
      REQUIRE(p.shake_hands() == io_status::ok);
      REQUIRE(p.write("ticket before").status == io_status::ok);
      CHECK(p.peer_read() == "ticket before");
      const bool resumed = SSL_session_reused(p.peer.get()) == 1;
      memory.shaken_hands(resumed, now_us);
      return resumed;
    };
    constexpr std::int64_t begin = 1'000'000;
    CHECK_FALSE(resumes(begin));
    CHECK(resumes(begin + 1));
    CHECK(resumes(begin + tls::session_memory::proof_lifetime_us - 1));
    CHECK_FALSE(resumes(begin + tls::session_memory::proof_lifetime_us));  // however new the last ticket is
    CHECK(resumes(begin + tls::session_memory::proof_lifetime_us + 1));
    memory.forget();
    CHECK_FALSE(resumes(begin + tls::session_memory::proof_lifetime_us + 2));
  }
}
