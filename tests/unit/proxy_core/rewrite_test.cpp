// SPDX-License-Identifier: Apache-2.0
#include "proxy/http/rewrite.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace weir::http::test {
namespace {

using namespace std::string_literals;

request_context context() {
  request_context c;
  c.path = "/p";
  c.host = "up.example";
  c.peer_address = "192.0.2.7";
  c.listener_port = "8080";
  c.request_id = "id-1";
  c.via = "weir";
  return c;
}

std::string forward(const std::string& bytes, const request_context& c = context()) {
  const auto head = std::make_unique<request_head>();
  head->begin({});
  REQUIRE(head->scan(bytes) == scan_status::complete);
  std::string out = "before|";
  append_request_head(out, *head, bytes, c);
  REQUIRE(out.starts_with("before|"));
  return out.substr(7);
}

/// The field lines of a forwarded GET that has these lines besides Host, without those that weir always
/// writes.
std::string kept(const std::string& lines, const request_context& c = context()) {
  const std::string out = forward("GET /p HTTP/1.1\r\nHost: a.example\r\n" + lines + "\r\n", c);
  const std::string begin = "GET /p HTTP/1.1\r\nHost: up.example\r\n";
  REQUIRE(out.starts_with(begin));
  const std::size_t end = out.find("X-Forwarded-For: ");
  REQUIRE(end != std::string::npos);
  return out.substr(begin.size(), end - begin.size());
}

/// What weir writes behind the kept fields.
std::string own(const std::string& lines, const request_context& c = context()) {
  const std::string out = forward("GET /p HTTP/1.1\r\nHost: a.example\r\n" + lines + "\r\n", c);
  const auto ours = out.find("X-Forwarded-For: ");
  return out.substr(ours != std::string::npos ? ours : out.find("Forwarded: "));
}

response_context answer_context() {
  response_context c;
  c.request_id = "id-1";
  c.via = "weir";
  c.date = "Thu, 01 Jan 1970 00:00:00 GMT";
  return c;
}

std::string answer(const std::string& bytes, const response_context& given = answer_context(),
                   bool head_request = false) {
  const auto head = std::make_unique<response_head>();
  head->begin(head_request);
  REQUIRE(head->scan(bytes) == scan_status::complete);
  response_context c = given;
  if (c.framing == framing::none)
    c.framing = head->framing == framing::until_close ? framing::chunked : head->framing;
  std::string out = "before|";
  append_response_head(out, *head, bytes, c);
  REQUIRE(out.starts_with("before|"));
  return out.substr(7);
}

const std::string ending = "X-Request-ID: id-1\r\nVia: 1.1 weir\r\n\r\n";
const std::string dated = "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n";

}  // namespace

TEST_CASE("a request is written anew with Host first") {
  request_context c = context();
  c.query = "x=%20";
  c.has_query = true;
  CHECK(forward("GET //p?x=%20 HTTP/1.0\r\nAccept:  */*  \r\nhost: a.example\r\nX-Empty:\r\nx-User:u\r\nB: "
                "c\r\n\r\nbody",
                c) ==
        "GET /p?x=%20 HTTP/1.1\r\nHost: up.example\r\nAccept: */*\r\nX-Empty: \r\nx-User: u\r\nB: c\r\n"
        "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a.example\r\n"
        "X-Forwarded-Port: 8080\r\nX-Request-ID: id-1\r\nVia: 1.0 weir\r\n\r\n");
}

TEST_CASE("a large head with many gaps is copied whole") {
  std::string lines, expected;
  for (int i = 0; i < 90; ++i) {
    const std::string value(static_cast<std::size_t>(i * 3), 'v');
    lines += fmt::format("X{}:{}{}\r\n", i, i % 7 == 0 ? "" : " ", value);
    if (i % 10 == 0) lines += fmt::format("X_{}: dropped\r\n", i);
    expected += fmt::format("X{}: {}\r\n", i, value);
  }
  CHECK(kept(lines) == expected);
}

