// SPDX-License-Identifier: Apache-2.0
#include "proxy/replay/log_format.hpp"

#include <doctest/doctest.h>
#include <string>

using namespace weir::replay;

namespace {

/// A line and what was read of it, which points into the line.
struct read_line {
  std::string text;
  logged_request request;
  line_problem problem;
  line_kind kind;

  read_line(const log_format& format, std::string line) : text(std::move(line)) {
    kind = format.read(text, request, problem);
  }
};

log_format named(std::string_view name) {
  return log_format::named(name).value();
}

constexpr std::int64_t ten_o_clock = 1'795'860'000'000'000;  // 2026-11-28T10:00:00Z

constexpr const char* weir_line =
    R"({"ts":"2026-11-28T10:00:00.250Z","request_id":"1f","client_ip":"203.0.113.9","peer_ip":"10.0.0.1",)"
    R"("user_hash":"0123456789abcdef","method":"GET","path":"/v1/search","query":"q=a%20b","host":"api.example",)"
    R"("proto":"HTTP/1.1","listener":"edge","route":"search","upstream":"api","status":429,"decision":"deny",)"
    R"("rule":"per-ip","limit":100,"remaining":0,"retry_after_ms":600.000,"duration_ms":1.250,"attempts":0,)"
    R"("bytes_in":7,"bytes_out":120,"headers":{"X-Batch-Size":"12"}})";

constexpr const char* combined_line =
    R"(203.0.113.9 - alice [28/Nov/2026:11:00:00 +0100] "GET /v1/search?q=1 HTTP/1.1" 200 512 "-" "curl/8.1 \"x\"")";

constexpr const char* envoy_line =
    R"({"start_time":"2026-11-28T10:00:00.250Z","method":"POST","path":"/login?next=%2F","protocol":"HTTP/2",)"
    R"("response_code":401,"response_flags":"-","bytes_received":12,"bytes_sent":34,"duration":56,)"
    R"("x_forwarded_for":"198.51.100.7, 203.0.113.9","authority":"www.example:8443","upstream_host":null,)"
    R"("downstream_remote_address":"203.0.113.9:51234","user_agent":"k6"})";

constexpr const char* caddy_line =
    R"({"level":"info","ts":1795860000.25,"logger":"http.log.access","msg":"handled request","request":)"
    R"({"remote_ip":"10.0.0.1","remote_port":"1","client_ip":"203.0.113.9","proto":"HTTP/2.0","method":"GET",)"
    R"("host":"www.example","uri":"/a?b=1","headers":{"User-Agent":["curl"],"X-Two":["1","2"]},)"
    R"("tls":{"resumed":false}},"bytes_read":3,"user_id":"","duration":0.125,"size":10900,"status":200,)"
    R"("resp_headers":{"Server":["Caddy"]}})";

constexpr const char* ecs_line =
    R"({"@timestamp":"2026-11-28T10:00:00.250Z","client":{"ip":"203.0.113.9"},"http":{"request":{"method":"PUT",)"
    R"("bytes":11},"response":{"status_code":201,"bytes":22},"version":"1.1"},"url":{"path":"/x","query":"y=1",)"
    R"("domain":"api.example"},"event":{"duration":1500000},"weir":{"decision":"allow","route":"x"}})";

}  // namespace

