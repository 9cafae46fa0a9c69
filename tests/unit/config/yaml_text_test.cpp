// SPDX-License-Identifier: Apache-2.0
#include "config/yaml_text.hpp"

#include <doctest/doctest.h>
#include <string>

using namespace weir::config;
using namespace std::string_literals;

namespace {
std::string code_of(const std::string& text) {
  std::vector<problem> problems;
  reporter report{"f", problems};
  const bool fine = check_bytes(source_lines{text}, report);
  CHECK(fine == problems.empty());
  return problems.empty() ? "" : problems.front().code;
}
}  // namespace

TEST_CASE("text is UTF-8 without control characters and at most 1MiB") {
  CHECK(code_of("a: b\r\n\tü€😀") == "");
  CHECK(code_of("a\0b"s) == "E0112");
  CHECK(code_of("a\x04") == "E0112");
  CHECK(code_of("a\x7f") == "E0112");
  CHECK(code_of("a\rb") == "E0112");
  CHECK(code_of("\xff\xfe") == "E0113");
  CHECK(code_of("\xc0\xaf") == "E0113");
  CHECK(code_of("\xe0\x80\xaf") == "E0113");
  CHECK(code_of("\xed\xa0\x80") == "E0113");
  CHECK(code_of("\xf4\x90\x80\x80") == "E0113");
  CHECK(code_of("\xe2\x82") == "E0113");
  CHECK(code_of(std::string(1024 * 1024, 'a')) == "");
  CHECK(code_of(std::string(1024 * 1024 + 1, 'a')) == "E0114");
}

TEST_CASE("notations that readers of YAML disagree about are recognised") {
  CHECK(notation_of("100") == notation::fine);
  CHECK(notation_of("0") == notation::fine);
  CHECK(notation_of("0.5") == notation::fine);
  CHECK(notation_of("127.0.0.1:8080") == notation::fine);
  CHECK(notation_of("100/minute") == notation::fine);
  CHECK(notation_of("0123") == notation::octal);
  CHECK(notation_of("0o17") == notation::octal);
  CHECK(notation_of("-017") == notation::octal);
  CHECK(notation_of("0x1F") == notation::hexadecimal);
  CHECK(notation_of("0b11") == notation::binary);
  CHECK(notation_of("1_000") == notation::underscore);
  CHECK(notation_of("1e3") == notation::exponent);
  CHECK(notation_of("1.5E+3") == notation::exponent);
  CHECK(notation_of("1e") == notation::fine);
  CHECK(notation_of("10:30") == notation::sexagesimal);
  CHECK(notation_of("190:20:30") == notation::sexagesimal);
  CHECK(notation_of("8080:80") == notation::fine);
  for (const auto* word : {"yes", "No", "ON", "off", "y", "N"}) CHECK(notation_of(word) == notation::boolean);
  CHECK(notation_of("true") == notation::fine);
}

TEST_CASE("numbers, booleans and null are no text") {
  for (const auto* word : {"1", "-1", "1.5", "true", "null", "~", "", "no", "0x1"}) CHECK(is_not_text(word));
  for (const auto* word : {"a", "v1", "x-y", "1a", "-", "."}) CHECK_FALSE(is_not_text(word));
}

TEST_CASE("a quote ends at its own kind, not at an escaped one") {
  CHECK(end_of_quoted("'a'b", 0) == 3U);
  CHECK(end_of_quoted("'a''b'", 0) == 6U);
  CHECK(end_of_quoted(R"("a\"b")", 0) == 6U);
  CHECK_FALSE(end_of_quoted("'a", 0));
  CHECK_FALSE(end_of_quoted("\"a\\\"", 0));
}

TEST_CASE("a place is a line and a column in bytes, both from one") {
  const source_lines lines{"ab\ncd\n"};
  CHECK(lines.at(0).line == 1);
  CHECK(lines.at(4).line == 2);
  CHECK(lines.at(4).column == 2);
  CHECK(lines.offset(2, 2) == 4U);
  CHECK(lines.offset(9, 1) == 6U);
}