TEST_CASE("the space between name and value is one space") {
  CHECK(kept("A:\tb\r\nC:d\r\nE:  f\r\nG: h \r\nI: j\r\n") == "A: b\r\nC: d\r\nE: f\r\nG: h\r\nI: j\r\n");
}

TEST_CASE("the body is framed in one canonical way") {
  const auto framing_of = [](const std::string& method, const std::string& lines) {
    const std::string out = forward(method + " /p HTTP/1.1\r\nHost: a\r\n" + lines + "\r\n");
    const std::size_t begin = out.find("Host: up.example\r\n") + 18;
    return out.substr(begin, out.find("X-Forwarded-For") - begin);
  };
  CHECK(framing_of("POST", "content-length:\t 007\r\n") == "Content-Length: 7\r\n");
  CHECK(framing_of("POST", "Content-Length: 9223372036854775807\r\n") ==
        "Content-Length: 9223372036854775807\r\n");
  CHECK(framing_of("GET", "Content-Length: 0\r\n") == "Content-Length: 0\r\n");
  CHECK(framing_of("PUT", "transfer-encoding: CHUNKED\r\nTrailer: x\r\n") ==
        "Transfer-Encoding: chunked\r\n");
  for (const char* method : {"POST", "PUT", "PATCH"})
    CHECK(framing_of(method, "") == "Content-Length: 0\r\n");
  for (const char* method : {"GET", "HEAD", "DELETE", "OPTIONS", "PROPFIND"})
    CHECK(framing_of(method, "") == "");
}

TEST_CASE("hop-by-hop fields and dangerous ones do not pass") {
  CHECK(kept("Connection: keep-alive\r\nA: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: "
             "x\r\nProxy-Authenticate: x\r\n"
             "Proxy-Authorization: x\r\nTE: trailers\r\nTrailer: x\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n"
             "Expect: 100-continue\r\nProxy: x\r\nX-Original-URL: /\r\nX-Rewrite-URL: /\r\nX_Y: z\r\nB: "
             "2\r\n") == "A: 1\r\nB: 2\r\n");
}

TEST_CASE("nominated fields go, protected ones stay") {
  CHECK(kept("X-A: 1\r\nConnection: x-a, close\r\nX-B: 2\r\nconnection: ,X-C,\r\nx-c: 3\r\nX-A: 4\r\nX-AB: "
             "5\r\n") == "X-B: 2\r\nX-AB: 5\r\n");
  const std::string lines = "Content-Type: t\r\nAuthorization: a\r\nCookie: c\r\nX-User: u\r\nX-Gone: g\r\n";
  const std::string nominate =
      "Connection: host, content-length, transfer-encoding, content-type, authorization, cookie, X-USER, "
      "x-gone\r\n";
  CHECK(kept(lines + nominate) == "Content-Type: t\r\nAuthorization: a\r\nCookie: c\r\n");
  const std::vector<std::string> protected_headers{"x-other", "x-user"};
  request_context c = context();
  c.protected_headers = protected_headers;
  CHECK(kept(lines + nominate, c) == "Content-Type: t\r\nAuthorization: a\r\nCookie: c\r\nX-User: u\r\n");
  const std::string posted =
      forward("POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n" + nominate + "\r\n");
  CHECK(posted.find("Content-Length: 3\r\n") != std::string::npos);
}

TEST_CASE("nomination never removes what weir adds") {
  const std::string plain = own("");
  CHECK(own("Connection: via, x-request-id, x-forwarded-for, x-forwarded-proto, x-forwarded-host, "
            "x-forwarded-port\r\n") == plain);
  request_context c = context();
  c.peer_trusted = true;
  CHECK(own("X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\n"
            "Connection: x-forwarded-for, x-forwarded-proto\r\n",
            c) == plain);
  const std::vector<std::string> protected_headers{"x-forwarded-for"};
  c.protected_headers = protected_headers;
  CHECK(own("X-Forwarded-For: 1.1.1.1\r\nConnection: x-forwarded-for\r\n", c)
            .starts_with("X-Forwarded-For: 1.1.1.1, 192.0.2.7\r\n"));
}

