// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/proxy_core/head_support.hpp"

#include <string>
#include <vector>

namespace weir::http::test {
namespace {

std::string ok_with(std::string_view lines, std::string_view status = "200 OK") {
  return "HTTP/1.1 " + std::string(status) + "\r\n" + std::string(lines) + "\r\n";
}

void check_refused(const std::vector<std::string>& cases) {
  for (const auto& bytes : cases) {
    CAPTURE(bytes.substr(0, 300));
    const verdict v = scan_response(bytes);
    CHECK(v.status == scan_status::refused);
    CHECK(v.refusal == 502);
    CHECK(v.type == "bad_gateway");
    CHECK_FALSE(v.message.empty());
  }
}

void check_accepted(const std::vector<std::string>& cases) {
  for (const auto& bytes : cases) {
    CAPTURE(bytes.substr(0, 300));
    const verdict v = scan_response(bytes);
    CHECK(v.status == scan_status::complete);
    CHECK(v.message == "");
    CHECK(v.size == bytes.size());
  }
}

}  // namespace

TEST_CASE("a plain response is taken apart") {
  const std::string bytes =
      "HTTP/1.1 200 Fine, \xC3\xA9\r\nContent-Length: 2\r\nset-cookie: a\r\nSet-Cookie: b\r\n\r\n";
  const verdict v = scan_response(bytes + "ok");
  CHECK(v.status == scan_status::complete);
  CHECK(v.size == bytes.size());
  CHECK(v.code == 200);
  CHECK(v.reason == "Fine, \xC3\xA9");
  CHECK(v.framing == framing::content_length);
  CHECK(v.content_length == 2);
  CHECK(v.keep_alive);
  const name_values expected{{"Content-Length", "2"}, {"set-cookie", "a"}, {"Set-Cookie", "b"}};
  CHECK(v.fields == expected);
}

TEST_CASE("every proper prefix of a response asks for more") {
  const std::string bytes = ok_with("Content-Length: 5\r\nConnection: close\r\n");
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    CHECK(scan_response(bytes.substr(0, n)).status == scan_status::need_more);
  }
}

TEST_CASE("a response head is reusable and forgets the response before") {
  const auto head = std::make_unique<response_head>();
  head->begin(true);
  CHECK(head->scan(ok_with("Content-Length: 9\r\nDate: x\r\nConnection: close, x\r\n")) ==
        scan_status::complete);
  head->begin(false);
  const std::string bytes = ok_with("");
  CHECK(head->scan(bytes) == scan_status::complete);
  CHECK(verdict_of(*head, scan_status::complete, bytes) == scan_response(bytes));
  CHECK(head->find(header_id::date) == nullptr);
  for (int i = 0; i < 2; ++i) {
    head->begin(false);
    CHECK(head->scan(ok_with("Content-Length: 1\r\n")) == scan_status::complete);
  }
  head->begin(false);
  CHECK(head->scan("x") == scan_status::refused);
  head->begin(false);
  CHECK(head->scan(bytes) == scan_status::complete);
}

TEST_CASE("the status line is exact") {
  check_accepted({"HTTP/1.1 200\r\n\r\n", "HTTP/1.1 200 \r\n\r\n", "HTTP/1.0 404 Not Found\r\n\r\n",
                  "HTTP/1.1 599 x\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 200 a\tb\r\n\r\n"});
  check_refused({"\r\nHTTP/1.1 200 OK\r\n\r\n",
                 " HTTP/1.1 200 OK\r\n\r\n",
                 "HTTP/1.2 200 OK\r\n\r\n",
                 "HTTP/2.0 200 OK\r\n\r\n",
                 "HTTP/0.9 200 OK\r\n\r\n",
                 "http/1.1 200 OK\r\n\r\n",
                 "ICY 200 OK\r\n\r\n",
                 "HTTP/1.1 099 x\r\n\r\n",
                 "HTTP/1.1 600 x\r\n\r\n",
                 "HTTP/1.1 999 x\r\n\r\n",
                 "HTTP/1.1 20 x\r\n\r\n",
                 "HTTP/1.1 2000 x\r\n\r\n",
                 "HTTP/1.1 2x0 x\r\n\r\n",
                 "HTTP/1.1  200 OK\r\n\r\n",
                 "HTTP/1.1\t200 OK\r\n\r\n",
                 "HTTP/1.1 200\tOK\r\n\r\n",
                 "HTTP/1.1 200OK\r\n\r\n",
                 "HTTP/1.1 200 O\0K\r\n\r\n"s,
                 "HTTP/1.1 200 O\x01K\r\n\r\n",
                 "HTTP/1.1 200 O\x7FK\r\n\r\n",
                 "HTTP/1.1 200 OK\n\r\n",
                 "HTTP/1.1 200 OK\rX\r\n\r\n",
                 "HTTP/1.1 200\rX\r\n\r\n",
                 "HTTP/1.1 200\n\r\n",
                 "<html>"});
}

TEST_CASE("fields of a response obey the rules of requests") {
  check_accepted(
      {ok_with("X_Y: kept\r\n"), ok_with(std::string(256, 'n') + ": x\r\n"), ok_with("X: \x80\t\r\n")});
  CHECK(scan_response(ok_with("X_Y: kept\r\n")).dropped.empty());
  check_refused({ok_with("X: y\n"), ok_with("X: y\rZ\r\n"), ok_with("X: \0\r\n"s), ok_with("X: \x7F\r\n"),
                 ok_with("X: y\r\n z\r\n"), ok_with(" X: y\r\n"), ok_with("X : y\r\n"), ok_with(": y\r\n"),
                 ok_with("X\r\n"), ok_with("X(: y\r\n"), ok_with(std::string(257, 'n') + ": x\r\n"),
                 "HTTP/1.1 200 OK\r\nX: y\r\n\n", "HTTP/1.1 200 OK\r\nX: y\r\n\rX"});
}

