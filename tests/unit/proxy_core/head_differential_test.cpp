// SPDX-License-Identifier: Apache-2.0
// Two more opinions: what the scanner accepts, Boost.Beast (which accepts much more) and a slow reader
// written for this purpose accept with the same parts.
#include "tests/support/beast_opinion.hpp"
#include "tests/unit/proxy_core/head_support.hpp"

#include <array>
#include <random>
#include <string>
#include <string_view>

namespace weir::http::test {
namespace {

using namespace beast_opinion;

bool second_reader_agrees(const request_head& head, std::string_view bytes) {
  const auto plain = plain_http::read_request_head(bytes);
  return plain && plain->size == head.size() && plain->first == head.method(bytes) &&
         same_target(head, bytes, plain->second) && plain->fields == fields_of(head, bytes);
}

bool second_reader_agrees(const response_head& head, std::string_view bytes) {
  const auto plain = plain_http::read_response_head(bytes);
  return plain && plain->size == head.size() && plain->second == std::to_string(head.status) &&
         plain->third == head.reason(bytes) && plain->fields == fields_of(head, bytes);
}

std::string post_with_te(std::string_view coding) {
  return "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: " + std::string(coding) + "\r\n\r\n";
}

/// Changes, removes, doubles or inserts a few bytes, or copies a piece of another seed.
template <std::size_t N>
std::string mutate(const std::array<std::string_view, N>& seeds, std::mt19937& random) {
  static constexpr char characters[] =
      "\r\n\r\n\r\n:: \t,;\"/?#*%[]@\\\0\x7F\x80\xFF_-.=+0123456789aAcChHxXkKeEnNtT";
  static constexpr std::string_view alphabet(characters, sizeof characters - 1);
  std::string bytes(seeds[random() % N]);
  for (auto edits = 1 + random() % 3; edits > 0; --edits) {
    const std::size_t at = random() % bytes.size();
    const char c = alphabet[random() % alphabet.size()];
    switch (random() % 5) {
      case 0:
        bytes[at] = c;
        break;
      case 1:
        bytes.erase(at, 1 + random() % 3);
        break;
      case 2:
        bytes.insert(at, 1, c);
        break;
      case 3:
        bytes.insert(at, bytes.substr(at, 1 + random() % 20));
        break;
      default: {
        const std::string_view other = seeds[random() % N];
        const std::size_t line = other.find("\r\n", random() % other.size());
        if (line != std::string_view::npos)
          bytes.insert(at, other.substr(line, other.find("\r\n", line + 2) - line));
      }
    }
    if (bytes.empty()) return "\r";
  }
  return bytes;
}

constexpr std::array<std::string_view, 8> requests{
    "GET /a/b?c=d HTTP/1.1\r\nHost: a.example:80\r\nUser-Agent: x/1 (y; z)\r\nAccept: */*\r\n\r\n",
    "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Type: text/plain; "
    "charset=\"utf-8\"\r\n\r\nhello",
    "PUT /p HTTP/1.1\r\nHost: [::1]:8080\r\nTransfer-Encoding: chunked\r\nTrailer: t\r\n\r\n0\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, x-a\r\nX-A: \xC3\xA9\r\n\r\n",
    "GET http://b.example/x HTTP/1.1\r\nHost: b.example\r\nConnection: close\r\nX-Empty:\r\n\r\n",
    "HEAD /%20;p HTTP/1.0\r\nCookie: a=b; c=d\r\nCookie: e\r\nX_U: 1\r\n\r\n",
    "PATCH / HTTP/1.1\r\nHost:a\r\nExpect: 100-continue\r\nContent-Length:\t007 \r\nMax-Forwards: 1\r\n\r\n",
    "\r\nPROPFIND //x HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: h2c\r\nTE: trailers\r\nContent-Length: "
    "0\r\n\r\n"};

constexpr std::array<std::string_view, 5> responses{
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nDate: d\r\n\r\nok",
    "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\nConnection: close, x-a\r\nX-A: "
    "b\r\n\r\n0\r\n\r\n",
    "HTTP/1.0 304 \r\nContent-Length: 9\r\nETag: \"x\"\r\n\r\n",
    "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n",
    "HTTP/1.1 500 \xC3\xA9\r\nServer:x\r\nX_Y:  z \r\nRetry-After: 1\r\n\r\n"};

template <typename Head, std::size_t N, typename Begin>
std::size_t compare(const std::array<std::string_view, N>& seeds, Begin begin, int rounds) {
  std::mt19937 random(20'260'101);
  const auto head = std::make_unique<Head>();
  std::size_t accepted = 0;
  for (int i = 0; i < rounds; ++i) {
    const std::string bytes =
        i < static_cast<int>(N) ? std::string(seeds[static_cast<std::size_t>(i)]) : mutate(seeds, random);
    begin(*head);
    if (head->scan(bytes) != scan_status::complete) continue;
    ++accepted;
    const std::string why = disagreement(*head, std::string_view(bytes).substr(0, head->size()));
    if (!why.empty()) FAIL_CHECK(why, ": ", bytes);
    if (!second_reader_agrees(*head, bytes)) FAIL_CHECK("the second reader disagrees: ", bytes);
  }
  return accepted;
}

}  // namespace

TEST_CASE("Beast and a second reader agree with every accepted request of a hundred thousand mutated ones") {
  const auto begin = [](request_head& h) { h.begin({}); };
  CHECK(compare<request_head>(requests, begin, 100'000) > 20'000);
}

TEST_CASE("Beast and a second reader agree with every accepted response of fifty thousand mutated ones") {
  const auto begin = [](response_head& h) { h.begin(false); };
  CHECK(compare<response_head>(responses, begin, 50'000) > 10'000);
}

TEST_CASE("requests that Beast accepts and weir refuses") {
  struct {
    const char* reason;
    std::string bytes;
  } const traps[] = {
      {"coding that does not end in chunked", post_with_te("gzip")},
      {"unknown coding", post_with_te("identity")},
      {"chunked with junk", post_with_te("chunked;q=1")},
      {"chunked in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"},
      {"equal lengths twice", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n"},
      {"no Host", "GET / HTTP/1.1\r\n\r\n"},
      {"two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"},
      {"garbage Host", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"},
      {"fragment", "GET /#x HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"target without slash", "GET x HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"8-bit target", "GET /\xC3\xA9 HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"folded line", "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n"},
      {"TRACE", "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n"},
  };
  for (const auto& trap : traps) {
    CAPTURE(trap.reason);
    CHECK(accepts<request_parser>(trap.bytes));
    CHECK(scan_request(trap.bytes).status == scan_status::refused);
  }
}

}  // namespace weir::http::test
