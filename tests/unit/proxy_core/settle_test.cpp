// SPDX-License-Identifier: Apache-2.0
// The cost of a response, read while it passes, however its bytes are cut.
#include "proxy/settle/body_cost_reader.hpp"
#include "proxy/settle/cost_meter.hpp"

#include <doctest/doctest.h>
#include <random>
#include <string>
#include <zlib.h>

using namespace weir;
using namespace weir::proxy::settle;

namespace {

constexpr const char* json_type = "application/json";
constexpr const char* stream_type = "text/event-stream; charset=utf-8";

std::optional<std::int64_t> pieces(std::initializer_list<std::string_view> parts, std::string_view pointer,
                                   std::string_view type, std::string_view coding = "",
                                   bool complete = true) {
  body_cost_reader reader(pointer, type, coding);
  for (const std::string_view part : parts) reader.feed(part);
  return reader.finish(complete);
}

std::optional<std::int64_t> whole(std::string_view body, std::string_view pointer = "/usage/total_tokens",
                                  std::string_view type = json_type, std::string_view coding = "") {
  return pieces({body}, pointer, type, coding);
}

/// The answer for every place where the body can be cut once, and for a cut at every byte; all must agree.
std::optional<std::int64_t> cut_everywhere(std::string_view body, std::string_view pointer,
                                           std::string_view type, std::string_view coding = "") {
  const auto expected = whole(body, pointer, type, coding);
  for (std::size_t at = 0; at <= body.size(); ++at) {
    CAPTURE(at);
    CHECK(pieces({body.substr(0, at), body.substr(at)}, pointer, type, coding) == expected);
  }
  body_cost_reader reader(pointer, type, coding);
  for (const char& c : body) reader.feed({&c, 1});
  CHECK(reader.finish(true) == expected);
  return expected;
}

std::string gzip(std::string_view text) {
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string out(compressBound(text.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(out.size() - stream.avail_out);
  deflateEnd(&stream);
  return out;
}

const std::string answer =
    R"({"id":"x\"{[","choices":[{"usage":{"total_tokens":1}},{"text":"a\\"}],"usage":{"prompt":5,"total_tokens":1234}, "n":[1.5e-3,true,null]})";

}  // namespace

TEST_CASE("a JSON pointer finds its integer wherever the body is cut") {
  CHECK(cut_everywhere(answer, "/usage/total_tokens", json_type) == 1234);
  CHECK(cut_everywhere(answer, "/choices/0/usage/total_tokens", json_type) == 1);
  CHECK(cut_everywhere(" [ 10 , 20,30 ] ", "/1", json_type) == 20);
  CHECK(cut_everywhere(R"({"a/b":{"m~n":{"":7}}})", "/a~1b/m~0n/", json_type) == 7);
  CHECK(cut_everywhere(R"({"\u00e9\ud83d\ude00":8})", "/é😀", json_type) == 8);
}

TEST_CASE("what is no plain integer at the place is nothing") {
  for (const char* value : {"-1", "1.0", "1e3", "\"5\"", "null", "true", "{}", "[5]", "-0", "1.5"}) {
    CAPTURE(value);
    CHECK_FALSE(whole(std::string(R"({"usage":{"total_tokens":)") + value + "}}"));
  }
  CHECK_FALSE(whole(R"({"usage":5})"));
  CHECK_FALSE(whole(R"({"usage":null})"));
  CHECK_FALSE(whole(R"({"x":{"usage":{"total_tokens":5}}})"));
  CHECK_FALSE(whole("[]", "/0"));
  CHECK_FALSE(whole("[1,2]", "/01"));
  CHECK_FALSE(whole("[1,2]", "/-"));
  CHECK(whole("5", "") == 5);
}

TEST_CASE("a number too large to be a cost counts as the largest") {
  CHECK(whole(R"({"a":99999999999999999999999999999999999999999999})", "/a") == std::int64_t{1} << 62);
  CHECK(whole(R"({"a":4611686018427387904})", "/a") >= std::int64_t{1} << 61);
  CHECK(whole(R"({"a":0})", "/a") == 0);
}

TEST_CASE("of a repeated member the last counts, also when it is no integer") {
  CHECK(whole(R"({"a":1,"a":2})", "/a") == 2);
  CHECK_FALSE(whole(R"({"a":1,"a":"x"})", "/a"));
  CHECK_FALSE(whole(R"({"u":{"a":1},"u":null})", "/u/a"));
}

