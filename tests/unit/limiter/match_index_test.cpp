// SPDX-License-Identifier: Apache-2.0
#include "limiter/match_index.hpp"

#include "limiter/request_attributes.hpp"

#include <algorithm>
#include <doctest/doctest.h>
#include <random>

using namespace weir::limiter;

namespace {

using numbers = std::vector<std::uint32_t>;

class no_headers final : public header_source {
 public:
  std::optional<std::string_view> header(std::string_view) const override { return std::nullopt; }
};

const no_headers headers;

request_attributes request(std::string_view host, std::string_view path) {
  request_attributes r;
  r.method = "GET";
  r.host = host;
  r.path = path;
  r.headers = &headers;
  return r;
}

numbers candidates(const match_index& index, const request_attributes& r) {
  numbers found;
  std::string scratch;
  index.candidates(r, r.path, scratch, found);
  return found;
}

request_match match_of(std::vector<std::string> hosts, std::vector<std::string> paths) {
  request_match m;
  m.hosts = std::move(hosts);
  m.paths = std::move(paths);
  return m;
}

request_match match_of_tier(std::vector<std::string> tiers) {
  request_match m;
  m.values.push_back({*parse_selector("tier"), std::move(tiers)});
  return m;
}

template <typename T>
std::vector<std::string> some_of(T& random, std::initializer_list<const char*> all) {
  std::vector<std::string> chosen;
  for (const char* one : all) {
    if (random() % 4 == 0) chosen.emplace_back(one);
  }
  return chosen;
}

bool contains(const numbers& all, std::uint32_t one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

}  // namespace

TEST_CASE("a match that asks for nothing is a candidate of every request, also of `*`") {
  match_index index;
  index.insert({}, 3);
  CHECK(candidates(index, request("a.example", "/x")) == numbers{3});
  CHECK(candidates(index, request("", "*")) == numbers{3});
}

TEST_CASE("a host has its own paths, and the candidates come in ascending order") {
  match_index index;
  index.insert(match_of({"a.example"}, {"/x/**"}), 1);
  index.insert(match_of({}, {"/x/**"}), 2);
  index.insert(match_of({"b.example", "a.example"}, {}), 3);
  index.insert({}, 4);
  CHECK(candidates(index, request("a.example", "/x/1")) == numbers{1, 2, 3, 4});
  CHECK(candidates(index, request("b.example", "/x/1")) == numbers{2, 3, 4});
  CHECK(candidates(index, request("a.example", "/y")) == numbers{3, 4});
  CHECK(candidates(index, request("c.example", "/y")) == numbers{4});
}

TEST_CASE("a host or a template that is listed twice makes one candidate") {
  match_index index;
  index.insert(match_of({"a.example", "a.example"}, {"/x", "/{id}"}), 5);
  CHECK(candidates(index, request("a.example", "/x")) == numbers{5});
}

TEST_CASE("a match that only asks for a value comes with that value alone") {
  match_index index;
  index.insert(match_of_tier({"gold", "silver"}), 1);
  index.insert(match_of_tier({"bronze"}), 2);
  index.insert(match_of_tier({}), 3);  // any tier: left to the caller
  request_attributes r = request("a.example", "/x");
  CHECK(candidates(index, r) == numbers{3});
  r.tier = "silver";
  CHECK(candidates(index, r) == numbers{1, 3});
  r.tier = "bronze";
  CHECK(candidates(index, r) == numbers{2, 3});
}

TEST_CASE("a value comes with the methods and paths beside it") {
  match_index index;
  request_match m = match_of_tier({"gold"});
  m.methods = {"GET", "POST"};
  m.paths = {"/x/**"};
  index.insert(m, 1);
  request_attributes r = request("a.example", "/x/1");
  CHECK(candidates(index, r) == numbers{});
  r.tier = "gold";
  CHECK(candidates(index, r) == numbers{1});
  r.path = "/y";
  CHECK(candidates(index, r) == numbers{});
  r.path = "/x";
  r.method = "DELETE";
  CHECK(candidates(index, r) == numbers{});
}

TEST_CASE("what is there before stays as it is") {
  match_index index;
  index.insert({}, 1);
  numbers found{9, 9};
  std::string scratch;
  const request_attributes r = request("a.example", "/x");
  index.candidates(r, r.path, scratch, found);
  CHECK(found == numbers{9, 9, 1});
}

TEST_CASE("a thousand hosts leave one candidate") {
  match_index index;
  for (std::uint32_t i = 0; i < 1000; ++i) index.insert(match_of({"h" + std::to_string(i)}, {"/**"}), i);
  CHECK(candidates(index, request("h500", "/x")) == numbers{500});
}

TEST_CASE("the candidates are all that fit, and none whose host, method or path does not") {
  std::mt19937 random(3);
  for (int round = 0; round < 2000; ++round) {
    std::vector<request_match> all;
    match_index index;
    for (std::uint32_t i = 0; i < 12; ++i) {
      request_match m =
          match_of(some_of(random, {"a", "b", "c"}), some_of(random, {"/x", "/x/**", "/{id}/y"}));
      m.methods = some_of(random, {"GET", "PUT"});
      if (random() % 3 == 0) m.values = match_of_tier(some_of(random, {"gold", "silver", "bronze"})).values;
      index.insert(m, i);
      all.push_back(std::move(m));
    }
    const char* hosts[] = {"a", "b", "d"};
    const char* paths[] = {"/x", "/x/y", "/z/y", "*"};
    request_attributes r = request(hosts[random() % 3], paths[random() % 4]);
    if (random() % 2 == 0) r.tier = "gold";
    const numbers found = candidates(index, r);
    CHECK(std::is_sorted(found.begin(), found.end()));
    CHECK(std::adjacent_find(found.begin(), found.end()) == found.end());
    for (std::uint32_t i = 0; i < all.size(); ++i) {
      std::string scratch;
      const match_part why = find_mismatch(all[i], r, scratch).part;
      if (why == match_part::none && !contains(found, i)) FAIL_CHECK("not found: ", i);
      const bool indexed = why == match_part::methods || why == match_part::host || why == match_part::path;
      if (indexed && contains(found, i)) FAIL_CHECK("does not fit: ", i);
    }
  }
}
