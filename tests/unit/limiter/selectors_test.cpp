// SPDX-License-Identifier: Apache-2.0
#include "limiter/request_attributes.hpp"
#include "limiter/selectors/selector.hpp"

#include <doctest/doctest.h>
#include <set>
#include <string>
#include <vector>

using namespace weir::limiter;

namespace {

class one_header final : public header_source {
 public:
  one_header(std::string_view name, std::string_view value, int lines = 1)
      : name_(name), value_(value), lines_(lines) {}
  std::optional<std::string_view> header(std::string_view name) const override {
    if (name != name_ || value_.empty()) return std::nullopt;
    return value_;
  }
  bool repeated(std::string_view name) const override { return name == name_ && lines_ > 1; }

 private:
  std::string_view name_, value_;
  int lines_;
};

std::string value_of(std::string_view selector_text, const request_attributes& request) {
  const auto parsed = parse_selector(selector_text);
  REQUIRE(parsed.has_value());
  std::string decoded;
  const auto value = select(*parsed, request, decoded);
  return value ? std::string(*value) : "(absent)";
}

bool repeated(std::string_view selector_text, const request_attributes& request) {
  const auto parsed = parse_selector(selector_text);
  REQUIRE(parsed.has_value());
  return is_repeated(*parsed, request);
}

request_attributes with_query(std::string_view query) {
  request_attributes request;
  request.query = query;
  return request;
}

std::string cookie_value(std::string_view line) {
  const one_header headers("cookie", line);
  request_attributes request;
  request.headers = &headers;
  return value_of("cookie:sid", request);
}

}  // namespace

TEST_CASE("selectors of the request's own attributes take them as they are") {
  request_attributes request;
  request.client_ip = "2001:db8::/64";
  request.method = "GET";
  request.host = "example.org";
  request.route = "search";
  request.upstream = "api";
  request.user = "alice";
  CHECK(value_of("client_ip", request) == "2001:db8::/64");
  CHECK(value_of("method", request) == "GET");
  CHECK(value_of("host", request) == "example.org");
  CHECK(value_of("route", request) == "search");
  CHECK(value_of("upstream", request) == "api");
  CHECK(value_of("user", request) == "alice");
  CHECK(value_of("constant:all of them", request) == "all of them");
  request.user.reset();
  CHECK(value_of("user", request) == "(absent)");
}

TEST_CASE("a tier and the claims of a verified token are values like others") {
  class two_claims final : public claim_source {
    std::optional<std::string_view> claim(std::string_view name) const override {
      return name == "org" ? std::optional<std::string_view>("acme") : std::nullopt;
    }
  };
  const two_claims claims;
  request_attributes request;
  CHECK(value_of("claim:org", request) == "(absent)");
  CHECK(value_of("tier", request) == "(absent)");
  request.claims = &claims;
  request.tier = "gold";
  CHECK(value_of("claim:org", request) == "acme");
  CHECK(value_of("claim:Org", request) == "(absent)");
  CHECK(value_of("tier", request) == "gold");
}

TEST_CASE("a header selector ignores the case of the name and nothing of the value") {
  const one_header headers("x-api-key", "AbC=1");
  request_attributes request;
  request.headers = &headers;
  CHECK(value_of("header:X-API-Key", request) == "AbC=1");
  CHECK(value_of("header:x-other", request) == "(absent)");
  CHECK_FALSE(repeated("header:x-api-key", request));
}

TEST_CASE("an empty header is absent and a repeated one is absent and malformed") {
  const one_header empty("x-api-key", "");
  const one_header blank("x-api-key", " \t");
  const one_header twice("x-api-key", "a", 2);
  request_attributes request;
  request.headers = &empty;
  CHECK(value_of("header:x-api-key", request) == "(absent)");
  request.headers = &blank;
  CHECK(value_of("header:x-api-key", request) == "(absent)");
  request.headers = &twice;
  CHECK(value_of("header:x-api-key", request) == "(absent)");
  CHECK(repeated("header:x-api-key", request));
}

TEST_CASE("a query selector finds its parameter among others") {
  CHECK(value_of("query:key", with_query("key=a")) == "a");
  CHECK(value_of("query:key", with_query("x=1&key=a&y=2")) == "a");
  CHECK(value_of("query:key", with_query("xkey=1&keyx=2&Key=3")) == "(absent)");
  CHECK(value_of("query:key", with_query("")) == "(absent)");
  CHECK(value_of("query:key", with_query("key")) == "(absent)");
  CHECK(value_of("query:key", with_query("key=")) == "(absent)");
  CHECK(value_of("query:key", with_query("key=a=b")) == "a=b");
}

