// SPDX-License-Identifier: Apache-2.0
#include "limiter/value_table.hpp"

#include <doctest/doctest.h>
#include <string>

using weir::limiter::value_table;

TEST_CASE("a table finds every value it holds and nothing else") {
  std::vector<value_table::entry> entries;
  for (std::uint32_t i = 0; i < 5000; ++i)
    entries.push_back(value_table::make_entry("key-" + std::to_string(i), i));
  const value_table table(std::move(entries));
  CHECK(table.size() == 5000);
  for (std::uint32_t i = 0; i < 5000; ++i) CHECK(table.find("key-" + std::to_string(i)) == i);
  CHECK_FALSE(table.find("key-5000"));
  CHECK_FALSE(table.find("KEY-1"));
  CHECK_FALSE(table.find("key-1 "));
  CHECK_FALSE(table.find(""));
  CHECK_FALSE(value_table().find("key-1"));
}

TEST_CASE("of a value that is given twice the first number stays") {
  const value_table table({value_table::make_entry("a", 1), value_table::make_entry("a", 2)});
  CHECK(table.size() == 1);
  CHECK(table.find("a") == 1);
}

TEST_CASE("values that differ only in their last byte of many are two") {
  const std::string start(3000, 'x');
  const value_table table({value_table::make_entry(start + "a", 1)});
  CHECK(table.find(start + "a") == 1);
  CHECK_FALSE(table.find(start + "b"));
  CHECK_FALSE(table.find(start));
}
