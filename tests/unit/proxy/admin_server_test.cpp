// SPDX-License-Identifier: Apache-2.0
// A real server on a free loopback port, asked by blocking sockets; the server runs on a thread of its own.
#include "proxy/admin/admin_server.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <doctest/doctest.h>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;
using tcp = asio::ip::tcp;
using namespace weir::proxy;

namespace {

using response = http::response<http::string_body>;

admin_settings on_free_ports(bool with_scrape) {
  admin_settings s;
  s.address = {"127.0.0.1", 0, {}};
  s.has_scrape_address = with_scrape;
  if (with_scrape) s.scrape_address = {"127.0.0.1", 0, {}};
  return s;
}

/// A running server whose report a test may change before it asks.
class fixture {
 public:
  readiness_report report;
  reload_report reload;  ///< what the next reload comes to

  explicit fixture(bool with_scrape = false)
      : server_(std::make_unique<admin_server>(io_, on_free_ports(with_scrape), sources())),
        thread_([this] { io_.run(); }) {}
  ~fixture() {
    asio::post(io_, [this] { server_->stop(); });
    work_.reset();
    thread_.join();  // returns only when every connection and listener has ended
  }
  fixture(const fixture&) = delete;
  fixture& operator=(const fixture&) = delete;

  [[nodiscard]] std::uint16_t port() const { return server_->port(); }
  [[nodiscard]] std::uint16_t scrape_port() const { return server_->scrape_port(); }
  [[nodiscard]] std::array<std::uint64_t, 4> answered() const { return server_->answered(); }

 private:
  admin_sources sources() {
    admin_sources s;
    s.readiness = [this] { return report; };
    s.metrics = [this] {
      if (!report.ready) throw std::runtime_error("secret cause");
      return std::string("weir_up 1\n");
    };
    s.reload = [this](const std::string& peer, const reload_answer& done) {
      CHECK(peer.starts_with("127.0.0.1:"));
      asio::post(io_, [this, done] { done(reload); });
    };
    return s;
  }

  asio::io_context io_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_{io_.get_executor()};
  std::unique_ptr<admin_server> server_;
  std::thread thread_;
};

/// One blocking connection.
class client {
 public:
  explicit client(std::uint16_t port) { socket_.connect({asio::ip::make_address("127.0.0.1"), port}); }

  void send(const std::string& text) {
    error_code ignored;  // the server may have answered and closed already
    asio::write(socket_, asio::buffer(text), ignored);
  }
  [[nodiscard]] response receive(bool head = false) {
    http::response_parser<http::string_body> parser;
    parser.skip(head);
    http::read(socket_, buffer_, parser);
    return parser.release();
  }
  [[nodiscard]] response ask(const std::string& method, const std::string& target,
                             const std::string& host = "localhost:9901", const std::string& more = "") {
    send(method + " " + target + " HTTP/1.1\r\nHost: " + host + "\r\n" + more + "\r\n");
    return receive(method == "HEAD");
  }
  /// Waits for the server to close; true: nothing came before.
  [[nodiscard]] bool closed() {
    char byte = 0;
    error_code failed;
    return asio::read(socket_, asio::buffer(&byte, 1), failed) == 0 && buffer_.size() == 0;
  }

 private:
  asio::io_context io_;
  tcp::socket socket_{io_};
  boost::beast::flat_buffer buffer_;
};

response get(std::uint16_t port, const std::string& target, const std::string& host = "localhost") {
  return client(port).ask("GET", target, host);
}

bool is_error(const response& r, unsigned status, const std::string& type) {
  return r.result_int() == status && r[http::field::content_type] == "application/json" &&
         r.body().starts_with("{\"error\":{\"message\":\"") &&
         r.body().find("\"type\":\"" + type + "\",\"details\":{") != std::string::npos;
}

}  // namespace

TEST_CASE("livez and healthz answer while the process serves") {
  fixture f;
  f.report.ready = false;
  for (const char* path : {"/livez", "/healthz"}) {
    const response r = get(f.port(), path);
    CHECK(r.result_int() == 200);
    CHECK(r.body() == "ok\n");
    CHECK(r[http::field::cache_control] == "no-store");
  }
}

TEST_CASE("readyz is 200 when ready and 503 when not") {
  fixture f;
  CHECK(get(f.port(), "/readyz").body() == "ready\n");
  f.report.ready = false;
  f.report.checks = {{"config", false, "secret"}};
  const response r = get(f.port(), "/readyz");
  CHECK(r.result_int() == 503);
  CHECK(r.body() == "not ready\n");
}

