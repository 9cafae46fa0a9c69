// SPDX-License-Identifier: Apache-2.0
#include "proxy/observe/access_record.hpp"

#include "tests/unit/proxy_core/record_support.hpp"

#include <array>
#include <boost/json.hpp>
#include <cstdint>
#include <doctest/doctest.h>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

using namespace weir::proxy;

namespace {

std::string text_of(const access_record& r) {
  return std::string(json_line(r));
}

boost::json::object parse(const access_record& r) {
  return boost::json::parse(text_of(r)).as_object();
}

access_record full() {
  access_record r;
  r.time_us = 1'767'225'600'123'000;
  r.request_id = "id-1";
  r.client_ip = "2001:db8::1";
  r.peer_ip = "10.0.0.1";
  r.user_hash = "f00";
  r.method = "GET";
  r.path = "/v1/users/1";
  r.query = "a=b";
  r.host = "api.example";
  r.proto = "HTTP/1.1";
  r.listener = "public";
  r.route = "users";
  r.upstream = "app";
  r.upstream_addr = "127.0.0.1:9000";
  r.status = 200;
  r.rule = "per-user";
  r.reason = "within_limits";
  r.exempt = "probes";
  r.limit = 100;
  r.remaining = 0;
  r.retry_after_us = 1500;
  r.duration_us = 2345;
  r.upstream_us = 2000;
  r.limiter_us = 0;
  r.queue_us = 4321;
  r.attempts = 1;
  r.bytes_in = 3;
  r.bytes_out = 18'446'744'073'709'551'615u;
  return r;
}

}  // namespace

TEST_CASE("a record has every field under its documented name, on one line") {
  CHECK(
      text_of(full()) ==
      R"({"ts":"2026-01-01T00:00:00.123Z","request_id":"id-1","client_ip":"2001:db8::1","peer_ip":"10.0.0.1",)"
      R"("user_hash":"f00","method":"GET","path":"/v1/users/1","query":"a=b","host":"api.example",)"
      R"("proto":"HTTP/1.1","listener":"public","route":"users","upstream":"app","upstream_addr":"127.0.0.1:9000",)"
      R"("status":200,"decision":"allow","rule":"per-user","reason":"within_limits","exempt":"probes",)"
      R"("limit":100,"remaining":0,)"
      R"("retry_after_ms":1.500,"duration_ms":2.345,"upstream_ms":2.000,"limiter_ms":0.000,"queue_ms":4.321,)"
      R"("attempts":1,)"
      R"("bytes_in":3,"bytes_out":18446744073709551615})"
      "\n");
}

TEST_CASE("absent values are left out, never null or empty") {
  access_record r;
  r.status = 400;
  r.decision = record_decision::rejected;
  CHECK(
      text_of(r) ==
      R"({"ts":"1970-01-01T00:00:00.000Z","status":400,"decision":"rejected","duration_ms":0.000,"attempts":0,)"
      R"("bytes_in":0,"bytes_out":0})"
      "\n");
}

TEST_CASE("each decision has its word") {
  CHECK(to_string(record_decision::allow) == "allow");
  CHECK(to_string(record_decision::deny) == "deny");
  CHECK(to_string(record_decision::exempt) == "exempt");
  CHECK(to_string(record_decision::blocked) == "blocked");
  CHECK(to_string(record_decision::rejected) == "rejected");
}

TEST_CASE("bytes from outside cannot end the line or the string") {
  access_record r = full();
  r.path = "/a\"}\n{\"x\":\"\xff";
  const std::string line = text_of(r);
  CHECK(line.find('\n') == line.size() - 1);
  CHECK(parse(r).at("path").as_string() == "/a\"}\n{\"x\":\"\xc3\xbf");
}

TEST_CASE("a value over 2 KiB is cut and the record says so") {
  access_record r = full();
  const std::string at_limit(2048, 'p');
  r.path = at_limit;
  CHECK_FALSE(parse(r).contains("truncated"));
  const std::string over = at_limit + "q";
  r.path = over;
  CHECK(parse(r).at("path").as_string() == at_limit);
  CHECK(parse(r).at("truncated").as_bool());
}

TEST_CASE("the cut does not split a character") {
  access_record r;
  for (std::size_t before = 2040; before <= 2048; ++before) {
    const std::string path = std::string(before, 'p') + "€€€€";
    r.path = path;
    const std::string logged(parse(r).at("path").as_string());
    CHECK(logged.size() <= 2048);
    CHECK(logged.size() > 2044);
    CHECK(path.starts_with(logged));
  }
}

TEST_CASE("the cut of bytes that are no UTF-8 stays bounded") {
  access_record r;
  const std::string path(5000, '\x80');
  r.path = path;
  CHECK(text_of(r).size() < 6 * 2048 + 300);
  CHECK(parse(r).at("truncated").as_bool());
}

TEST_CASE("the longest possible record fits") {
  const std::string longest(3000, '\x01');
  access_record r;
  const std::string longest_plain(plain_text::longest, 'p');
  test::set_texts(r, longest, longest_plain);
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
  r.limit = r.remaining = r.retry_after_us = r.duration_us = r.upstream_us = r.limiter_us = r.queue_us = most;
  r.status = r.attempts = std::numeric_limits<int>::min();
  r.bytes_in = r.bytes_out = std::numeric_limits<std::uint64_t>::max();
  r.decision = record_decision::rejected;
  CHECK(parse(r).at("reason").as_string().size() == 2048);
  CHECK(text_of(r).size() > 11 * 6 * 2048);
}

TEST_CASE("rules that would have denied are a list, absent when there are none") {
  access_record r = full();
  CHECK_FALSE(parse(r).contains("shadow"));
  const std::array<std::string_view, 2> names{"daily-quota", "per-ip"};
  r.shadow = names;
  r.decision = record_decision::shadow_deny;
  const auto json = parse(r);
  CHECK(json.at("decision") == "shadow_deny");
  CHECK(json.at("shadow") == boost::json::array{"daily-quota", "per-ip"});
  const std::string longest(64, 'x');
  const std::vector<std::string_view> many(32, longest);
  r.shadow = many;
  CHECK(parse(r).at("shadow").as_array().size() == 32);
}
