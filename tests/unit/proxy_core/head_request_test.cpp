// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/proxy_core/head_support.hpp"

#include <string>
#include <vector>

namespace weir::http::test {
namespace {

struct refused_case {
  std::string bytes;
  int status;
};

void check_refused(const std::vector<refused_case>& cases) {
  for (const auto& c : cases) {
    CAPTURE(c.bytes.substr(0, 300));
    const verdict v = scan_request(c.bytes);
    CHECK(v.status == scan_status::refused);
    CHECK(v.refusal == c.status);
  }
}

void check_accepted(const std::vector<std::string>& cases) {
  for (const auto& bytes : cases) {
    CAPTURE(bytes.substr(0, 300));
    const verdict v = scan_request(bytes);
    CHECK(v.status == scan_status::complete);
    CHECK(v.message == "");
    CHECK(v.size == bytes.size());
  }
}

std::string post_with(std::string_view lines) {
  return "POST /p HTTP/1.1\r\nHost: a.example\r\n" + std::string(lines) + "\r\n";
}

std::string get_target(std::string_view target, std::string_view method = "GET") {
  return std::string(method) + " " + std::string(target) + " HTTP/1.1\r\nHost: a.example\r\n\r\n";
}

std::string with_host(std::string_view host) {
  return "GET / HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n";
}

}  // namespace

TEST_CASE("a plain request is taken apart") {
  const std::string bytes =
      "GET /a/b?x=1 HTTP/1.1\r\nHost: a.example:8080\r\nAccept:  */* \t\r\nX-Empty:\r\nx-user: "
      "\xC3\xA9\r\n\r\n";
  const verdict v = scan_request(bytes + "next");
  CHECK(v.status == scan_status::complete);
  CHECK(v.size == bytes.size());
  CHECK(v.method == "GET");
  CHECK(v.target == "/a/b?x=1");
  CHECK(v.host == "a.example:8080");
  CHECK(v.version_minor == 1);
  CHECK(v.framing == framing::none);
  CHECK(v.keep_alive);
  const name_values expected{
      {"Host", "a.example:8080"}, {"Accept", "*/*"}, {"X-Empty", ""}, {"x-user", "\xC3\xA9"}};
  CHECK(v.fields == expected);
}

TEST_CASE("every proper prefix of a request asks for more") {
  const std::string bytes = post_with("Content-Length: 5\r\nConnection: close\r\n");
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    CHECK(scan_request(bytes.substr(0, n)).status == scan_status::need_more);
  }
}

TEST_CASE("a head is reusable and forgets the request before") {
  const auto head = std::make_unique<request_head>();
  head->begin({});
  CHECK(head->scan(
            "POST http://b/x HTTP/1.1\r\nHost: a\r\nConnection: close, x\r\nExpect: 100-continue\r\n"
            "Content-Type: t\r\nX-Request-ID: 1\r\nX-Request-ID: 2\r\nTransfer-Encoding: chunked\r\n\r\n") ==
        scan_status::complete);
  CHECK(head->repeated(header_id::x_request_id));
  CHECK_FALSE(head->repeated(header_id::host));
  head->begin({});
  const std::string bytes = get_with("");
  CHECK(head->scan(bytes) == scan_status::complete);
  CHECK(verdict_of(*head, scan_status::complete, bytes) == scan_request(bytes));
  CHECK(head->find(header_id::content_type) == nullptr);
  CHECK_FALSE(head->repeated(header_id::x_request_id));
  head->begin({});
  CHECK(head->scan("\n") == scan_status::refused);
  const std::string expecting = post_with("Expect: 100-continue\r\nContent-Length: 5\r\n");
  const std::string not_expecting = post_with("Expect: 100-continue\r\n");
  head->begin({});
  CHECK(head->scan(expecting) == scan_status::complete);
  head->begin({});
  CHECK(head->scan(not_expecting) == scan_status::complete);
  CHECK_FALSE(head->expect_continue);
  std::string options = "a";
  for (std::size_t i = 1; i < max_connection_options; ++i) options += ",a";
  for (int i = 0; i < 2; ++i) {
    head->begin({});
    CHECK(head->scan(get_with("Connection: " + options + "\r\n")) == scan_status::complete);
  }
  head->begin({});
  CHECK(head->scan(bytes) == scan_status::complete);
}