TEST_CASE("readyz?verbose lists the checks") {
  fixture f;
  f.report.checks = {
      {"config", true, "0123456789ab"}, {"listeners", true, ""}, {"store", false, "degraded: refused"}};
  for (const char* query : {"?verbose", "?verbose=1", "?a=b&verbose"}) {
    const response r = get(f.port(), std::string("/readyz") + query);
    CHECK(r.result_int() == 200);
    CHECK(r.body() == "[+]config ok: 0123456789ab\n[+]listeners ok\n[-]store degraded: refused\nready\n");
  }
  CHECK(get(f.port(), "/readyz?verbosely").body() == "ready\n");
}

TEST_CASE("metrics are Prometheus text") {
  fixture f;
  const response r = get(f.port(), "/metrics");
  CHECK(r[http::field::content_type] == "text/plain; version=0.0.4; charset=utf-8");
  CHECK(r.body() == "weir_up 1\n");
}

TEST_CASE("HEAD gets the same head without a body, and the connection goes on") {
  fixture f;
  client c(f.port());
  const response head = c.ask("HEAD", "/metrics");
  CHECK(head.result_int() == 200);
  CHECK(head[http::field::content_length] == "10");
  CHECK(c.ask("GET", "/metrics").body() == "weir_up 1\n");
}

TEST_CASE("a connection is kept for the next request and pipelined ones are answered in order") {
  fixture f;
  client c(f.port());
  const std::string tail = " HTTP/1.1\r\nHost: localhost\r\n\r\n";
  c.send("GET /livez" + tail + "GET /nothing" + tail + "GET /readyz" + tail);
  CHECK(c.receive().body() == "ok\n");
  CHECK(c.receive().result_int() == 404);
  CHECK(c.receive().body() == "ready\n");
}

TEST_CASE("an unknown page is 404") {
  fixture f;
  CHECK(is_error(get(f.port(), "/"), 404, "not_found"));
  CHECK(is_error(get(f.port(), "/livez/"), 404, "not_found"));
  CHECK(is_error(get(f.port(), "/metricsx"), 404, "not_found"));
}

TEST_CASE("only GET and HEAD are allowed") {
  fixture f;
  const response r = client(f.port()).ask("POST", "/livez");
  CHECK(is_error(r, 405, "method_not_allowed"));
  CHECK(r[http::field::allow] == "GET, HEAD");
  CHECK(is_error(client(f.port()).ask("BREW", "/livez"), 405, "method_not_allowed"));
}

TEST_CASE("a request with a body is refused and the connection ends") {
  fixture f;
  for (const char* field : {"Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"}) {
    client c(f.port());
    CHECK(is_error(c.ask("GET", "/livez", "localhost", field), 413, "body_too_large"));
    CHECK(c.closed());
  }
}

