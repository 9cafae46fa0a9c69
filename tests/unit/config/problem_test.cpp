// SPDX-License-Identifier: Apache-2.0
#include "config/problem.hpp"

#include <doctest/doctest.h>
#include <string>

using namespace weir::config;

namespace {
problem brust() {
  problem p;
  p.code = "E0312";
  p.file = "weir.yaml";
  p.line = 2;
  p.column = 5;
  p.width = 5;
  p.message = "unknown key `brust` in rule `per-ip`";
  p.hint = "did you mean `burst`?";
  p.help = "keys of a rule: name match key limit burst";
  return p;
}
}  // namespace

TEST_CASE("a problem is shown with its line, a caret under the token, a hint and help") {
  CHECK(render(brust(), "rules:\n    brust: 100\n", false) ==
        "error[E0312]: unknown key `brust` in rule `per-ip`\n"
        "  --> weir.yaml:2:5\n"
        "  |\n"
        "2 |     brust: 100\n"
        "  |     ^^^^^ did you mean `burst`?\n"
        "  = help: keys of a rule: name match key limit burst\n");
}

TEST_CASE("the margin grows with the line number") {
  auto p = brust();
  p.line = 57;
  p.help.clear();
  const std::string source = std::string(56, '\n') + "    brust: 100\n";
  CHECK(render(p, source, false) ==
        "error[E0312]: unknown key `brust` in rule `per-ip`\n"
        "  --> weir.yaml:57:5\n"
        "   |\n"
        "57 |     brust: 100\n"
        "   |     ^^^^^ did you mean `burst`?\n");
}

TEST_CASE("a problem of the whole file is one line") {
  problem p;
  p.severity = severity::warning;
  p.code = "W0203";
  p.message = "trusted_proxies is empty";
  CHECK(render(p, "version: 1\n", false) == "warning[W0203]: trusted_proxies is empty\n");
}

TEST_CASE("the caret counts characters, not bytes") {
  auto p = brust();
  p.line = 1;
  p.column = 6;  // behind two characters of two bytes each and a space
  p.width = 2;
  p.hint.clear();
  p.help.clear();
  const auto text = render(p, "üü ü", false);
  CHECK(text.find("\n  |    ^\n") != std::string::npos);
}

TEST_CASE("a long line is cut around the caret and control bytes never reach the terminal") {
  auto p = brust();
  p.line = 1;
  p.column = 5000;
  const auto text = render(p, std::string(10000, 'a') + "\x1b[31m", false);
  CHECK(text.size() < 600);
  p.column = 10001;
  CHECK(render(p, std::string(10000, 'a') + "\x1b[31m", false).find('\x1b') == std::string::npos);
}

TEST_CASE("a line in another encoding is shown as well as it can be") {
  auto p = brust();
  p.line = 1;
  for (const int column : {1, 50, 100, 161, 300}) {
    p.column = column;
    CHECK(render(p, std::string(300, '\x91'), false).find("1:") != std::string::npos);
  }
}

TEST_CASE("a place behind the end of the source does no harm") {
  auto p = brust();
  p.line = 99;
  p.column = 99;
  p.width = 99;
  CHECK(render(p, "a\n", false).find("99:") != std::string::npos);
}

TEST_CASE("color surrounds the severity and the caret only when asked for") {
  CHECK(render(brust(), "rules:\n    brust: 100\n", true)
            .starts_with("\x1b[1;31merror[E0312]\x1b[0m: unknown"));
}

TEST_CASE("the summary counts each severity with its plural") {
  std::vector<problem> problems(4);
  problems[1].severity = severity::warning;
  problems[2].severity = severity::note;
  problems[3].severity = severity::note;
  CHECK(summary(problems, "weir.yaml") == "1 error, 1 warning, 2 notes in weir.yaml");
  CHECK(summary({}, "f") == "0 errors, 0 warnings, 0 notes in f");
  CHECK(has_errors(problems));
  problems[0].severity = severity::note;
  CHECK_FALSE(has_errors(problems));
}