TEST_CASE("a text that is no JSON yields nothing, wherever the integer stood") {
  for (const char* text : {"",
                           " ",
                           "{\"a\":1",
                           "{\"a\":1}}",
                           "{\"a\":1} x",
                           "{\"a\":1,}",
                           "{a:1}",
                           "{\"a\":01}",
                           "{\"a\":1 2}",
                           "{\"a\":1]",
                           "{\"a\" 1}",
                           "{\"a\":1.}",
                           "{\"a\":1e}",
                           "{\"a\":tru}",
                           "{\"a\":1,\"b\":\"\n\"}",
                           "{\"a\":1,\"b\":\"\\x\"}",
                           "{\"a\":1,\"b\":\"\\u12g4\"}",
                           "nul",
                           "[1,]",
                           "{\"a\":+1}",
                           "'a'"}) {
    CAPTURE(text);
    CHECK_FALSE(whole(text, "/a"));
    CHECK_FALSE(cut_everywhere(text, "/a", json_type));
  }
  const std::string deep = std::string(100, '[') + std::string(100, ']');
  CHECK_FALSE(whole("{\"a\":1,\"b\":" + deep + "}", "/a"));
  CHECK(whole("{\"a\":1,\"b\":" + std::string(63, '[') + std::string(63, ']') + "}", "/a") == 1);
}

TEST_CASE("the first MiB of a JSON body is inspected, what follows is not") {
  const std::string filler = ",\"f\":\"" + std::string(body_cost_reader::max_inspected, 'x') + "\"";
  CHECK(whole("{\"a\":7" + filler + "}", "/a") == 7);
  CHECK_FALSE(whole("{\"b\":7" + filler + ",\"a\":1}", "/a"));
  CHECK(whole(gzip("{\"a\":7" + filler + "}"), "/a", json_type, "gzip") == 7);
}

TEST_CASE("a body that was cut short shows what it had shown") {
  CHECK(pieces({R"({"a":7,"b")"}, "/a", json_type, "", false) == 7);
  CHECK_FALSE(pieces({R"({"a":7)"}, "/a", json_type, "", false));
  CHECK(pieces({"data: {\"a\":7}\n\ndata: {\"a\":8}"}, "/a", stream_type, "", false) == 7);
}

TEST_CASE("an event stream counts by the last data that has the pointer, wherever it is cut") {
  const std::string stream =
      ": ping\n\ndata: {\"usage\":null,\"x\":1}\n\nevent: m\ndata:{\"usage\":{\"total_tokens\":10}}\n\n"
      "data: {\"usage\":{\ndata: \"total_tokens\": 20}}\nid: 3\n\ndata: {\"usage\":null}\n\ndata: [DONE]\n\n";
  CHECK(cut_everywhere(stream, "/usage/total_tokens", stream_type) == 20);
  std::string crlf;
  for (const char c : stream) crlf += c == '\n' ? std::string("\r\n") : std::string(1, c);
  CHECK(cut_everywhere(crlf, "/usage/total_tokens", stream_type) == 20);
  std::string cr = stream;
  for (char& c : cr) c = c == '\n' ? '\r' : c;
  CHECK(cut_everywhere(cr, "/usage/total_tokens", stream_type) == 20);
  CHECK(cut_everywhere("data: {\"a\":3}", "/a", stream_type) == 3);
  CHECK(cut_everywhere("dat: {\"a\":3}\n\ndatax: {\"a\":4}\n\n data: {\"a\":5}\n\n", "/a", stream_type) ==
        std::nullopt);
}

