// SPDX-License-Identifier: Apache-2.0
#include "config/did_you_mean.hpp"

#include <array>
#include <doctest/doctest.h>
#include <string>

using namespace weir::config;

TEST_CASE("the distance of two words counts inserted, removed and replaced letters") {
  CHECK(edit_distance("burst", "burst", 2) == 0);
  CHECK(edit_distance("brust", "burst", 2) == 2);
  CHECK(edit_distance("limt", "limit", 2) == 1);
  CHECK(edit_distance("limits", "limit", 2) == 1);
  CHECK(edit_distance("kitten", "sitting", 3) == 3);
  CHECK(edit_distance("abc", "xyz", 2) == 3);
  CHECK(edit_distance("", "ab", 2) == 2);
}

TEST_CASE("long words are never near") {
  CHECK(edit_distance(std::string(65, 'a'), std::string(65, 'a'), 2) == 3);
}

TEST_CASE("the nearest word within two edits is suggested") {
  constexpr std::array<std::string_view, 4> words{"name", "burst", "limit", "match"};
  CHECK(did_you_mean("brust", words) == "burst");
  CHECK(did_you_mean("limits", words) == "limit");
  CHECK(did_you_mean("algorithm", words).empty());
  CHECK(did_you_mean_hint("nme", words) == "did you mean `name`?");
  CHECK(did_you_mean_hint("zzzzzz", words).empty());
}

TEST_CASE("a word of one or two letters is not near everything") {
  constexpr std::array<std::string_view, 2> words{"to", "url"};
  CHECK(did_you_mean("x", words).empty());
  CHECK(did_you_mean("xy", words).empty());
}