TEST_CASE("the main address answers only to names of this machine, against DNS rebinding") {
  fixture f;
  for (const char* host :
       {"localhost", "localhost:9901", "LOCALHOST", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:9901"}) {
    CHECK_MESSAGE(get(f.port(), "/livez", host).result_int() == 200, host);
  }
  for (const char* host : {"evil.example", "localhost.evil.example", "evil.example:9901",
                           "127.0.0.1.evil.example", "", "::1", "[::1", "10.0.0.1"}) {
    CHECK_MESSAGE(is_error(get(f.port(), "/livez", host), 403, "forbidden"), host);
  }
}

TEST_CASE("the scrape address answers to any name") {
  fixture f(true);
  CHECK(f.scrape_port() != f.port());
  CHECK(get(f.scrape_port(), "/livez", "10.1.2.3:9902").result_int() == 200);
  CHECK(get(f.scrape_port(), "/metrics", "pod.example").result_int() == 200);
  CHECK(get(f.port(), "/livez", "10.1.2.3:9902").result_int() == 403);
}

TEST_CASE("without a scrape address there is no second port") {
  fixture f;
  CHECK(f.scrape_port() == 0);
}

TEST_CASE("a malformed request is 400 and closes") {
  fixture f;
  client c(f.port());
  c.send("this is not HTTP\r\n\r\n");
  CHECK(is_error(c.receive(), 400, "bad_request"));
  CHECK(c.closed());
}

TEST_CASE("a head over 8 KiB is 431 and closes") {
  fixture f;
  client c(f.port());
  c.send("GET /livez HTTP/1.1\r\nHost: localhost\r\nX: " + std::string(9000, 'x') + "\r\n\r\n");
  CHECK(is_error(c.receive(), 431, "headers_too_large"));
}

TEST_CASE("a failing source is 500 without its cause") {
  fixture f;
  f.report.ready = false;
  const response r = get(f.port(), "/metrics");
  CHECK(is_error(r, 500, "internal"));
  CHECK(r.body().find("secret") == std::string::npos);
}

TEST_CASE("answers are counted by status") {
  fixture f;
  static_cast<void>(get(f.port(), "/livez"));
  static_cast<void>(get(f.port(), "/livez"));
  static_cast<void>(get(f.port(), "/nothing"));
  f.report.ready = false;
  static_cast<void>(get(f.port(), "/readyz"));
  static_cast<void>(get(f.port(), "/livez", "evil.example"));
  CHECK(f.answered() == std::array<std::uint64_t, 4>{2, 1, 1, 1});
}

TEST_CASE("at most 64 connections are served, and a place is free again when one ends") {
  fixture f;
  std::vector<std::unique_ptr<client>> clients;
  for (int i = 0; i < 64; ++i) {
    clients.push_back(std::make_unique<client>(f.port()));
    CHECK(clients.back()->ask("GET", "/livez").result_int() == 200);
  }
  CHECK(client(f.port()).closed());
  CHECK(clients.front()->ask("GET", "/livez", "localhost", "Connection: close\r\n").result_int() == 200);
  CHECK(clients.front()->closed());
  CHECK(get(f.port(), "/livez").result_int() == 200);
}

TEST_CASE("stop() ends open connections and every coroutine") {
  auto f = std::make_unique<fixture>();
  client idle(f->port());
  client half(f->port());
  CHECK(idle.ask("GET", "/livez").result_int() == 200);
  half.send("GET /livez HTTP/1.1\r\n");
  f.reset();  // would hang when a coroutine stayed
  CHECK(idle.closed());
  CHECK(half.closed());
}

TEST_CASE("an address that is taken is an error that names it") {
  fixture f;
  admin_settings taken = on_free_ports(false);
  taken.address.port = f.port();
  asio::io_context io;
  try {
    const admin_server server(io, taken, {});
    FAIL("no exception");
  } catch (const std::system_error& e) {
    CHECK(e.code() == std::errc::address_in_use);
    CHECK(std::string(e.what()).find("127.0.0.1:" + std::to_string(f.port())) != std::string::npos);
  }
}

namespace {

const std::string json_type = "Content-Type: application/json\r\n";

response ask_for_reload(std::uint16_t port, const std::string& more, const std::string& body = "") {
  client c(port);
  c.send("POST /api/reload HTTP/1.1\r\nHost: localhost:9901\r\n" + more +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  return c.receive();
}

}  // namespace

TEST_CASE("a reload tells the hashes before and after") {
  fixture f;
  f.reload = {reload_result::ok, "aaa", "bbb", {}};
  const response r = ask_for_reload(f.port(), json_type);
  CHECK(r.result_int() == 200);
  CHECK(r.body() == "{\"result\":\"ok\",\"hash_before\":\"aaa\",\"hash_after\":\"bbb\"}\n");
  CHECK(ask_for_reload(f.port(), json_type, " { } ").result_int() == 200);
}

TEST_CASE("a refused reload is 422 with the problems") {
  fixture f;
  f.reload = {reload_result::rejected, "aaa", "aaa", "error[E0312]: unknown key\n"};
  const response r = ask_for_reload(f.port(), json_type);
  CHECK(is_error(r, 422, "invalid_config"));
  CHECK(r.body().find("\"problems\":\"error[E0312]: unknown key\\u000a\"") != std::string::npos);
}

TEST_CASE("a reload is asked for by POST of JSON, with nothing in it") {
  fixture f;
  const response r = get(f.port(), "/api/reload");
  CHECK(is_error(r, 405, "method_not_allowed"));
  CHECK(r[http::field::allow] == "POST");
  CHECK(is_error(ask_for_reload(f.port(), ""), 415, "unsupported_media_type"));
  CHECK(is_error(ask_for_reload(f.port(), "Content-Type: text/plain\r\n"), 415, "unsupported_media_type"));
  CHECK(is_error(ask_for_reload(f.port(), json_type, "{\"force\":true}"), 400, "bad_request"));
  CHECK(is_error(ask_for_reload(f.port(), json_type, std::string(65 * 1024, ' ')), 413, "body_too_large"));
}

TEST_CASE("a page of another site cannot ask for a reload, its own can") {
  fixture f;
  CHECK(is_error(ask_for_reload(f.port(), json_type + "Origin: http://evil.example\r\n"), 403, "forbidden"));
  CHECK(is_error(ask_for_reload(f.port(), json_type + "Origin: null\r\n"), 403, "forbidden"));
  CHECK(
      is_error(ask_for_reload(f.port(), json_type + "Origin: http://localhost:9902\r\n"), 403, "forbidden"));
  CHECK(ask_for_reload(f.port(), json_type + "Origin: http://localhost:9901\r\n").result_int() == 200);
}

TEST_CASE("the scrape address changes nothing") {
  fixture f(true);
  CHECK(is_error(ask_for_reload(f.scrape_port(), json_type), 405, "method_not_allowed"));
}