TEST_CASE("one event of a long stream is bounded, the stream is not") {
  std::string stream;
  const std::string event = "data: {\"t\":\"" + std::string(100'000, 'x') + "\"}\n\n";
  for (int i = 0; i < 30; ++i) stream += event;
  stream += "data: {\"a\":9}\n\n";
  stream += "data: {\"a\":10,\"t\":\"" + std::string(body_cost_reader::max_inspected, 'x') + "\"}\n\n";
  CHECK(whole(stream, "/a", stream_type) == 9);
}

TEST_CASE("gzip is read through, wherever it is cut") {
  CHECK(cut_everywhere(gzip(answer), "/usage/total_tokens", json_type, "gzip") == 1234);
  const std::string stream = "data: {\"a\":1}\n\ndata: {\"a\":2}\n\n";
  CHECK(cut_everywhere(gzip(stream), "/a", "TEXT/Event-Stream", " GZIP ") == 2);
  CHECK(cut_everywhere(gzip("{\"a\"") + gzip(":5}"), "/a", json_type, "x-gzip") == 5);
}

TEST_CASE("a coding that is cut, corrupt or unknown says nothing") {
  const std::string coded = gzip(answer);
  CHECK_FALSE(whole(coded.substr(0, coded.size() - 1), "/usage/total_tokens", json_type, "gzip"));
  std::string corrupt = coded;
  corrupt[corrupt.size() - 6] ^= 1;  // of the check sum
  CHECK_FALSE(whole(corrupt, "/usage/total_tokens", json_type, "gzip"));
  CHECK_FALSE(whole(answer, "/usage/total_tokens", json_type, "gzip"));
  CHECK_FALSE(whole(answer, "/usage/total_tokens", json_type, "br"));
  CHECK_FALSE(whole(coded, "/usage/total_tokens", json_type, "gzip, gzip"));
  CHECK(whole(answer, "/usage/total_tokens", json_type, "identity") == 1234);
}

TEST_CASE("a bomb is inflated no further than what is inspected") {
  const std::string bomb = gzip("{\"a\":1,\"b\":\"" + std::string(64 * 1024 * 1024, 'x') + "\"}");
  CHECK(bomb.size() < 100'000);
  CHECK(whole(bomb, "/a", json_type, "gzip") == 1);
}

TEST_CASE("random bytes at random cuts never disagree with the whole") {
  std::mt19937 random(7);
  constexpr std::string_view alphabet = "{}[]\",:\\u0123456789eE.+- tfnaled\n\r";
  for (int round = 0; round < 3000; ++round) {
    std::string body =
        round % 2 == 0 ? answer.substr(0, random() % answer.size()) : std::string("data: {\"a\":1}\n\n");
    for (std::size_t i = random() % 40; i > 0; --i)
      body.insert(random() % (body.size() + 1), 1, alphabet[random() % alphabet.size()]);
    const std::size_t a = random() % (body.size() + 1);
    const std::size_t b = a + random() % (body.size() - a + 1);
    const std::string_view text = body;
    const char* type = round % 2 == 0 ? json_type : stream_type;
    CAPTURE(body);
    CHECK(pieces({text.substr(0, a), text.substr(a, b - a), text.substr(b)}, "/a", type) ==
          whole(text, "/a", type));
  }
}

TEST_CASE("a header is a cost when it is digits and nothing else") {
  CHECK(header_cost("12") == 12);
  CHECK(header_cost(" 12\t") == 12);
  CHECK(header_cost("007") == 7);
  CHECK(header_cost("99999999999999999999999999") >= std::int64_t{1} << 61);
  for (const char* value : {"", " ", "-1", "+1", "1.0", "1 2", "0x1", "1e3", "a"}) {
    CAPTURE(value);
    CHECK_FALSE(header_cost(value));
  }
}

namespace {

struct response {
  explicit response(std::string text) : bytes(std::move(text)) {
    head.begin(false);
    REQUIRE(head.scan(bytes) == http::scan_status::complete);
  }
  std::string bytes;
  http::response_head head;
};

limiter::rule rule_with(limiter::response_cost::source actual, std::string name = "") {
  limiter::rule r;
  r.response_cost = limiter::response_cost{.actual = actual, .name = std::move(name), .max = 1000};
  return r;
}

}  // namespace

TEST_CASE("a meter reads what each rule of its request wants") {
  using source = limiter::response_cost::source;
  const limiter::rule header = rule_with(source::header, "x-cost");
  const limiter::rule json = rule_with(source::json_pointer, "/a");
  const limiter::rule sent = rule_with(source::request_bytes);
  const limiter::rule received = rule_with(source::response_bytes);
  const limiter::rule both = rule_with(source::both_bytes);
  const limiter::rule plain;
  std::vector<limiter::charge> charges;
  for (const limiter::rule* r : {&header, &plain, &json, &sent, &received, &both})
    charges.push_back({.matched = r, .subject = {}});
  const response r(
      "HTTP/1.1 200 OK\r\nX-Cost: 41\r\nContent-Type: application/json\r\nContent-Length: 8\r\n\r\n");

  cost_meter meter;
  CHECK_FALSE(meter.actual(received));  // no response yet
  meter.begin(charges, r.head, r.bytes);
  CHECK(meter.reads_body());
  meter.body("{\"a\"");
  meter.body(":42}");
  meter.end(true, 3, 8);
  CHECK(meter.actual(header) == 41);
  CHECK(meter.actual(json) == 42);
  CHECK(meter.actual(sent) == 3);
  CHECK(meter.actual(received) == 8);
  CHECK(meter.actual(both) == 11);
  CHECK_FALSE(meter.actual(plain));
  meter.reset();
  CHECK_FALSE(meter.reads_body());
  CHECK_FALSE(meter.actual(header));
}

TEST_CASE("a header given twice is no cost") {
  const limiter::rule header = rule_with(limiter::response_cost::source::header, "x-cost");
  const limiter::charge charge{.matched = &header, .subject = {}};
  const response r("HTTP/1.1 200 OK\r\nX-Cost: 41\r\nx-cost: 1\r\nContent-Length: 0\r\n\r\n");
  cost_meter meter;
  meter.begin({&charge, 1}, r.head, r.bytes);
  CHECK_FALSE(meter.reads_body());
  meter.end(true, 0, 0);
  CHECK_FALSE(meter.actual(header));
}