TEST_CASE("a response head has at most 100 fields and 32 KiB") {
  std::string lines;
  for (int i = 0; i < 100; ++i) lines += "X: y\r\n";
  check_accepted({ok_with(lines)});
  check_refused({ok_with(lines + "X: y\r\n")});
  const std::string start = "HTTP/1.1 200 OK\r\nX: ";
  const std::string longest = start + std::string(32 * 1024 - start.size() - 4, 'v') + "\r\n\r\n";
  CHECK(longest.size() == 32 * 1024);
  check_accepted({longest});
  check_refused({start + std::string(32 * 1024 - start.size() - 3, 'v') + "\r\n\r\n",
                 "HTTP/1.1 200 " + std::string(33 * 1024, 'r')});
  CHECK(scan_response(longest.substr(0, 32 * 1024 - 1)).status == scan_status::need_more);
}

TEST_CASE("Content-Length of a response is one decimal number") {
  check_accepted({ok_with("Content-Length: 0005\r\n")});
  for (const char* value : {"", "+1", "-1", "0x1", "1,1", "1, 1", "1 1", "a", "9223372036854775808"}) {
    CAPTURE(value);
    check_refused({ok_with("Content-Length: " + std::string(value) + "\r\n")});
  }
  check_refused({ok_with("Content-Length: 5\r\nContent-Length: 5\r\n")});
}

TEST_CASE("Transfer-Encoding of a response is chunked, alone, in HTTP/1.1") {
  CHECK(scan_response(ok_with("Transfer-Encoding: Chunked\r\n")).framing == framing::chunked);
  for (const char* value :
       {"", "identity", "gzip", "gzip, chunked", "chunked, chunked", "chunked;a=b", "xchunked"}) {
    CAPTURE(value);
    check_refused({ok_with("Transfer-Encoding: " + std::string(value) + "\r\n")});
  }
  check_refused({ok_with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
                 ok_with("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
                 ok_with("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
                 "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"});
}

TEST_CASE("HEAD, 204, 304 and 1xx have no body") {
  const verdict head = scan_response(ok_with("Content-Length: 7\r\n"), true);
  CHECK(head.framing == framing::none);
  CHECK(head.has_content_length);
  CHECK(head.content_length == 7);
  CHECK(scan_response(ok_with("Transfer-Encoding: chunked\r\n"), true).framing == framing::none);
  CHECK(scan_response(ok_with("", "200 OK"), true).keep_alive);
  for (const char* status : {"204 No Content", "304 Not Modified"}) {
    CHECK(scan_response(ok_with("Content-Length: 7\r\n", status)).framing == framing::none);
    CHECK(scan_response(ok_with("", status)).framing == framing::none);
    CHECK(scan_response(ok_with("", status)).keep_alive);
  }
  CHECK(scan_response(ok_with("", "103 Early Hints")).framing == framing::none);
  check_refused({ok_with("Content-Length: 0\r\n", "100 Continue"),
                 ok_with("Transfer-Encoding: chunked\r\n", "103 Early Hints")});
}

TEST_CASE("101 is refused when no Upgrade was forwarded") {
  check_refused({ok_with("Upgrade: websocket\r\nConnection: Upgrade\r\n", "101 Switching Protocols")});
}

TEST_CASE("101 after an Upgrade is a head without a body") {
  const std::string bytes =
      ok_with("Upgrade: websocket\r\nConnection: Upgrade\r\n", "101 Switching Protocols");
  const auto head = std::make_unique<response_head>();
  head->begin(false, true);
  REQUIRE(head->scan(bytes + "raw") == scan_status::complete);
  CHECK(head->status == 101);
  CHECK(head->size() == bytes.size());
  CHECK(head->framing == framing::none);
  head->begin(false);
  CHECK(head->scan(bytes) == scan_status::refused);
}

TEST_CASE("without framing the body lasts until the connection closes") {
  const verdict v = scan_response(ok_with(""));
  CHECK(v.framing == framing::until_close);
  CHECK_FALSE(v.keep_alive);
  CHECK_FALSE(v.has_content_length);
}

TEST_CASE("only an HTTP/1.1 response without close keeps the connection") {
  CHECK(scan_response(ok_with("Content-Length: 0\r\nConnection: keep-alive\r\n")).keep_alive);
  CHECK_FALSE(scan_response(ok_with("Content-Length: 0\r\nConnection: x, Close\r\n")).keep_alive);
  CHECK_FALSE(scan_response(ok_with("Content-Length: 0\r\nConnection: a b\r\n")).keep_alive);
  CHECK_FALSE(
      scan_response("HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n").keep_alive);
  CHECK(scan_response(ok_with("Connection: x\r\n")).nominates);
  std::string options = "a";
  for (std::size_t i = 1; i < max_connection_options; ++i) options += ",a";
  check_accepted({ok_with("Connection: " + options + "\r\n")});
  check_refused({ok_with("Connection: " + options + ",a\r\n")});
}

}  // namespace weir::http::test
