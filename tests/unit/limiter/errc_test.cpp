// SPDX-License-Identifier: Apache-2.0
#include "limiter/errc.hpp"

#include <doctest/doctest.h>
#include <set>
#include <string>

using weir::limiter::errc;
using weir::limiter::errc_count;
using weir::limiter::to_string;

TEST_CASE("every error has a name of its own") {
  std::set<std::string> names;
  for (int i = 0; i < errc_count; ++i) {
    const auto name = std::string(to_string(static_cast<errc>(i)));
    CHECK_FALSE(name.empty());
    names.insert(name);
  }
  CHECK(names.size() == static_cast<std::size_t>(errc_count));
}

TEST_CASE("the names are those of the metric label") {
  CHECK(to_string(errc::ok) == "ok");
  CHECK(to_string(errc::timeout) == "timeout");
  CHECK(to_string(errc::closed) == "closed");
  CHECK(to_string(errc::oom) == "oom");
  CHECK(to_string(errc::overloaded) == "overloaded");
  CHECK(to_string(errc::script) == "script");
}