TEST_CASE("a line of weir tells everything that a replay asks") {
  const read_line line(named("weir"), weir_line);
  REQUIRE(line.kind == line_kind::request);
  const logged_request& r = line.request;
  CHECK(r.time_us == ten_o_clock + 250'000);
  CHECK(r.resolution_us == 1000);
  CHECK(r.duration_us == 1250);
  CHECK(r.arrival_us() == ten_o_clock + 249'000);  // 248.75 ms, rounded up to what the log's time can say
  CHECK(r.client == "203.0.113.9");
  CHECK(r.user == "0123456789abcdef");
  CHECK(r.method == "GET");
  CHECK(r.target == "/v1/search");
  CHECK(r.query == "q=a%20b");
  CHECK(r.host == "api.example");
  CHECK(r.route == "search");
  CHECK(r.status == 429);
  CHECK(r.decision == logged_decision::deny);
  CHECK(r.rule == "per-ip");
  CHECK(r.bytes_in == 7);
  CHECK(r.bytes_out == 120);
  REQUIRE(r.headers.size() == 1);
  CHECK(r.headers[0].name == "x-batch-size");
  CHECK(r.headers[0].value == "12");
}

TEST_CASE("a combined line is read with its quotes and its time zone") {
  const read_line line(named("combined"), combined_line);
  REQUIRE(line.kind == line_kind::request);
  const logged_request& r = line.request;
  CHECK(r.time_us == ten_o_clock);
  CHECK(r.resolution_us == 1'000'000);
  CHECK(r.peer == "203.0.113.9");
  CHECK(r.method == "GET");
  CHECK(r.target == "/v1/search?q=1");
  CHECK(r.status == 200);
  CHECK(r.bytes_out == 512);
  REQUIRE(r.headers.size() == 1);  // a referer of "-" is none
  CHECK(r.headers[0].value == "curl/8.1 \"x\"");
}

TEST_CASE("a line of clf begins and ends in whole seconds, so that one second keeps the order of its lines") {
  const auto line_of = [](const char* duration_ms) {
    return std::string(
               "203.0.113.9 - - [28/Nov/2026:10:00:00 +0000] \"GET / HTTP/1.1\" 200 512 \"-\" \"-\" ") +
           "\"allow\" \"-\" " + duration_ms + " \"1f\"";
  };
  CHECK(read_line(named("clf"), line_of("999.000")).request.end_us() == ten_o_clock);
  const read_line slow(named("clf"), line_of("2500.000"));
  CHECK(slow.request.arrival_us() == ten_o_clock);
  CHECK(slow.request.end_us() == ten_o_clock + 2'000'000);
}

TEST_CASE("a line of Envoy tells when a request began") {
  const read_line line(named("envoy"), envoy_line);
  REQUIRE(line.kind == line_kind::request);
  const logged_request& r = line.request;
  CHECK(r.arrival_us() == ten_o_clock + 250'000);
  CHECK(r.end_us() == ten_o_clock + 306'000);
  CHECK(r.peer == "203.0.113.9:51234");
  CHECK(r.forwarded_for == "198.51.100.7, 203.0.113.9");
  CHECK(r.target == "/login?next=%2F");
  CHECK(r.host == "www.example:8443");
  CHECK(r.bytes_in == 12);
  CHECK(r.bytes_out == 34);
}

TEST_CASE("a line of Caddy has nested objects, seconds as numbers, and lists of header values") {
  const read_line line(named("caddy"), caddy_line);
  REQUIRE(line.kind == line_kind::request);
  const logged_request& r = line.request;
  CHECK(r.time_us == ten_o_clock + 250'000);
  CHECK(r.duration_us == 125'000);
  CHECK(r.client == "203.0.113.9");
  CHECK(r.target == "/a?b=1");
  CHECK(r.status == 200);
  CHECK(r.bytes_in == 3);
  CHECK(r.bytes_out == 10900);
  REQUIRE(r.headers.size() == 3);
  CHECK(r.headers[0].name == "user-agent");
  CHECK(r.headers[2].name == "x-two");
  CHECK(r.headers[2].value == "2");
}

TEST_CASE("a line of ECS may be nested or dotted") {
  for (const bool dotted : {false, true}) {
    const read_line line(
        named("ecs"), dotted ? R"({"@timestamp":"2026-11-28T10:00:00.250Z","client.ip":"203.0.113.9",)"
                               R"("http.request.method":"PUT","http.request":{"bytes":11},"url.path":"/x",)"
                               R"("url":{"query":"y=1"},"http.response.status_code":201,)"
                               R"("http.response.bytes":22,"event.duration":1500000})"
                             : ecs_line);
    CAPTURE(dotted);
    REQUIRE(line.kind == line_kind::request);
    CHECK(line.request.duration_us == 1500);
    CHECK(line.request.client == "203.0.113.9");
    CHECK(line.request.method == "PUT");
    CHECK(line.request.query == "y=1");
    CHECK(line.request.status == 201);
    CHECK(line.request.bytes_in == 11);
    CHECK(line.request.bytes_out == 22);
  }
}

TEST_CASE("a line of clf holds the decision") {
  const read_line line(named("clf"),
                       R"(203.0.113.9 - - [28/Nov/2026:10:00:01 +0000] "GET /a HTTP/1.1" 429 99 "-" "-" )"
                       R"("deny" "per-ip" 0.512 "77ab")");
  REQUIRE(line.kind == line_kind::request);
  CHECK(line.request.client == "203.0.113.9");
  CHECK(line.request.decision == logged_decision::deny);
  CHECK(line.request.rule == "per-ip");
  CHECK(line.request.duration_us == 512);
}

TEST_CASE("a format string reads what an elastic load balancer writes") {
  std::string problem;
  const auto format = log_format::of_string(
      R"($type $time_iso8601 $elb $remote_addr:$remote_port $target_port $_ $_ $_ $status $_ $_ $bytes_out )"
      R"("$request" "$http_user_agent" $rest)",
      problem);
  REQUIRE(format);
  const read_line line(
      *format,
      R"(https 2026-11-28T10:00:00.186641Z app/lb/50dc6c495c0c9188 203.0.113.9:2817 10.0.0.1:80 0.086 0.048 0.037 )"
      R"(200 200 0 57 "GET https://www.example:443/p?a=1 HTTP/1.1" "curl/7.46.0" ECDHE TLSv1.2 arn:x)");
  REQUIRE(line.kind == line_kind::request);
  CHECK(line.request.time_us == ten_o_clock + 186'641);
  CHECK(line.request.resolution_us == 1);
  CHECK(line.request.peer == "203.0.113.9");
  CHECK(line.request.host == "www.example:443");
  CHECK(line.request.target == "/p?a=1");
  CHECK(line.request.bytes_out == 57);
  const read_line v6(
      *format,
      R"(http 2026-11-28T10:00:00Z lb 2001:db8::7:2817 - 0 0 0 200 200 0 1 "GET http://h:80/ HTTP/1.1" "-" -)");
  REQUIRE(v6.kind == line_kind::request);
  CHECK(v6.request.peer == "2001:db8::7");
}

TEST_CASE("a format string that says too little, or cannot be parted, is refused by name") {
  std::string problem;
  CHECK_FALSE(log_format::of_string("$remote_addr $request", problem));
  CHECK(problem.find("no time") != std::string::npos);
  CHECK_FALSE(log_format::of_string("$remote_addr$time_local \"$request\"", problem));
  CHECK(problem == "nothing separates $remote_addr from what follows");
  CHECK_FALSE(log_format::of_string("[$time_local] \"$request\"", problem));
  CHECK(problem.find("no client") != std::string::npos);
  CHECK_FALSE(log_format::of_string("$remote_addr [$time_local]", problem));
  CHECK(problem.find("no request") != std::string::npos);
}

TEST_CASE("the format is the one that reads most of the first lines") {
  const auto of = [](std::string text) { return std::string(log_format::detect(text).value().name()); };
  CHECK(of(std::string(weir_line) + "\n") == "weir");
  CHECK(of(std::string(combined_line) + "\n") == "combined");
  CHECK(of(std::string(envoy_line) + "\n") == "envoy");
  CHECK(of(std::string(caddy_line) + "\n") == "caddy");
  CHECK(of(std::string(ecs_line) + "\n") == "ecs");
  CHECK(of("rubbish\n\n# x\n" + std::string(weir_line) + "\n" + weir_line) == "weir");
  CHECK_FALSE(log_format::detect("a b c\n{}\n"));
  CHECK_FALSE(log_format::detect(""));
}

TEST_CASE("what the first lines hold is what a log is known to hold") {
  log_format weir = named("weir");
  CHECK(weir.contents().headers.empty());
  weir.learn(std::string(weir_line) + "\nrubbish\n");
  CHECK(weir.contents().headers == std::vector<std::string>{"x-batch-size"});

  log_format caddy = named("caddy");
  caddy.learn(std::string(caddy_line) + "\n");
  CHECK(caddy.contents().every_header);
  CHECK_FALSE(caddy.contents().user);
  std::string by_weir(caddy_line);
  by_weir.insert(by_weir.size() - 1, R"(,"weir":{"decision":"allow","user_hash":"ab"})");
  caddy.learn(by_weir);
  CHECK_FALSE(caddy.contents().every_header);
  CHECK(caddy.contents().user);
  CHECK(caddy.contents().headers == std::vector<std::string>{"user-agent", "x-two"});
}

TEST_CASE("what is no request is told from what is wrong") {
  const log_format weir = named("weir");
  CHECK(read_line(weir, "").kind == line_kind::no_request);
  CHECK(read_line(weir, "\r").kind == line_kind::no_request);
  CHECK(read_line(weir, "# a comment").kind == line_kind::no_request);
  CHECK(read_line(weir, R"({"ts":"2026-11-28T10:00:00.250Z","msg":"access log lines dropped","dropped":3})")
            .kind == line_kind::no_request);
  CHECK(read_line(weir,
                  R"({"ts":"2026-11-28T10:00:00.250Z","client_ip":"::1","status":400,"decision":"rejected"})")
            .kind == line_kind::no_request);
  const auto problem_of = [&](std::string text) {
    const read_line line(weir, std::move(text));
    CHECK(line.kind == line_kind::bad);
    return std::string(line.problem.what) + "|" + std::string(line.problem.field);
  };
  CHECK(problem_of("no json") == "no JSON object|");
  CHECK(problem_of(R"({"ts":"2026)") == "JSON that ends early|");
  CHECK(problem_of(R"({"ts":"2026-11-28T10:00:00Z",})") == "malformed JSON|");
  CHECK(problem_of(R"({} {})") == "something behind the JSON object|");
  CHECK(problem_of(R"({"ts":"yesterday"})") == "of another form than expected|ts");
  CHECK(problem_of(R"({"status":"many"})") == "of another form than expected|status");
  CHECK(problem_of(R"({"client_ip":"::1","method":"GET","path":"/"})") == "no time|");
  CHECK(problem_of(R"({"ts":"2026-11-28T10:00:00Z","client_ip":"::1"})") == "no request line|");
  CHECK(problem_of(R"({"ts":"2026-11-28T10:00:00Z","method":"GET","path":"/"})") == "no client address|");
  CHECK(problem_of(std::string(100, '[')) == "no JSON object|");
  CHECK(problem_of("{\"a\":" + std::string(100, '[')) == "JSON nested too deeply|");
}

TEST_CASE("JSON escapes are undone in place") {
  const read_line line(named("weir"),
                       R"({"ts":"2026-11-28T10:00:00Z","client_ip":"\u0031.2.3.4","method":"G\u0045T",)"
                       R"("path":"\/a\"\\\u00e9\ud83d\ude00","status":200})");
  REQUIRE(line.kind == line_kind::request);
  CHECK(line.request.client == "1.2.3.4");
  CHECK(line.request.method == "GET");
  CHECK(line.request.target == "/a\"\\\xc3\xa9\xf0\x9f\x98\x80");
}

TEST_CASE("times are read in the forms that logs have") {
  const auto us = [](std::string_view text) { return parse_log_time(text).value().us; };
  CHECK(us("2026-11-28T10:00:00Z") == ten_o_clock);
  CHECK(us("2026-11-28 10:00:00Z") == ten_o_clock);
  CHECK(us("2026-11-28T11:30:00.5+01:30") == ten_o_clock + 500'000);
  CHECK(us("2026-11-28T10:00:00.1234567Z") == ten_o_clock + 123'456);
  CHECK(us("28/Nov/2026:09:00:00 -0100") == ten_o_clock);
  CHECK(us("1795860000.250") == ten_o_clock + 250'000);
  CHECK(parse_log_time("1795860000.250")->resolution_us == 1000);
  for (const char* wrong : {"", "x", "2026-02-30T00:00:00Z", "2026-11-28T25:00:00Z", "2026-11-28T10:00:00",
                            "28/Foo/2026:09:00:00 -0100", "-5", "1e9", "99999999999999999999"}) {
    CAPTURE(wrong);
    CHECK_FALSE(parse_log_time(wrong));
  }
}
