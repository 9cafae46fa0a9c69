// SPDX-License-Identifier: Apache-2.0
#include "proxy/http/path.hpp"

#include <doctest/doctest.h>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace weir::http::test {
namespace {

using namespace std::string_literals;

/// The normalised path where `%2F` may be data, or "refused". Checks what holds for every result.
std::string path_with_slashes(std::string_view target) {
  std::string storage = "old content";
  normalised_target t;
  if (!normalise_target(target, storage, t)) return "refused";
  const std::string path(t.path);
  CHECK(path.starts_with('/'));
  CHECK_FALSE(path.starts_with("//"));
  std::string second;
  normalised_target again;
  CHECK(normalise_target(path, second, again));
  CHECK(again.path == path);
  CHECK_FALSE(again.has_query);
  return path;
}

/// The normalised path, or "refused", also for an encoded slash.
std::string path_of(std::string_view target) {
  std::string storage;
  normalised_target t;
  if (normalise_target(target, storage, t) && t.encoded_slash) return "refused";
  return path_with_slashes(target);
}

bool has_parameters(std::string_view target) {
  std::string storage;
  normalised_target t;
  t.parameters = true;
  CHECK(normalise_target(target, storage, t));
  return t.parameters;
}

}  // namespace

TEST_CASE("a canonical path stays where it is") {
  for (const std::string_view target :
       {"/", "/a", "/a/", "/v1/users/42", "/a.b/.c/d..e", "/a-b_c~d!$&'()*+,=:@", "/.well-known/x", "/A/B"}) {
    std::string storage;
    normalised_target t;
    CHECK(normalise_target(target, storage, t));
    CHECK(t.path == target);
    CHECK(t.path.data() == target.data());
    CHECK(storage.empty());
    CHECK_FALSE(t.has_query);
  }
}

TEST_CASE("the query is kept byte for byte") {
  struct {
    std::string_view target, path, query;
    bool has_query;
  } const cases[] = {{"/a?b=%2F/../;x?y", "/a", "b=%2F/../;x?y", true},
                     {"/a?", "/a", "", true},
                     {"/a//b?x", "/a/b", "x", true},
                     {"/a;p?x;y", "/a", "x;y", true},
                     {"/?", "/", "", true},
                     {"?q", "/", "q", true},
                     {"?", "/", "", true},
                     {"/a/%2e?%zz\"", "/a/", "%zz\"", true},
                     {"*", "*", "", false}};
  for (const auto& c : cases) {
    CAPTURE(c.target);
    std::string storage;
    normalised_target t;
    CHECK(normalise_target(c.target, storage, t));
    CHECK(t.path == c.path);
    CHECK(t.query == c.query);
    CHECK(t.has_query == c.has_query);
  }
}

TEST_CASE("only a path or an asterisk is a target") {
  for (const std::string_view target : {"", "a", "a/b", "*x", "*?x", "http://a/"})
    CHECK(path_of(target) == "refused");
}

TEST_CASE("slashes merge and dot segments go, never above the root") {
  const std::vector<std::pair<std::string, std::string>> cases{{"//", "/"},
                                                               {"//a", "/a"},
                                                               {"///a//b///", "/a/b/"},
                                                               {"/a/./b", "/a/b"},
                                                               {"/a/.", "/a/"},
                                                               {"/.", "/"},
                                                               {"/./", "/"},
                                                               {"/a/..", "/"},
                                                               {"/a/../", "/"},
                                                               {"/a/b/../c", "/a/c"},
                                                               {"/a/b/..", "/a/"},
                                                               {"/..", "/"},
                                                               {"/../../a", "/a"},
                                                               {"/a//../b", "/b"},
                                                               {"/a/b//../../c", "/c"},
                                                               {"/a/./../b/./c/..", "/b/"},
                                                               {"/.a/..b/c", "/.a/..b/c"}};
  for (const auto& [target, path] : cases) {
    CAPTURE(target);
    CHECK(path_of(target) == path);
  }
}

TEST_CASE("escapes are decoded once and only where they say nothing else") {
  const std::vector<std::pair<std::string, std::string>> cases{{"/%61%2D%2e%5F%7Eb", "/a-._~b"},
                                                               {"/%c3%a9", "/%C3%A9"},
                                                               {"/%25", "/%25"},
                                                               {"/%2541", "/%2541"},
                                                               {"/a%20b", "/a%20b"},
                                                               {"/%3a%40", "/%3A%40"},
                                                               {"/%2e%2e/a", "/a"},
                                                               {"/a/%2E", "/a/"},
                                                               {"/a/%2e./b", "/b"},
                                                               {"/a[0]|b", "/a%5B0%5D%7Cb"},
                                                               {"/%5b%7c", "/%5B%7C"},
                                                               {"/%22%3c%3E", "/%22%3C%3E"},
                                                               {"/%e2%82%ac", "/%E2%82%AC"},
                                                               {"/%f0%9f%98%80", "/%F0%9F%98%80"}};
  for (const auto& [target, path] : cases) {
    CAPTURE(target);
    CHECK(path_of(target) == path);
  }
  for (const std::string_view target : {"/%", "/%4", "/%g0", "/%4g", "/a%", "/%%41", "/a;%zz", "/% 1"}) {
    CAPTURE(target);
    CHECK(path_of(target) == "refused");
  }
}