TEST_CASE("Max-Forwards of OPTIONS goes down by one, that of other methods is relayed") {
  const std::string options = forward("OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 010\r\nX: 1\r\n\r\n");
  CHECK(options.find("X: 1\r\nMax-Forwards: 9\r\n") != std::string::npos);
  CHECK(options.find("010") == std::string::npos);
  CHECK(kept("Max-Forwards: 010\r\n") == "Max-Forwards: 010\r\n");
}

TEST_CASE("an untrusted peer's claims about the way are replaced") {
  const std::string claims =
      "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: b\r\nX-Forwarded-Port: 1\r\n"
      "X-Forwarded-Prefix: /x\r\nForwarded: for=1.1.1.1\r\nX-Request-ID: evil\r\nA: "
      "b\r\n";
  CHECK(kept(claims) == "A: b\r\n");
  CHECK(own(claims) ==
        "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a.example\r\n"
        "X-Forwarded-Port: 8080\r\nX-Request-ID: id-1\r\nVia: 1.1 weir\r\n\r\n");
}

TEST_CASE("a trusted peer's claims stay and its address is appended") {
  request_context c = context();
  c.peer_trusted = true;
  const std::string claims =
      "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-For: 2.2.2.2, "
      "3.3.3.3\r\nX-Forwarded-For:\r\n"
      "X-Real-IP: 1.1.1.1\r\nForwarded: for=1.1.1.1\r\nX-Request-ID: theirs\r\nVia: 1.1 edge\r\n";
  const std::string out = forward("GET /p HTTP/1.1\r\nHost: a.example\r\n" + claims + "\r\n", c);
  CHECK(
      out ==
      "GET /p HTTP/1.1\r\nHost: up.example\r\nX-Forwarded-Proto: https\r\nX-Real-IP: 1.1.1.1\r\n"
      "Forwarded: for=1.1.1.1\r\nVia: 1.1 edge\r\nX-Forwarded-For: 1.1.1.1, 2.2.2.2, 3.3.3.3, 192.0.2.7\r\n"
      "X-Forwarded-Host: a.example\r\nX-Forwarded-Port: 8080\r\nX-Request-ID: id-1\r\nVia: 1.1 weir\r\n\r\n");
}

TEST_CASE("Forwarded is written instead of X-Forwarded-* or beside it") {
  request_context c = context();
  c.x_forwarded = false;
  c.forwarded = true;
  CHECK(own("Forwarded: for=1.1.1.1\r\nX-Forwarded-For: 1.1.1.1\r\n", c) ==
        "Forwarded: for=192.0.2.7;proto=http;host=\"a.example\"\r\nX-Request-ID: id-1\r\nVia: 1.1 "
        "weir\r\n\r\n");
  c.peer_address = "2001:db8::17";
  CHECK(own("", c).starts_with("Forwarded: for=\"[2001:db8::17]\";proto=http;host=\"a.example\"\r\n"));
  c.peer_address = "unix";
  CHECK(own("", c).starts_with("Forwarded: for=unknown;proto=http"));
  c = context();
  c.forwarded = true;
  CHECK(own("", c).starts_with("X-Forwarded-For: 192.0.2.7\r\n"));
  CHECK(own("", c).find("\r\nForwarded: for=192.0.2.7;") != std::string::npos);
}

TEST_CASE("a trusted peer's Forwarded gains an element, unless it was nominated away") {
  request_context c = context();
  c.x_forwarded = false;
  c.forwarded = c.peer_trusted = true;
  const std::string received = "Forwarded: for=1.1.1.1\r\nForwarded: for=2.2.2.2;proto=https\r\n";
  CHECK(own(received, c)
            .starts_with("Forwarded: for=1.1.1.1, for=2.2.2.2;proto=https, for=192.0.2.7;proto=http;"));
  CHECK(own(received + "Connection: forwarded\r\n", c).starts_with("Forwarded: for=192.0.2.7;proto=http;"));
}

