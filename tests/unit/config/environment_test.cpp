// SPDX-License-Identifier: Apache-2.0
#include "config/environment.hpp"

#include <doctest/doctest.h>
#include <string>

using namespace weir::config;

namespace {

struct expansion {
  node root;
  std::vector<problem> problems;
};

std::optional<std::string> variables(std::string_view name) {
  if (name == "HOST") return "example";
  if (name == "EMPTY") return "";
  if (name == "NESTED") return "${HOST} a: b";
  return std::nullopt;
}

expansion expand(const std::string& text) {
  expansion e;
  reporter report{"f", e.problems};
  e.root = read_yaml(text, report).root;
  expand_environment(e.root, variables, report);
  return e;
}

std::string value_of(const std::string& reference) {
  const auto e = expand("a: '" + reference + "'\n");
  CHECK(e.problems.empty());
  return e.root.find("a")->value.text;
}

std::string code_of(const std::string& reference) {
  const auto e = expand("a: '" + reference + "'\n");
  REQUIRE(e.problems.size() == 1);
  CHECK(e.problems[0].path == "a");
  CHECK(e.root.find("a")->value.unresolved);
  return e.problems[0].code;
}

}  // namespace

TEST_CASE("a reference becomes the variable's value") {
  CHECK(value_of("${HOST}") == "example");
  CHECK(value_of("http://${HOST}:80/${HOST}") == "http://example:80/example");
  CHECK(value_of("${EMPTY}") == "");
  CHECK(value_of("plain") == "plain");
}

TEST_CASE("a default stands in for an unset or empty variable") {
  CHECK(value_of("${NONE:-memory://}") == "memory://");
  CHECK(value_of("${EMPTY:-x}") == "x");
  CHECK(value_of("${NONE:-}") == "");
  CHECK(value_of("${HOST:-x}") == "example");
}

TEST_CASE("a value is not expanded or parsed again") {
  CHECK(value_of("${NESTED}") == "${HOST} a: b");
}

TEST_CASE("two dollars are one") {
  CHECK(value_of("$$") == "$");
  CHECK(value_of("$${HOST}") == "${HOST}");
}

TEST_CASE("an unset variable is E0201 and may bring its own message") {
  CHECK(code_of("${NONE}") == "E0201");
  CHECK(code_of("${NONE:?set it}") == "E0201");
  CHECK(code_of("${EMPTY:?set it}") == "E0201");
  CHECK(expand("a: ${NONE:?ask the team}\n").problems[0].message.find("ask the team") != std::string::npos);
}

TEST_CASE("a malformed reference is E0202") {
  CHECK(code_of("${HOST") == "E0202");
  CHECK(code_of("$HOST") == "E0202");
  CHECK(code_of("${}") == "E0202");
  CHECK(code_of("${1A}") == "E0202");
  CHECK(code_of("${HOST:+x}") == "E0202");
  CHECK(code_of("a $") == "E0202");
}

TEST_CASE("keys and x- sections are left alone, and every value elsewhere is reached") {
  const auto e = expand("x-note: ${NONE}\n${HOST}: 1\nl: [{m: '${HOST}'}]\n");
  CHECK(e.problems.empty());
  CHECK(e.root.find("${HOST}") != nullptr);
  CHECK(e.root.find("x-note")->value.text == "${NONE}");
  CHECK(e.root.find("l")->value.items[0].find("m")->value.text == "example");
  CHECK(e.root.find("l")->value.items[0].find("m")->value.from_environment);
}

TEST_CASE("all unset variables are reported in one run") {
  CHECK(expand("a: ${A}\nb: ['${B}', '${C}']\n").problems.size() == 3);
}
