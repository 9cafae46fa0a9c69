// SPDX-License-Identifier: Apache-2.0
#include "proxy/http/field_names.hpp"

#include <doctest/doctest.h>
#include <string>

using namespace weir::http;

TEST_CASE("a listed name is found in any case, others are not") {
  field_names names;
  for (const char* name : {"x-user-id", "cookie", "x_odd~name", "a"}) names.add(name);
  CHECK(names.find("X-User-Id") == 0U);
  CHECK(names.find("COOKIE") == 1U);
  CHECK(names.find("X_ODD~Name") == 2U);
  CHECK(names.find("A") == 3U);
  for (const char* other : {"", "b", "x-user-ie", "x-user-id2", "cookies", "x_odd^name", "x-odd~name"}) {
    CAPTURE(other);
    CHECK_FALSE(names.contain(other));
  }
  CHECK_FALSE(field_names().contain(""));
}

TEST_CASE("every name of one token byte or of any length is found again, and alone") {
  for (const std::string& name : {std::string("a"), std::string("~"), std::string("^"), std::string("z9"),
                                  std::string(65, 'a'), std::string(256, 'q')}) {
    field_names names;
    names.add(name);
    CHECK(names.contain(name));
    CHECK_FALSE(names.contain(name + "a"));
    for (const std::size_t more : {64U, 128U})
      CHECK_FALSE(names.contain(name + std::string(more, name.back())));
  }
}

TEST_CASE("a name is listed once, in the order of the first of its kind") {
  field_names names;
  for (const char* name : {"b", "a", "b"}) names.add(name);
  REQUIRE(names.all().size() == 2);
  CHECK(names.all()[0] == "b");
  CHECK(names.all()[1] == "a");
}