TEST_CASE("without a Host of the client there is no X-Forwarded-Host") {
  CHECK(forward("GET /p HTTP/1.0\r\n\r\n").find("X-Forwarded-Host") == std::string::npos);
  CHECK(forward("GET http://b/p HTTP/1.1\r\nHost: a\r\n\r\n").find("X-Forwarded-Host: b\r\n") !=
        std::string::npos);
}

TEST_CASE("a response is written anew") {
  CHECK(answer("HTTP/1.0 404 Nope\r\nServer:x\r\nContent-Length: 007\r\nKeep-Alive: 1\r\nSet-Cookie: "
               "a\r\nSet-Cookie: b\r\n\r\nbody") ==
        "HTTP/1.1 404 Nope\r\nServer: x\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 7\r\n" + dated +
            "X-Request-ID: id-1\r\nVia: 1.0 weir\r\n\r\n");
  CHECK(answer("HTTP/1.1 200\r\nDate: d\r\nX-Request-ID: theirs\r\nVia: 1.1 x\r\nTransfer-Encoding: "
               "chunked\r\n\r\n") ==
        "HTTP/1.1 200 \r\nDate: d\r\nVia: 1.1 x\r\nTransfer-Encoding: chunked\r\n" + ending);
}

TEST_CASE("hop-by-hop and nominated fields of a response do not pass") {
  CHECK(answer("HTTP/1.1 200 OK\r\nConnection: close, x-a\r\nX-A: 1\r\nTE: x\r\nTrailer: x\r\nUpgrade: x\r\n"
               "Proxy-Authenticate: x\r\nProxy-Connection: x\r\nX_B: 2\r\nContent-Type: t\r\nContent-Length: "
               "0\r\n\r\n") ==
        "HTTP/1.1 200 OK\r\nX_B: 2\r\nContent-Type: t\r\nContent-Length: 0\r\n" + dated + ending);
}

