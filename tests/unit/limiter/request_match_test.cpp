// SPDX-License-Identifier: Apache-2.0
#include "limiter/request_match.hpp"

#include "limiter/path_template.hpp"
#include "limiter/request_attributes.hpp"

#include <doctest/doctest.h>
#include <random>

using namespace weir::limiter;

namespace {

class one_header final : public header_source {
 public:
  std::optional<std::string_view> header(std::string_view name) const override {
    return name == "user-agent" ? std::optional<std::string_view>("curl") : std::nullopt;
  }
};

const one_header headers;

request_attributes request() {
  request_attributes r;
  r.method = "GET";
  r.path = "/v1/users/7";
  r.host = "a.example";
  r.route = "item";
  r.query = "k=v%31";
  r.user = "alice";
  r.tier = "gold";
  r.headers = &headers;
  r.client_address = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 9};
  return r;
}

value_match value_of(const char* selector, std::vector<std::string> values) {
  return {*parse_selector(selector), std::move(values)};
}

address_range v4_range(std::uint8_t last_from, std::uint8_t last_to) {
  address_range range{request().client_address, request().client_address};
  range.first[15] = last_from;
  range.last[15] = last_to;
  return range;
}

bool fits(const request_match& match) {
  std::string scratch;
  return matches(match, request(), scratch);
}

}  // namespace

TEST_CASE("an empty match fits everything and every member narrows it") {
  CHECK(fits({}));
  const auto both = [](auto member, std::vector<std::string> right, std::vector<std::string> wrong) {
    request_match match;
    match.*member = std::move(right);
    CHECK(fits(match));
    match.*member = std::move(wrong);
    CHECK_FALSE(fits(match));
  };
  both(&request_match::methods, {"POST", "GET"}, {"get"});
  both(&request_match::paths, {"/x", "/v1/users/{id}"}, {"/v1/users"});
  both(&request_match::hosts, {"a.example"}, {"b.example"});
  both(&request_match::routes, {"item"}, {"items"});
}

TEST_CASE("values are ORed in a list, ANDed between selectors, and absent ones never fit") {
  request_match match;
  match.values = {value_of("user", {"bob", "alice"}), value_of("tier", {"gold"})};
  CHECK(fits(match));
  match.values.push_back(value_of("query:k", {"v1"}));  // decoded
  CHECK(fits(match));
  match.values.push_back(value_of("header:User-Agent", {}));  // present
  CHECK(fits(match));
  match.values.push_back(value_of("header:X-Other", {}));
  CHECK_FALSE(fits(match));
  request_match other;
  other.values = {value_of("user", {"Alice"})};
  CHECK_FALSE(fits(other));
}

TEST_CASE("networks speak of the client itself") {
  request_match match;
  match.clients = address_set({v4_range(0, 15)});
  CHECK(fits(match));
  match.clients = address_set({v4_range(10, 15)});
  CHECK_FALSE(fits(match));
}

TEST_CASE("not leaves out what all of its members fit") {
  request_match match;
  match.excluded.resize(1);
  match.excluded[0].values = {value_of("tier", {"gold"})};
  CHECK_FALSE(fits(match));
  match.excluded[0].methods = {"POST"};
  CHECK(fits(match));
  match.excluded[0].methods.clear();
  match.excluded[0].paths = {"/v1/**"};
  CHECK_FALSE(fits(match));
}

TEST_CASE("a set of networks answers like a walk through all of them") {
  std::mt19937 random(1);
  std::vector<address_range> ranges;
  for (int i = 0; i < 60; ++i) {
    address_range range;
    for (std::size_t b = 14; b < 16; ++b) range.first[b] = static_cast<std::uint8_t>(random());
    range.last = range.first;
    range.last[15] = static_cast<std::uint8_t>(range.first[15] | (random() % 64));
    ranges.push_back(range);
  }
  const address_set set(ranges);
  for (unsigned n = 0; n < 65536; ++n) {
    address_bytes a{};
    a[14] = static_cast<std::uint8_t>(n >> 8);
    a[15] = static_cast<std::uint8_t>(n);
    bool expected = false;
    for (const address_range& r : ranges) expected = expected || (r.first <= a && a <= r.last);
    if (set.contains(a) != expected) FAIL_CHECK("address ", n);
  }
  CHECK_FALSE(address_set().contains({}));
}

TEST_CASE("one template answers like a trie that holds it") {
  std::mt19937 random(2);
  const char* pieces[] = {"a", "b", "{id}", "*", "**"};
  for (int round = 0; round < 20000; ++round) {
    std::string text, path;
    for (unsigned i = random() % 4; i > 0; --i) text += std::string("/") + pieces[random() % 4];
    if (random() % 3 == 0) text += "/**";
    if (text.empty()) text = "/";
    for (unsigned i = random() % 4; i > 0; --i) path += std::string("/") + pieces[random() % 2];
    if (path.empty() || random() % 4 == 0) path += "/";
    if (!path_template_problem(text).empty()) continue;  // `{id}` twice
    path_trie trie;
    trie.insert(text, 7);
    std::vector<std::uint32_t> found;
    trie.match(path, found);
    if (path_matches(text, path) == found.empty()) FAIL_CHECK(text, " and ", path);
  }
  CHECK_FALSE(path_matches("/**", "*"));
}
