// SPDX-License-Identifier: Apache-2.0
#include "config/yaml_reader.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <string>

using namespace weir::config;

namespace {

struct reading {
  document file;
  std::vector<problem> problems;

  /// "E0102@2:1 E0105@3:4"
  [[nodiscard]] std::string places() const {
    std::string text;
    for (const auto& p : problems)
      text += fmt::format("{}{}@{}:{}", text.empty() ? "" : " ", p.code, p.line, p.column);
    return text;
  }
};

reading read(const std::string& text) {
  reading r;
  reporter report{"f", r.problems};
  r.file = read_yaml(text, report);
  return r;
}

std::string nested(int levels) {
  return "a: " + std::string(static_cast<std::size_t>(levels), '[') +
         std::string(static_cast<std::size_t>(levels), ']') + "\n";
}

}  // namespace

TEST_CASE("a tree has its texts and places") {
  const auto r = read("a: 1\nb: {c: 'x y', d: [e, \"f\"]}\n");
  REQUIRE(r.places() == "");
  REQUIRE(r.file.complete);
  const auto& b = r.file.root.find("b")->value;
  CHECK(r.file.root.find("a")->value.text == "1");
  CHECK(b.find("c")->value.text == "x y");
  CHECK_FALSE(b.find("c")->value.plain);
  CHECK(b.find("c")->value.at.column == 8);
  CHECK(b.find("c")->value.at.width == 5);
  CHECK(b.find("d")->value.items[1].text == "f");
  CHECK(b.find("d")->at.line == 2);
}

TEST_CASE("a key given twice is refused at its second place and names the first") {
  const auto r = read("a: 1\nb: 2\na: 3\n");
  CHECK(r.places() == "E0102@3:1");
  CHECK(r.problems[0].hint == "first at line 1, column 1");
  CHECK(r.file.root.find("a")->value.text == "1");
  CHECK(read("m: {k: 1, k: 2}\n").places() == "E0102@1:11");
  CHECK(read("l: [{k: 1}, {k: 2}]\n").places() == "");
}

TEST_CASE("a quote that is not closed is refused where it opens") {
  CHECK(read("a: 'x").places() == "E0103@1:4");
  CHECK(read("a: 1\nb: 'x\nc: 2\n").places() == "E0103@2:4");
  CHECK(read("a: \"x\nb: 1\n").places() == "E0103@1:4");
  CHECK(read("a: {b: \"x}\nc: 1\n").places() == "E0103@1:8");
}

TEST_CASE("a bracket that is not closed is refused where it opens") {
  CHECK(read("a: [1, 2").places() == "E0104@1:4");
  CHECK(read("x: 1\na: {b: 1\nc: 2\n").places() == "E0104@2:4");
  CHECK(read("a: {b: 1 c: 2}\n").places() == "E0104@1:4");
  CHECK(read("a: {b: [1, 2}\n").places() == "E0104@1:8");
}

TEST_CASE("numbers and booleans that readers of YAML disagree about are refused, all of them") {
  CHECK(read("a: 0123\nb: 0x1F\nc: 1_000\nd: 1e3\ne: 10:30\n").places() ==
        "E0105@1:4 E0105@2:4 E0105@3:4 E0105@4:4 E0105@5:4");
  CHECK(read("a: [yes, No, 'no', \"on\", off, y]\n").places() ==
        "E0106@1:5 E0106@1:10 E0106@1:26 E0106@1:31");
}

TEST_CASE("merges, tags, further documents and keys that are no text are refused") {
  CHECK(read("x-a: &a {b: 1}\nc:\n  <<: *a\n").places() == "E0107@3:3");
  CHECK(read("a: !x 1\nb: !!str 2\nc: ! 3\nd: !m {}\n").places() ==
        "E0108@1:7 E0108@2:10 E0108@3:6 E0108@4:7");
  CHECK(read("---\na: 1\n---\nb: 2\n").places() == "E0109@3:1");
  CHECK(read("---\na: 1\n...\n").places() == "");
  CHECK(read("[1]x").places() == "E0109@1:4");
  CHECK(read("1: a\ntrue: b\n? [x]\n: c\n? {z: 1}\n: d\n").places() ==
        "E0111@1:1 E0111@2:1 E0111@3:3 E0111@5:3");
  CHECK(read("'1': a\n").places() == "");
}

TEST_CASE("tabs are refused outside quotes and comments") {
  CHECK(read("a:\tb\n").places() == "E0110@1:3");
  CHECK(read("a: \"x\ty\" # c\td\n#\tz\n").places() == "");
  CHECK(read("a:\n\tb: 1\n").places() == "E0110@2:1");
  CHECK(read("a: 'x#\ty'\nb: 1\t\n").places() == "E0110@2:5");
}

TEST_CASE("nesting is bounded at 32 levels") {
  CHECK(read(nested(31)).places() == "");
  CHECK(read(nested(32)).places() == "E0115@1:35");
  CHECK(read(nested(500000)).places() == "E0115@1:35");
}

TEST_CASE("an alias stands for a value under an x- key and its places are its own") {
  const auto r = read("x-a: &t {c: 1}\nb: *t\n");
  REQUIRE(r.places() == "");
  const auto* c = r.file.root.find("b")->value.find("c");
  REQUIRE(c != nullptr);
  CHECK(c->value.text == "1");
  CHECK(c->value.at.line == 2);
  CHECK(c->value.at.column == 4);
  CHECK(c->value.at.width == 2);
}

TEST_CASE("aliases elsewhere, of themselves, or too deep are refused") {
  CHECK(read("a: &t 1\nb: *t\n").places() == "E0116@2:4");
  CHECK(read("x-a: &t [*t]\n").places() == "E0116@1:10");
  CHECK(read("x-a: 1\nb: *t\n").places() == "E0101@2:4");
  std::string chain = "x-0: &a0 [1]\n";
  for (int i = 1; i <= 9; ++i) chain += fmt::format("x-{}: &a{} [*a{}]\n", i, i, i - 1);
  CHECK(read(chain).places() == "E0116@10:11");
}

TEST_CASE("a bomb of aliases is stopped") {
  std::string bomb = "x-0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n";
  for (int i = 1; i <= 7; ++i) {
    bomb += fmt::format(
        "x-{0}: &a{0} [*a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}]\n", i, i - 1);
  }
  const auto r = read(bomb);
  REQUIRE(r.problems.size() == 1);
  CHECK(r.problems[0].code == "E0116");
  CHECK_FALSE(r.file.complete);
}

TEST_CASE("what does not fit is refused in words") {
  CHECK(read("a: 1\n b: 2\n").places() == "E0101@2:3");
  CHECK(read("a: 'x' y\n").places() == "E0101@1:8");
  CHECK(read("a: @x\n").places() == "E0101@1:4");
  CHECK(read("a: 1\n- b\n").places() == "E0101@2:1");
  CHECK(read("a: ]\n").places() == "E0101@1:4");
}

TEST_CASE("what comes before a syntax error is still read") {
  const auto r = read("a: 1\nb: no\nc: 'x\n");
  CHECK(r.places() == "E0106@2:4 E0103@3:4");
  CHECK_FALSE(r.file.complete);
  CHECK(r.file.stopped_at_line == 3);
  CHECK(r.file.root.find("a")->value.text == "1");
}

TEST_CASE("lines may end in CRLF") {
  const auto r = read("a: 1\r\nb: no\r\n");
  CHECK(r.places() == "E0106@2:4");
}