TEST_CASE("query names and values are decoded exactly once") {
  CHECK(value_of("query:key", with_query("k%65y=a")) == "a");
  CHECK(value_of("query:key", with_query("key=%61%62")) == "ab");
  CHECK(value_of("query:key", with_query("key=a+b%20c")) == "a b c");
  CHECK(value_of("query:key", with_query("key=%2561")) == "%61");
  CHECK(value_of("query:key", with_query("key=%zz%4")) == "%zz%4");
  CHECK(value_of("query:key", with_query("key=+a+")) == "a");
  CHECK(value_of("query:key", with_query("key=+%20")) == "(absent)");
}

TEST_CASE("a query parameter given twice is absent and malformed, however its name is written") {
  CHECK(value_of("query:key", with_query("key=a&k%65y=b")) == "(absent)");
  CHECK(repeated("query:key", with_query("key=a&k%65y=b")));
  CHECK(repeated("query:key", with_query("key=a&key")));
  CHECK_FALSE(repeated("query:key", with_query("key=a&other=b")));
}

TEST_CASE("a cookie selector finds its cookie and takes the quotes off") {
  CHECK(cookie_value("sid=abc") == "abc");
  CHECK(cookie_value("a=1; sid=abc; b=2") == "abc");
  CHECK(cookie_value("a=1;sid=\"abc\"") == "abc");
  CHECK(cookie_value("sid=a=b") == "a=b");
  CHECK(cookie_value("SID=abc; xsid=1; sidx=2") == "(absent)");
  CHECK(cookie_value("sid=") == "(absent)");
  CHECK(cookie_value("sid=\"\"") == "(absent)");
  CHECK(cookie_value("sid; a=1") == "(absent)");
}

TEST_CASE("a cookie given twice, in one line or in two, is absent and malformed") {
  const one_header same_line("cookie", "sid=a; sid=b");
  const one_header two_lines("cookie", "sid=a", 2);
  for (const one_header* headers : {&same_line, &two_lines}) {
    request_attributes request;
    request.headers = headers;
    CHECK(value_of("cookie:sid", request) == "(absent)");
    CHECK(repeated("cookie:sid", request));
  }
}

TEST_CASE("only a selector's own syntax is accepted") {
  for (const char* text :
       {"", "client_ip:x", "client-ip", "Client_ip", "header", "header:", "header:a b", "header:a:b",
        "cookie:", "cookie:a=b", "query:", "constant:", "constant", "tier:x", "claim", "claim:"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_selector(text).has_value());
  }
  const auto header = parse_selector("header:X-API-Key");
  REQUIRE(header.has_value());
  CHECK(header->text == "header:X-API-Key");
  CHECK(header->argument == "x-api-key");
  const auto constant = parse_selector("constant:a:b");
  REQUIRE(constant.has_value());
  CHECK(constant->argument == "a:b");
}

TEST_CASE("every selector is named, and knows whether it can be absent and who chooses it") {
  CHECK(selector_names() ==
        "client_ip method host route upstream user tier header:X cookie:X query:X claim:X path_param:X "
        "constant:TEXT");
  const std::set<std::string> from_the_client{"user",    "header:X", "cookie:X",
                                              "query:X", "claim:X",  "path_param:X"};
  std::string_view names = selector_names();
  int count = 0;
  for (std::size_t end = 0; end != std::string_view::npos; ++count) {
    end = names.find(' ');
    const std::string name(names.substr(0, end));
    names.remove_prefix(end == std::string_view::npos ? names.size() : end + 1);
    const auto parsed = parse_selector(name);
    CAPTURE(name);
    REQUIRE(parsed.has_value());
    CHECK(can_be_absent(*parsed) == (from_the_client.contains(name) || name == "tier"));
    CHECK(is_client_chosen(*parsed) == from_the_client.contains(name));
    CHECK(is_user(*parsed) == (name == "user"));
  }
  CHECK(count == 13);
}

TEST_CASE("a path parameter is the segment its name stands for in the route") {
  const std::vector<std::string> paths{"/v1/users/{id}/posts/{post}", "/v2/{id}/**", "/plain"};
  request_attributes request;
  request.route_paths = &paths;
  request.path = "/v1/users/a%2Fb/posts/7/";
  CHECK(value_of("path_param:id", request) == "a%2Fb");
  CHECK(value_of("path_param:post", request) == "7");
  CHECK(value_of("path_param:other", request) == "(absent)");
  request.path = "/v2/x/y/z";
  CHECK(value_of("path_param:id", request) == "x");
  CHECK(value_of("path_param:post", request) == "(absent)");
  request.path = "/plain";
  CHECK(value_of("path_param:id", request) == "(absent)");
  request.route_paths = nullptr;
  request.path = "/v2/x";
  CHECK(value_of("path_param:id", request) == "(absent)");
}

TEST_CASE("a path parameter has the name of a template's segment") {
  CHECK(parse_selector("path_param:user_id-2"));
  CHECK_FALSE(parse_selector("path_param"));
  CHECK_FALSE(parse_selector("path_param:"));
  CHECK_FALSE(parse_selector("path_param:a b"));
  CHECK_FALSE(parse_selector("path_param:{id}"));
}
