// SPDX-License-Identifier: Apache-2.0
#include "limiter/path_template.hpp"

#include <algorithm>
#include <doctest/doctest.h>
#include <random>

using weir::limiter::path_template_problem;
using weir::limiter::path_trie;

namespace {

using numbers = std::vector<std::uint32_t>;

numbers matches(const path_trie& trie, std::string_view path) {
  numbers values;
  trie.match(path, values);
  return values;
}

numbers matches_of(std::string_view path_template, std::string_view path) {
  path_trie trie;
  trie.insert(path_template, 7);
  return matches(trie, path);
}

const numbers yes{7};
const numbers no{};

}  // namespace

TEST_CASE("a literal template matches its own path and no prefix, suffix or other case of it") {
  CHECK(matches_of("/v1/users", "/v1/users") == yes);
  CHECK(matches_of("/v1/users", "/v1") == no);
  CHECK(matches_of("/v1/users", "/v1/users/7") == no);
  CHECK(matches_of("/v1/users", "/v1/usersx") == no);
  CHECK(matches_of("/v1/users", "/v1/Users") == no);
}

TEST_CASE("a trailing slash is no segment, neither in the path nor in the template") {
  CHECK(matches_of("/a", "/a/") == yes);
  CHECK(matches_of("/a/", "/a") == yes);
  CHECK(matches_of("/", "/") == yes);
  CHECK(matches_of("/", "/a") == no);
  CHECK(matches_of("/a/{id}", "/a/") == no);
}

TEST_CASE("a parameter and a star match exactly one segment of any content") {
  for (const char* text : {"/v1/users/{id}", "/v1/users/*"}) {
    CHECK(matches_of(text, "/v1/users/7") == yes);
    CHECK(matches_of(text, "/v1/users/%2F") == yes);
    CHECK(matches_of(text, "/v1/users") == no);
    CHECK(matches_of(text, "/v1/users/7/orders") == no);
  }
  CHECK(matches_of("/a/*/c", "/a/b/c") == yes);
  CHECK(matches_of("/a/*/c", "/a/c") == no);
}

TEST_CASE("two stars match any number of segments, none included") {
  CHECK(matches_of("/files/**", "/files") == yes);
  CHECK(matches_of("/files/**", "/files/") == yes);
  CHECK(matches_of("/files/**", "/files/x/y/z") == yes);
  CHECK(matches_of("/files/**", "/filesx") == no);
  CHECK(matches_of("/**", "/") == yes);
  CHECK(matches_of("/**", "/any/thing") == yes);
}

TEST_CASE("the asterisk of OPTIONS and an empty path match nothing") {
  CHECK(matches_of("/**", "*") == no);
  CHECK(matches_of("/**", "") == no);
}

TEST_CASE("all templates that match are found once each in ascending order") {
  path_trie trie;
  trie.insert("/**", 9);
  trie.insert("/v1/{id}", 3);
  trie.insert("/v1/search", 5);
  trie.insert("/v1/*", 1);
  trie.insert("/v1/{other}", 3);
  trie.insert("/v2/search", 2);
  CHECK(matches(trie, "/v1/search") == numbers{1, 3, 5, 9});
  CHECK(matches(trie, "/v1/other") == numbers{1, 3, 9});
  CHECK(matches(trie, "/v3") == numbers{9});
}

TEST_CASE("a literal that leads nowhere does not hide the parameter beside it") {
  path_trie trie;
  trie.insert("/a/b/x", 1);
  trie.insert("/{p}/b/c", 2);
  CHECK(matches(trie, "/a/b/c") == numbers{2});
}

TEST_CASE("matching appends and leaves earlier values alone") {
  path_trie trie;
  trie.insert("/a", 1);
  numbers values{5, 3};
  trie.match("/a", values);
  CHECK(values == numbers{5, 3, 1});
}