TEST_CASE("the protocol to switch to is written anew in both directions") {
  request_context asks = context();
  asks.upgrade = "websocket";
  const std::string lines =
      "Connection: keep-alive, Upgrade, X-A\r\nUpgrade: WebSocket\r\nX-A: 1\r\nX-B: 2\r\n";
  CHECK(kept(lines, asks) == "X-B: 2\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n");
  CHECK(kept(lines) == "X-B: 2\r\n");
  response_context switches = answer_context();
  switches.upgrade = "websocket";
  const std::string head = "HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: WebSocket\r\nX-C: 3\r\n\r\n";
  response_head scanned;
  scanned.begin(false, true);
  REQUIRE(scanned.scan(head) == scan_status::complete);
  std::string out;
  append_response_head(out, scanned, head, switches);
  CHECK(out ==
        "HTTP/1.1 101 Go\r\nX-C: 3\r\n" + dated +
            "X-Request-ID: id-1\r\nVia: 1.1 weir\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
}

TEST_CASE("the body of a response is framed for the client") {
  CHECK(answer("HTTP/1.1 200 OK\r\n\r\n") ==
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + dated + ending);
  response_context old = answer_context();
  old.client_version_minor = 0;
  old.framing = framing::until_close;
  CHECK(answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", old) ==
        "HTTP/1.1 200 OK\r\n" + dated + "X-Request-ID: id-1\r\nVia: 1.1 weir\r\nConnection: close\r\n\r\n");
  CHECK(answer("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", answer_context(), true) ==
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n" + dated + ending);
  CHECK(answer("HTTP/1.1 200 OK\r\n\r\n", answer_context(), true) == "HTTP/1.1 200 OK\r\n" + dated + ending);
  CHECK(answer("HTTP/1.1 304 x\r\nContent-Length: 5\r\n\r\n") ==
        "HTTP/1.1 304 x\r\nContent-Length: 5\r\n" + dated + ending);
  CHECK(answer("HTTP/1.1 204 x\r\nContent-Length: 5\r\n\r\n") == "HTTP/1.1 204 x\r\n" + dated + ending);
  response_context closing = answer_context();
  closing.close = true;
  CHECK(answer("HTTP/1.1 204 x\r\n\r\n", closing).ends_with("\r\nConnection: close\r\n\r\n"));
}

TEST_CASE("own fields follow those of the upstream, without the ones they replace") {
  response_context c = answer_context();
  c.extra_fields = "RateLimit: ours\r\n";
  CHECK(answer("HTTP/1.1 204 x\r\nratelimit: theirs\r\nx-mine: 2\r\n\r\n", c) ==
        "HTTP/1.1 204 x\r\nratelimit: theirs\r\nx-mine: 2\r\n" + dated + "RateLimit: ours\r\n" + ending);
  c.replaced = headers(header_id::ratelimit);
  CHECK(answer("HTTP/1.1 204 x\r\nratelimit: theirs\r\nx-mine: 2\r\n\r\n", c) ==
        "HTTP/1.1 204 x\r\nx-mine: 2\r\n" + dated + "RateLimit: ours\r\n" + ending);
}

TEST_CASE("an interim response keeps its status and end-to-end fields") {
  const std::string bytes =
      "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: x\r\nX: y\r\nKeep-Alive: 1\r\n\r\n";
  const auto head = std::make_unique<response_head>();
  head->begin(false);
  REQUIRE(head->scan(bytes) == scan_status::complete);
  std::string out;
  append_interim_head(out, *head, bytes);
  CHECK(out == "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
}

TEST_CASE("a field from outside is written only when it can do no harm") {
  std::string out;
  CHECK(append_field(out, "X-A", "b c"));
  CHECK(out == "X-A: b c\r\n");
  for (const auto& value : {"a\rb"s, "a\nb"s, "a\r\nX: y"s, "a\0b"s})
    CHECK_FALSE(append_field(out, "X-A", value));
  for (const auto& name : {""s, "X A"s, "X:"s, "X\r\n"s, "X\0"s, "\xC3"s})
    CHECK_FALSE(append_field(out, name, "b"));
  CHECK(out == "X-A: b c\r\n");
}

TEST_CASE("a request id is short and plain") {
  for (const auto& id : {"a"s, "A-z_0.9"s, std::string(128, 'x')}) CHECK(is_sane_request_id(id));
  for (const auto& id : {""s, std::string(129, 'x'), "a b"s, "a~b"s, "a/b"s, "\xC3\xA9"s, "a\n"s, "a\0"s}) {
    CHECK_FALSE(is_sane_request_id(id));
  }
}

TEST_CASE("hosts are matched in lower case without a last dot, and copied only for that") {
  std::string storage;
  for (const std::string_view plain :
       {"a.example", "xn--a-b_c~1.example-of-more", "[2001:db8::1]", "a", ""}) {
    CHECK(match_host(plain, storage).data() == plain.data());
    CHECK(match_host(plain, storage) == plain);
  }
  CHECK(match_host("a.example.", storage) == "a.example");
  CHECK(match_host("a.example..", storage) == "a.example.");
  CHECK(storage.empty());
  CHECK(match_host("A.Example", storage) == "a.example");
  CHECK(match_host("a.exampLe.", storage) == "a.example");
  CHECK(match_host("aB", storage) == "ab");
  CHECK(match_host("[2001:DB8::1]", storage) == "[2001:db8::1]");
}

TEST_CASE("dates are written as IMF-fixdate") {
  const auto date = [](std::int64_t t) {
    std::string out;
    append_http_date(out, t);
    return out;
  };
  CHECK(date(0) == "Thu, 01 Jan 1970 00:00:00 GMT");
  CHECK(date(784111777) == "Sun, 06 Nov 1994 08:49:37 GMT");
  CHECK(date(951827696) == "Tue, 29 Feb 2000 12:34:56 GMT");
  CHECK(date(4102444799) == "Thu, 31 Dec 2099 23:59:59 GMT");
}

}  // namespace weir::http::test