TEST_CASE("encoded separators and controls are refused, in parameters too") {
  for (const char* escape :
       {"%2F", "%2f", "%5C", "%5c", "%23", "%3F", "%3b", "%00", "%01", "%09", "%0a", "%0D", "%1F", "%7F"}) {
    CAPTURE(escape);
    CHECK(path_of("/a"s + escape + "b") == "refused");
    CHECK(path_of("/"s + escape) == "refused");
    CHECK(path_of("/a;b"s + escape) == "refused");
  }
}

TEST_CASE("where it is allowed an encoded slash is data of its segment, and hides no dot segment") {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"/a%2fb", "/a%2Fb"},     {"/a/%2F/b", "/a/%2F/b"},   {"/u/http:%2F%2Fx%2Fy", "/u/http:%2F%2Fx%2Fy"},
      {"/a%2Fb/../c", "/c"},    {"/a%252Fb", "/a%252Fb"},   {"/a%2Fb.c", "/a%2Fb.c"},
      {"/a%2F..b", "/a%2F..b"}, {"/%2F", "/%2F"},           {"/a%2F../b", "refused"},
      {"/..%2Fb", "refused"},   {"/a%2F..%2Fb", "refused"}, {"/a%2F%2e%2e%2Fb", "refused"},
      {"/.%2Fb", "refused"},    {"/a%2F.%2Fb", "refused"},  {"/a%5Cb%2Fc", "refused"}};
  for (const auto& [target, path] : cases) {
    CAPTURE(target);
    CHECK(path_with_slashes(target) == path);
  }
}

TEST_CASE("parameters are noticed, in every path anew") {
  CHECK(has_parameters("/a;b"));
  CHECK(has_parameters("/a/;/c"));
  CHECK_FALSE(has_parameters("/a//b"));
  CHECK_FALSE(has_parameters("/a?b;c"));
  CHECK_FALSE(has_parameters("*"));
}

TEST_CASE("other bytes than those of a path are refused") {
  for (int c = 0; c < 256; ++c) {
    const char b = static_cast<char>(c);
    const bool allowed = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                         (c != 0 && "-._~!$&'()*+,;=:@/[]|?"s.find(b) != std::string::npos);
    CAPTURE(c);
    CHECK((path_of("/a"s + b + "b") != "refused") == allowed);
    CHECK((path_of("//a"s + b + "b") != "refused") == allowed);
    if (b != '/' && b != '?') CHECK((path_of("/a;"s + b + "b") != "refused") == allowed);
  }
}

TEST_CASE("decoded text is well-formed UTF-8") {
  for (const char* text :
       {"%80",       "%BF",       "%C3",          "%C3a",         "%C3/%A9",      "%C3;%A9",
        "%C0%AF",    "%C1%BF",    "%E0%80%AF",    "%E0%9F%BF",    "%E2%82",       "%E2%82%41",
        "%ED%A0%80", "%ED%BF%BF", "%F0%80%80%AF", "%F0%8F%BF%BF", "%F4%90%80%80", "%F5%80%80%80",
        "%FE",       "%FF",       "%C3%A9%A9",    "%C3%C3%A9"}) {
    CAPTURE(text);
    CHECK(path_of("/"s + text) == "refused");
    CHECK(path_of("/x;"s + text) == "refused");
  }
  for (const char* text : {"%C2%80", "%DF%BF", "%E0%A0%80", "%ED%9F%BF", "%EE%80%80", "%EF%BF%BF",
                           "%F0%90%80%80", "%F4%8F%BF%BF"}) {
    CAPTURE(text);
    CHECK(path_of("/"s + text) == "/"s + text);
  }
}

TEST_CASE("parameters are removed before dots and slashes are looked at") {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"/a;b=c/d", "/a/d"}, {"/a;", "/a"},    {"/;a", "/"},       {"/a/;x/b", "/a/b"},  {"/a/..;x/b", "/b"},
      {"/a/.;x", "/a/"},    {"/;/;/a", "/a"}, {"/a;b;c/", "/a/"}, {"/a;%61/b", "/a/b"}, {"/%2e%2e;/a", "/a"}};
  for (const auto& [target, path] : cases) {
    CAPTURE(target);
    CHECK(path_of(target) == path);
  }
}

TEST_CASE("segments that upstreams trim are refused") {
  for (const std::string_view target :
       {"/%20a", "/a%20", "/a%20/b", "/%20", "/a.", "/a./b", "/...", "/a/.../b", "/a%2e", "/a.;x", "/a%20;x",
        "/%20;x/b", "/a/b..", "/%20/../a", "/a./../b"}) {
    CAPTURE(target);
    CHECK(path_of(target) == "refused");
  }
}

TEST_CASE("the fast path and the slow path agree") {
  // a leading "/." segment never changes the result, but always takes the slow path
  const std::vector<std::string_view> pieces{"/", "/", "a",   "bc",  ".",   "..", ";", "%41", "%2e", "%2F",
                                             "?", "~", "%20", "%C3", "%A9", "[",  "=", ":x",  "%",   "\x7F"};
  std::mt19937 random(11);
  std::size_t accepted = 0;
  for (int i = 0; i < 200'000; ++i) {
    std::string target = "/";
    const auto n = random() % 8;
    for (unsigned k = 0; k < n; ++k) target += pieces[random() % (i % 2 == 0 ? pieces.size() : 7)];
    const std::string path = path_of(target);
    if (path != "refused") ++accepted;
    if (path_of("/." + target) != path) FAIL_CHECK("differs: ", target);
  }
  CHECK(accepted > 50'000);
}

}  // namespace weir::http::test
