// SPDX-License-Identifier: Apache-2.0
#include "proxy/downstream/tunnel.hpp"

#include <array>
#include <boost/asio/io_context.hpp>
#include <doctest/doctest.h>
#include <string>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace weir;
using namespace weir::proxy;

namespace {

/// A socket as the flow sees it, and the far end in the hands of the test.
struct side : ready_handler {
  explicit side(readiness_set& set) {
    std::array<int, 2> pair{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair.data()) == 0);
    REQUIRE(socket.open(set, pair[0], *this));
    far = pair[1];
  }
  ~side() { close_far(); }
  void on_ready(std::uint32_t events) override { socket.note(events); }
  void close_far() {
    if (far >= 0) ::close(far);
    far = -1;
  }
  /// As much of `text` as fits.
  std::size_t say(std::string_view text) const {
    const ssize_t n = ::send(far, text.data(), text.size(), MSG_NOSIGNAL);
    return n > 0 ? static_cast<std::size_t>(n) : 0;
  }
  /// Everything that has come; `ended`: and then the end.
  std::string hear(bool* ended = nullptr) const {
    std::string all;
    std::array<char, 4096> piece{};
    ssize_t n = 0;
    while ((n = ::recv(far, piece.data(), piece.size(), 0)) > 0)
      all.append(piece.data(), static_cast<std::size_t>(n));
    if (ended != nullptr) *ended = n == 0;
    return all;
  }
  stream_socket socket;
  int far = -1;
};

struct fixture {
  boost::asio::io_context io{1};
  buffer_pool buffers;
  readiness_set sockets{io, [] {}, [] {}};
  side source{sockets}, sink{sockets};
  std::int64_t now_us = 1;
  tunnel_flow flow{buffers, source.socket, sink.socket};

  fixture() { flow.begin({}, 1); }
  /// The kernel says that both may be used.
  tunnel_flow::progress pump() {
    source.socket.note(EPOLLIN);
    sink.socket.note(EPOLLOUT);
    return flow.pump(now_us);
  }
};

using progress = tunnel_flow::progress;

}  // namespace

TEST_CASE_FIXTURE(fixture, "bytes pass, and the last of them tells when something moved") {
  CHECK(pump() == progress::waiting);
  now_us = 7;
  source.say("hello");
  CHECK(pump() == progress::waiting);
  CHECK(sink.hear() == "hello");
  CHECK(flow.bytes() == 5);
  CHECK(flow.moved_us() == 7);
}

TEST_CASE_FIXTURE(fixture, "what came before goes first and is counted") {
  flow.begin("early ", 1);
  source.say("bird");
  CHECK(pump() == progress::waiting);
  CHECK(sink.hear() == "early bird");
  CHECK(flow.bytes() == 10);
}

TEST_CASE_FIXTURE(fixture, "the end is passed on behind the last byte and leaves the way back open") {
  source.say("last words");
  REQUIRE(::shutdown(source.far, SHUT_WR) == 0);
  source.socket.note(EPOLLRDHUP);
  CHECK(pump() == progress::ended);
  CHECK(flow.ended());
  bool ended = false;
  CHECK(sink.hear(&ended) == "last words");
  CHECK(ended);
  CHECK(pump() == progress::ended);
  tunnel_flow back{buffers, sink.socket, source.socket};
  back.begin({}, 1);
  sink.say("answer");
  sink.socket.note(EPOLLIN);
  source.socket.note(EPOLLOUT);
  CHECK(back.pump(1) == progress::waiting);
  CHECK(source.hear() == "answer");
}

TEST_CASE_FIXTURE(fixture, "a sink that takes nothing stops the source, and nothing is lost") {
  const std::string piece(50'000, 'x');
  std::string sent, heard;
  for (int i = 0; i < 200; ++i) {  // the sink's far end is not read
    const std::string numbered = std::to_string(i) + piece;
    sent += numbered.substr(0, source.say(numbered));
    REQUIRE(pump() == progress::waiting);
  }
  CHECK(sent.size() < 2'000'000);
  CHECK(flow.bytes() <= sent.size());
  const std::uint64_t held = flow.bytes();
  CHECK(pump() == progress::waiting);
  CHECK(flow.bytes() == held);
  for (int i = 0; i < 1000 && heard.size() < sent.size(); ++i) {
    heard += sink.hear();
    REQUIRE(pump() == progress::waiting);
  }
  CHECK(heard == sent);
}

TEST_CASE_FIXTURE(fixture, "a side that is gone is told apart from the other") {
  SUBCASE("the source") {
    REQUIRE(source.socket.is_open());
    const std::string unread = "the far end never reads this";
    const iovec part{const_cast<char*>(unread.data()), unread.size()};
    source.socket.note(EPOLLOUT);
    REQUIRE(source.socket.write(&part, 1).status == io_status::ok);
    source.close_far();  // over unread bytes: a reset
    CHECK(pump() == progress::source_failed);
  }
  SUBCASE("the sink") {
    source.say("to nobody");
    sink.close_far();
    CHECK(pump() == progress::sink_failed);
  }
}