TEST_CASE("every line ends in CRLF") {
  check_refused({{"GET / HTTP/1.1\nHost: a\r\n\r\n", 400},
                 {"GET / HTTP/1.1\rHost: a\r\n\r\n", 400},
                 {"GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", 400},
                 {"GET / HTTP/1.1\r\nHost: a\n\r\n", 400},
                 {"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", 400},
                 {"GET / HTTP/1.1\r\nHost: a\r\n\n", 400},
                 {"GET / HTTP/1.1\r\nHost: a\r\n\rX", 400},
                 {"GET / HTTP/1.1\r\nHost\r\n\r\n", 400},
                 {"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
                 {"\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400}});
}

TEST_CASE("at most two empty lines come before a request") {
  check_accepted({"\r\n" + get_with(""), "\r\n\r\n" + get_with("")});
  check_refused({{"\r\n\r\n\r\n" + get_with(""), 400}, {" " + get_with(""), 400}});
  const auto head = std::make_unique<request_head>();
  head->begin({});
  CHECK(head->scan("\r\n\r") == scan_status::need_more);
  CHECK_FALSE(head->started());
  CHECK(head->scan("\r\n\r\nG") == scan_status::need_more);
  CHECK(head->started());
}

TEST_CASE("the request line has three parts and single spaces") {
  check_refused({{"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
                 {"GET /  HTTP/1.1\r\nHost: a\r\n\r\n", 400},
                 {"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
                 {"GET /\tHTTP/1.1\r\nHost: a\r\n\r\n", 400},
                 {"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400},
                 {"GET / x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
                 {"GET /\r\n\r\n", 400},
                 {"GET\r\n\r\n", 400},
                 {" / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
                 {"\x16\x03\x01\x02", 400}});
}

TEST_CASE("a method is a token of 32 bytes, in the right case, and not CONNECT or TRACE") {
  check_accepted(
      {get_target("/", "PROPFIND"), get_target("/", "x-mine"), get_target("/", std::string(32, 'M'))});
  check_refused({{get_target("/", std::string(33, 'M')), 501},
                 {get_target("/", "get"), 501},
                 {get_target("/", "Post"), 501},
                 {get_target("/", "propFind"), 501},
                 {get_target("/", "G(T"), 400},
                 {get_target("/", "G\0T"s), 400},
                 {get_target("/", "G\xC3T"), 400},
                 {"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 405},
                 {"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405}});
  const auto head = std::make_unique<request_head>();
  head->begin({});
  CHECK(head->scan("TRACE ") == scan_status::refused);
  CHECK(head->refusal().allow_header);
  CHECK(head->refusal().close);
}

TEST_CASE("methods have labels") {
  for (const char* name : {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"}) {
    const auto head = std::make_unique<request_head>();
    head->begin({});
    CHECK(head->scan(get_target("/", name)) == scan_status::complete);
    CHECK(method_label(head->method_id) == name);
  }
  CHECK(method_label(method_id::other) == "_OTHER");
}

TEST_CASE("the version is HTTP/1.0 or HTTP/1.1") {
  check_accepted({"GET / HTTP/1.0\r\n\r\n"});
  check_refused({{"GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505},
                 {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
                 {"GET / HTTP/0.9\r\n\r\n", 505},
                 {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
                 {"GET / http/1.1\r\nHost: a\r\n\r\n", 400},
                 {"GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400},
                 {"GET / HTTP/11\r\nHost: a\r\n\r\n", 400},
                 {"GET / HTTP/1\r\nHost: a\r\n\r\n", 400},
                 {"GET / HTTP/1,1\r\nHost: a\r\n\r\n", 400},
                 {"GET / HTTP/a.1\r\nHost: a\r\n\r\n", 400},
                 {"GET / HTTP/1.x\r\nHost: a\r\n\r\n", 400},
                 {"GET / HTTP /1.1\r\nHost: a\r\n\r\n", 400},
                 {"GET / FTP/1.1\r\nHost: a\r\n\r\n", 400}});
}

TEST_CASE("a target of the limit passes, one byte more is refused before its end is seen") {
  const std::string longest = "/" + std::string(8 * 1024 - 1, 'a');
  check_accepted({get_target(longest)});
  check_refused({{get_target(longest + "a"), 414}});
  CHECK(refused_after("GET " + longest + "aaaa") == 4 + longest.size() + 1);
}

TEST_CASE("a target holds visible ASCII without a fragment") {
  check_accepted({get_target("/a?b=\"<>\\^`{|}"), get_target("//a"), get_target("/%zz")});
  check_refused({{get_target("/a#b"), 400},
                 {get_target("/a\x7F"), 400},
                 {get_target("/\xC3\xA9"), 400},
                 {get_target("/a\0b"s), 400},
                 {get_target("/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\x01"), 400},
                 {get_target("/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa#"), 400},
                 {get_target("a/b"), 400},
                 {get_target("a.example:80"), 400},
                 {get_target("?x"), 400},
                 {get_target("*"), 400},
                 {get_target("*", "PROPFIND"), 400},
                 {get_target("*x", "OPTIONS"), 400}});
  CHECK(scan_request(get_target("*", "OPTIONS")).target == "*");
  CHECK(scan_request(get_target("*", "OPTIONS")).form == target_form::asterisk);
}

TEST_CASE("an absolute-form target gives host and path") {
  struct {
    const char* target;
    const char* host;
    const char* path;
  } const cases[] = {
      {"http://b.example/x?y", "b.example", "/x?y"}, {"HTTPS://B.example:8443/x", "B.example:8443", "/x"},
      {"http://b.example", "b.example", "/"},        {"http://b.example?q", "b.example", "?q"},
      {"http://[::1]:80/", "[::1]:80", "/"},         {"http://b//x", "b", "//x"}};
  for (const auto& c : cases) {
    const verdict v = scan_request(get_target(c.target));
    CAPTURE(c.target);
    CHECK(v.status == scan_status::complete);
    CHECK(v.form == target_form::absolute);
    CHECK(v.host == c.host);
    CHECK(v.target == c.path);
  }
  CHECK(scan_request(get_target("http://b.example", "OPTIONS")).target == "*");
  check_refused({{get_target("ftp://b/"), 400},
                 {get_target("http:/b/"), 400},
                 {get_target("http:b"), 400},
                 {get_target("://b/"), 400},
                 {get_target("http:///x"), 400},
                 {get_target("http://"), 400},
                 {get_target("http://u@b/"), 400},
                 {get_target("http://u:p@b/"), 400},
                 {get_target("http://b:/"), 400},
                 {get_target("http://b:0/"), 400},
                 {get_target("http://b:65536/"), 400},
                 {get_target("http://[::1/"), 400},
                 {"GET http://b/ HTTP/1.1\r\n\r\n", 400},
                 {"GET http://b/ HTTP/1.1\r\nHost: b\r\nHost: b\r\n\r\n", 400},
                 {"GET http://b/ HTTP/1.1\r\nHost: \r\n\r\n", 400}});
}

TEST_CASE("HTTP/1.1 has exactly one Host, HTTP/1.0 at most one") {
  check_accepted(
      {"GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.0\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nhOsT: a\r\n\r\n"});
  check_refused({{"GET / HTTP/1.1\r\n\r\n", 400},
                 {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400},
                 {"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nhost: b\r\n\r\n", 400},
                 {"GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", 400}});
  CHECK(scan_request("GET / HTTP/1.0\r\n\r\n").host == "");
}

TEST_CASE("Host is host and port") {
  check_accepted({with_host("a"), with_host("A.b-c_d~e.example."), with_host("127.0.0.1"),
                  with_host("127.0.0.1:1"), with_host("a:"), with_host("a:65535"), with_host("[2001:db8::1]"),
                  with_host("[::ffff:1.2.3.4]:80"), with_host(std::string(255, 'a'))});
  for (const char* host :
       {"",          " ",       "a b",      "a,b",          "a/b",     "u@a",      "a:b",
        "a:0",       "a:65536", "a:123456", "a:4294967376", "a:80:80", ":80",      "a:-1",
        "a:+1",      "[::1",    "::1",      "[]",           "[::1]x",  "[::1]80",  "[fe80::1%eth0]",
        "[1.2.3.4]", "\"a\"",   "a%20",     "a\\",          "[v1.a]",  "\xC3\xA9", "a?b",
        "a#b",       "[::1:80"}) {
    CAPTURE(host);
    CHECK(scan_request(with_host(host)).refusal == 400);
  }
  CHECK(scan_request(with_host(std::string(256, 'a'))).refusal == 400);
}

TEST_CASE("the name of a host is what stands before its port") {
  struct {
    const char* host;
    const char* name;
  } const cases[] = {{"a.example", "a.example"},
                     {"A.example:8080", "A.example"},
                     {"a:", "a"},
                     {"[2001:db8::1]", "[2001:db8::1]"},
                     {"[::1]:80", "[::1]"}};
  for (const auto& c : cases) {
    CAPTURE(c.host);
    CHECK(scan_request(with_host(c.host)).host_name == c.name);
  }
  CHECK(scan_request(get_target("http://B:8443/x")).host_name == "B");
  CHECK(scan_request(get_target("https://[::1]:1")).host_name == "[::1]");
  CHECK(scan_request("GET / HTTP/1.0\r\n\r\n").host_name == "");
}

TEST_CASE("a field name is a token right before its colon") {
  check_accepted({get_with("!#$%&'*+-.^`|~09azAZ: x\r\n"), get_with(std::string(256, 'n') + ": x\r\n")});
  check_refused({{get_with("X : y\r\n"), 400},
                 {get_with("X\t: y\r\n"), 400},
                 {get_with(": y\r\n"), 400},
                 {get_with("X\r\n"), 400},
                 {get_with("X y\r\n"), 400},
                 {get_with("X(: y\r\n"), 400},
                 {get_with("X\0: y\r\n"s), 400},
                 {get_with("X\xE9: y\r\n"), 400},
                 {get_with(std::string(257, 'n') + ": x\r\n"), 431}});
}

TEST_CASE("no line begins with whitespace") {
  check_refused({{"GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400},
                 {"GET / HTTP/1.1\r\n\tHost: a\r\n\r\n", 400},
                 {get_with("X: y\r\n z\r\n"), 400},
                 {get_with("X: y\r\n\tz\r\n"), 400},
                 {get_with("X: y\r\n \r\n"), 400},
                 {get_with("Transfer-Encoding:\r\n chunked\r\n"), 400}});
}

TEST_CASE("a value holds text only, its outer whitespace removed") {
  const verdict v = scan_request(get_with("A:\t  x \t y\t \r\nB:x\r\nC:  \t\r\nD: \x80\xFF\r\n"));
  const name_values expected{
      {"Host", "a.example"}, {"A", "x \t y"}, {"B", "x"}, {"C", ""}, {"D", "\x80\xFF"}};
  CHECK(v.fields == expected);
  for (int c = 0; c < 256; ++c) {
    const bool text = c == '\t' || c == 0x0D || (c >= 0x20 && c != 0x7F);  // CR is refused by what follows it
    if (text) continue;
    CAPTURE(c);
    for (const std::size_t at : {0U, 3U, 17U, 40U}) {
      std::string value(41, 'v');
      value[at] = static_cast<char>(c);
      CHECK(scan_request(get_with("X: " + value + "\r\n")).refusal == 400);
    }
  }
}

TEST_CASE("names with an underscore and names that other servers act on are dropped") {
  const verdict v = scan_request(get_with(
      "X_User: 1\r\nContent_Length: 5\r\nX-Forwarded-For_: 1\r\nX-Original-URL: /\r\nx-rewrite-url: /\r\n"
      "Proxy: p\r\nX-User: 2\r\n"));
  CHECK(v.status == scan_status::complete);
  const std::vector<std::string> expected{"X_User",         "Content_Length", "X-Forwarded-For_",
                                          "X-Original-URL", "x-rewrite-url",  "Proxy"};
  CHECK(v.dropped == expected);
  CHECK(v.fields.size() == 2);
  CHECK(v.framing == framing::none);
}

TEST_CASE("singletons come once, other names as often as they like") {
  for (const char* name :
       {"Content-Type", "Authorization", "Proxy-Authorization", "Upgrade", "Max-Forwards"}) {
    const std::string line = std::string(name) + ": 1\r\n";
    check_accepted({get_with(line)});
    check_refused({{get_with(line + line), 400}});
  }
  check_accepted(
      {get_with("Cookie: a\r\nCookie: b\r\nX-Forwarded-For: 1\r\nX-Forwarded-For: 2\r\nX: 1\r\nX: 1\r\n")});
}

TEST_CASE("the numbers and sizes of fields are limited") {
  const auto many = [](std::size_t n) {
    std::string lines;
    for (std::size_t i = 1; i < n; ++i) lines += "X: y\r\n";
    return get_with(lines);
  };
  check_accepted({many(100)});
  check_refused({{many(101), 431}});
  head_limits wide;
  wide.header_count = max_fields;
  CHECK(scan_request(many(max_fields), wide).status == scan_status::complete);
  CHECK(scan_request(many(max_fields + 1), wide).refusal == 431);

  const std::string longest_line = "X: " + std::string(16 * 1024 - 3, 'v');
  check_accepted({get_with(longest_line + "\r\n")});
  check_refused({{get_with(longest_line + "v\r\n"), 431}});

  const std::string start = "GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(16 * 1024 - 3, 'v') + "\r\nY: ";
  const std::string full = start + std::string(32 * 1024 - start.size() - 4, 'v') + "\r\n\r\n";
  CHECK(full.size() == 32 * 1024);
  check_accepted({full});
  CHECK(scan_request("\r\n\r\n" + full).status == scan_status::complete);
  check_refused({{start + std::string(32 * 1024 - start.size() - 3, 'v') + "\r\n\r\n", 431}});
  const std::string endless = start + std::string(40 * 1024, 'v');
  CHECK(scan_request(endless.substr(0, 32 * 1024 - 1)).status == scan_status::need_more);
  CHECK(scan_request(endless.substr(0, 32 * 1024)).refusal == 431);
  CHECK(scan_request("\r\n" + endless.substr(0, 32 * 1024)).refusal == 431);
}

TEST_CASE("small limits hold to the byte") {
  head_limits limits;
  limits.field_size = 12;
  CHECK(scan_request(get_with("X: 123456789\r\n").replace(16, 15, "Host: a"), limits).status ==
        scan_status::complete);
  CHECK(scan_request(get_with("X: 1234567890\r\n").replace(16, 15, "Host: a"), limits).refusal == 431);
  CHECK(scan_request(get_with("abcdefghijkl:\r\n").replace(16, 15, "Host: a"), limits).refusal == 431);
  CHECK(scan_request(get_with("abcdefghijk:\r\n").replace(16, 15, "Host: a"), limits).status ==
        scan_status::complete);
  limits = {};
  limits.target_size = 2;
  CHECK(scan_request(get_target("/a"), limits).status == scan_status::complete);
  CHECK(scan_request(get_target("/ab"), limits).refusal == 414);
}

TEST_CASE("Content-Length is one decimal number") {
  check_accepted({post_with("Content-Length: 0\r\n"), post_with("Content-Length: \t7 \r\n"),
                  post_with("content-length:0000000000000000005\r\n"), get_with("Content-Length: 3\r\n"),
                  post_with("Content-Length: 9223372036854775807\r\n")});
  const verdict v = scan_request(post_with("Content-Length: 007\r\n"));
  CHECK(v.framing == framing::content_length);
  CHECK(v.content_length == 7);
  for (const char* value :
       {"", "+1", "-1", "0x1", "1,1", "1, 1", "1 1", "1;", "1.0", "a", "1a", "9223372036854775808",
        "99999999999999999999", "00000000000000000001", "\"1\"", "1_0"}) {
    CAPTURE(value);
    CHECK(scan_request(post_with("Content-Length: " + std::string(value) + "\r\n")).refusal == 400);
  }
  check_refused({{post_with("Content-Length: 5\r\nContent-Length: 5\r\n"), 400},
                 {post_with("Content-Length: 5\r\nX: y\r\ncontent-LENGTH: 6\r\n"), 400}});
}

TEST_CASE("Transfer-Encoding is chunked and nothing else") {
  for (const char* value : {"chunked", "CHUNKED", " Chunked\t"}) {
    const verdict v = scan_request(post_with("Transfer-Encoding: " + std::string(value) + "\r\n"));
    CHECK(v.status == scan_status::complete);
    CHECK(v.framing == framing::chunked);
  }
  for (const char* value : {"gzip, chunked", "gzip,deflate , Chunked", "identity, chunked"}) {
    CHECK(scan_request(post_with("Transfer-Encoding: " + std::string(value) + "\r\n")).refusal == 501);
  }
  for (const char* value :
       {"", "identity", "gzip", "chunked, gzip", "chunked, chunked", "chunked,", ",chunked", "gzip,,chunked",
        "chunked;q=1", "gzip;q=1, chunked", "\"chunked\"", "chunked chunked", "xchunked", "chunke",
        "chunked\x80", "gzip chunked", "chunked, "}) {
    CAPTURE(value);
    CHECK(scan_request(post_with("Transfer-Encoding: " + std::string(value) + "\r\n")).refusal == 400);
  }
  check_refused({{post_with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400},
                 {post_with("Transfer-Encoding: gzip, chunked\r\nTransfer-Encoding: chunked\r\n"), 400},
                 {post_with("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), 400},
                 {post_with("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), 400},
                 {post_with("Content-Length: 0\r\nTransfer-Encoding: gzip, chunked\r\n"), 400},
                 {post_with("Transfer-Encoding: gzip, chunked\r\nContent-Length: 0\r\n"), 400},
                 {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
                 {"POST / HTTP/1.0\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 400}});
}

TEST_CASE("without framing fields there is no body, whatever the method") {
  CHECK(scan_request(post_with("")).framing == framing::none);
  CHECK(scan_request(get_with("Transfer-Encoding: chunked\r\n")).framing == framing::chunked);
}

TEST_CASE("Connection is a list of tokens and close wins") {
  CHECK(scan_request(get_with("Connection: keep-alive\r\n")).keep_alive);
  CHECK(scan_request(get_with("Connection: , ,\r\n")).keep_alive);
  CHECK(scan_request(get_with("Connection:\r\n")).keep_alive);
  CHECK_FALSE(scan_request(get_with("Connection: Close\r\n")).keep_alive);
  CHECK_FALSE(scan_request(get_with("Connection: keep-alive,close\r\n")).keep_alive);
  CHECK_FALSE(scan_request(get_with("Connection: close\r\nConnection: keep-alive\r\n")).keep_alive);
  CHECK_FALSE(scan_request("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").keep_alive);
  CHECK_FALSE(scan_request(get_with("Connection: keep-alive, close\r\n")).nominates);
  CHECK(scan_request(get_with("Connection: X-Gone\r\n")).nominates);
  CHECK(scan_request(get_with("Connection: X-Gone\r\nConnection: close\r\n")).nominates);
  check_refused({{get_with("Connection: a b\r\n"), 400},
                 {get_with("Connection: a;b\r\n"), 400},
                 {get_with("Connection: \"close\"\r\n"), 400},
                 {get_with("Connection: close\x80\r\n"), 400}});
  std::string options = "a";
  for (std::size_t i = 1; i < max_connection_options; ++i) options += ",a";
  check_accepted({get_with("Connection: " + options + "\r\n")});
  check_refused({{get_with("Connection: " + options + ",a\r\n"), 431},
                 {get_with("Connection: " + options + "\r\nConnection: a\r\n"), 431}});
}

TEST_CASE("Expect is 100-continue, and counts only when a body comes") {
  CHECK(scan_request(post_with("Expect: 100-Continue\r\nContent-Length: 5\r\n")).expect_continue);
  CHECK(scan_request(post_with("Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n")).expect_continue);
  CHECK_FALSE(scan_request(post_with("Expect: 100-continue\r\nContent-Length: 0\r\n")).expect_continue);
  CHECK_FALSE(scan_request(get_with("Expect: 100-continue\r\n")).expect_continue);
  CHECK_FALSE(scan_request(post_with("Content-Length: 5\r\n")).expect_continue);
  const verdict old = scan_request("POST / HTTP/1.0\r\nExpect: whatever\r\nContent-Length: 5\r\n\r\n");
  CHECK(old.status == scan_status::complete);
  CHECK_FALSE(old.expect_continue);
  check_refused({{post_with("Expect: 100-continue, x\r\n"), 417},
                 {post_with("Expect: 200-ok\r\n"), 417},
                 {post_with("Expect:\r\n"), 417},
                 {post_with("Expect: 100-continue\r\nExpect: 100-continue\r\n"), 417}});
}

TEST_CASE("Max-Forwards counts on OPTIONS alone") {
  const auto hops_of = [](const std::string& bytes) {
    const auto head = std::make_unique<request_head>();
    head->begin({});
    REQUIRE(head->scan(bytes) == scan_status::complete);
    return head->hops;
  };
  const auto options = [](const std::string& value) {
    return "OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards:" + value + "\r\n\r\n";
  };
  CHECK(hops_of(options(" 0")) == 0);
  CHECK(hops_of(options("\t010 ")) == 10);
  CHECK(hops_of(options(" 9223372036854775806")) == 9'223'372'036'854'775'806U);
  for (const char* huge : {" 9223372036854775807", " 9223372036854775808", " 99999999999999999999999999"}) {
    CHECK(hops_of(options(huge)) == 9'223'372'036'854'775'807U);
  }
  CHECK(hops_of("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n") == any_hops);
  CHECK(hops_of(get_with("Max-Forwards: 0\r\n")) == any_hops);
  CHECK(hops_of(get_with("Max-Forwards: none\r\n")) == any_hops);
  for (const char* wrong : {"", " -1", " 1,2", " 1 2", " 0x1", " one"}) {
    CHECK(scan_request(options(wrong)).refusal == 400);
  }
}

TEST_CASE("the first impossible byte is refused without waiting for more") {
  CHECK(refused_after("\x16\x03\x01\x02\x00\x01"s) == 1);
  CHECK(refused_after("GET /\x01 HTTP") == 6);
  CHECK(refused_after("GET / XTTP/1.1\r\n") == 7);
  CHECK(refused_after("GET / HTTP/1.1\nHost") == 15);
  CHECK(refused_after("CONNECT a:80") == 8);
  CHECK(refused_after("GET / HTTP/1.1\r\n X") == 17);
  CHECK(refused_after("GET / HTTP/1.1\r\nX y") == 18);
  CHECK(refused_after("GET / HTTP/1.1\r\nX: \x01y") == 20);
  CHECK(refused_after("GET / HTTP/1.1\r\nHost: a b\r\nX: y") == 27);
}

TEST_CASE("refusals name a documented type and end the connection") {
  struct {
    const char* bytes;
    int status;
    const char* type;
  } const cases[] = {{"@", 400, "bad_request"},
                     {"get ", 501, "not_implemented"},
                     {"TRACE ", 405, "method_not_allowed"},
                     {"GET / HTTP/1.9\r\n", 505, "version_not_supported"},
                     {"GET / HTTP/1.1\r\nExpect: x\r\n", 417, "expectation_failed"}};
  for (const auto& c : cases) {
    const verdict v = scan_request(c.bytes);
    CHECK(v.refusal == c.status);
    CHECK(v.type == c.type);
    CHECK_FALSE(v.message.empty());
  }
  head_limits tight;
  tight.target_size = 1;
  tight.header_size = 24;
  CHECK(scan_request("GET /ab", tight).type == "uri_too_long");
  CHECK(scan_request("GET / HTTP/1.1\r\nXXXXXXXXXXXXX", tight).type == "headers_too_large");
}

TEST_CASE("field names are known in any case") {
  struct {
    const char* name;
    header_id id;
  } const cases[] = {
      {"host", header_id::host},
      {"CONTENT-LENGTH", header_id::content_length},
      {"Transfer-Encoding", header_id::transfer_encoding},
      {"Connection", header_id::connection},
      {"Expect", header_id::expect},
      {"Upgrade", header_id::upgrade},
      {"TE", header_id::te},
      {"Trailer", header_id::trailer},
      {"Keep-Alive", header_id::keep_alive},
      {"Proxy-Connection", header_id::proxy_connection},
      {"Proxy-Authenticate", header_id::proxy_authenticate},
      {"Proxy-Authorization", header_id::proxy_authorization},
      {"Proxy", header_id::proxy},
      {"HTTP2-Settings", header_id::http2_settings},
      {"X-Forwarded-For", header_id::x_forwarded_for},
      {"X-Forwarded-Proto", header_id::x_forwarded_proto},
      {"X-Forwarded-Host", header_id::x_forwarded_host},
      {"X-Forwarded-Port", header_id::x_forwarded_port},
      {"X-Forwarded-Prefix", header_id::x_forwarded_other},
      {"x-FORWARDED-s", header_id::x_forwarded_other},
      {"Forwarded", header_id::forwarded},
      {"X-Real-IP", header_id::x_real_ip},
      {"X-Original-URL", header_id::x_original_url},
      {"X-Rewrite-URL", header_id::x_rewrite_url},
      {"X-Request-ID", header_id::x_request_id},
      {"Via", header_id::via},
      {"Content-Type", header_id::content_type},
      {"Authorization", header_id::authorization},
      {"Cookie", header_id::cookie},
      {"Max-Forwards", header_id::max_forwards},
      {"Date", header_id::date},
      {"Retry-After", header_id::retry_after},
      {"RateLimit", header_id::ratelimit},
      {"RateLimit-Policy", header_id::ratelimit_policy},
      {"X-RateLimit-Limit", header_id::x_ratelimit_limit},
      {"X-RateLimit-Remaining", header_id::x_ratelimit_remaining},
      {"X-RateLimit-Reset", header_id::x_ratelimit_reset},
      {"Traceparent", header_id::traceparent},
      {"Server", header_id::server},
      {"Set-Cookie", header_id::set_cookie},
      {"x", header_id::other},
      {"", header_id::other},
      {"Hosts", header_id::other},
      {"hist", header_id::other},
      {"X-Forwarded-", header_id::other},
      {"X-Forwarded", header_id::other},
  };
  for (const auto& c : cases) {
    CAPTURE(c.name);
    CHECK(identify_header(c.name) == c.id);
  }
}

}  // namespace weir::http::test