TEST_CASE("problems of templates are named") {
  CHECK(path_template_problem("/") == "");
  CHECK(path_template_problem("/**") == "");
  CHECK(path_template_problem("/v1/users/{user_id}/*/x.y~z/%2F@a:b") == "");
  CHECK(path_template_problem("/a/") == "");

  CHECK(path_template_problem("") == "a template starts with `/`");
  CHECK(path_template_problem("v1") == "a template starts with `/`");
  CHECK(path_template_problem("/a//b") == "a template has no empty segment");
  CHECK(path_template_problem("/**/x") == "`**` must be the last segment");
  CHECK(path_template_problem("/a*") == "`*` must be a whole segment, as in `/users/*`");
  CHECK(path_template_problem("/***") == "`*` must be a whole segment, as in `/users/*`");
  const std::string whole = "a `{name}` must be a whole segment with a name, as in `/users/{id}`";
  CHECK(path_template_problem("/{}") == whole);
  CHECK(path_template_problem("/{id") == whole);
  CHECK(path_template_problem("/{id}x") == whole);
  CHECK(path_template_problem("/x{id}") == whole);
  CHECK(path_template_problem("/{a}/{a}") == "`{a}` occurs twice");
  CHECK(path_template_problem("/{a b}") == "the name in `{a b}` may hold letters, digits, `_` and `-` only");
  CHECK(path_template_problem("/a/../b") == "`.` and `..` are resolved before a path is matched");
  CHECK(path_template_problem("/a?b=c") ==
        "a template has no query or fragment; it is matched with the path alone");
  CHECK(path_template_problem("/a;v=1") == "`;parameters` are removed before a path is matched");
}

TEST_CASE("a template that no normalised path can equal is a problem") {
  const std::string triplet = "`%` must be followed by two upper-case hexadecimal digits";
  CHECK(path_template_problem("/%2f") == triplet);
  CHECK(path_template_problem("/%2") == triplet);
  CHECK(path_template_problem("/%") == triplet);
  CHECK(path_template_problem("/%41") == "write `A` instead of `%41`");
  CHECK(path_template_problem("/%7E") == "write `~` instead of `%7E`");
  const std::string character =
      "a path cannot hold this character unencoded; write it as `%` and two hexadecimal digits";
  CHECK(path_template_problem("/a b") == character);
  CHECK(path_template_problem("/caf\xc3\xa9") == character);
  CHECK(path_template_problem(std::string_view("/a\0b", 4)) == character);
}

TEST_CASE("a template has at most 64 segments") {
  std::string text;
  for (int i = 0; i < 64; ++i) text += "/a";
  CHECK(path_template_problem(text) == "");
  CHECK(path_template_problem(text + "/a") == "a template has at most 64 segments");
}

namespace {

std::vector<std::string> segments_of(const std::string& text) {
  std::vector<std::string> segments;
  for (std::size_t i = 0; i < text.size();) {
    const auto end = std::min(text.find('/', i + 1), text.size());
    if (end > i + 1) segments.push_back(text.substr(i + 1, end - i - 1));
    i = end;
  }
  return segments;
}

bool model_matches(const std::vector<std::string>& wanted, const std::vector<std::string>& path) {
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i] == "**") return true;
    if (i >= path.size()) return false;
    if (wanted[i] != "*" && wanted[i].front() != '{' && wanted[i] != path[i]) return false;
  }
  return wanted.size() == path.size();
}

}  // namespace

TEST_CASE("the trie finds what comparing every template by itself finds") {
  std::mt19937 random(1);
  const std::vector<std::string> parts{"a", "b", "c", "ab", "*", "{x}"};
  const auto any_of = [&](std::size_t count) { return parts[random() % count]; };
  for (int round = 0; round < 200; ++round) {
    path_trie trie;
    std::vector<std::string> templates(12);
    for (std::uint32_t i = 0; i < templates.size(); ++i) {
      for (auto n = random() % 4; n > 0; --n) templates[i] += "/" + any_of(parts.size());
      if (random() % 3 == 0) templates[i] += "/**";
      if (templates[i].empty()) templates[i] = "/";
      trie.insert(templates[i], i);
    }
    for (int probe = 0; probe < 50; ++probe) {
      std::string path;
      for (auto n = random() % 5; n > 0; --n) path += "/" + any_of(4);
      if (path.empty() || random() % 4 == 0) path += "/";
      numbers expected;
      for (std::uint32_t i = 0; i < templates.size(); ++i) {
        if (model_matches(segments_of(templates[i]), segments_of(path))) expected.push_back(i);
      }
      CAPTURE(path);
      REQUIRE(matches(trie, path) == expected);
    }
  }
}
