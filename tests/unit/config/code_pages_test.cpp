// SPDX-License-Identifier: Apache-2.0
#include "config/code_pages.hpp"

#include "config/codes.hpp"
#include "config/load.hpp"

#include <algorithm>
#include <doctest/doctest.h>
#include <string>
#include <vector>

using namespace weir::config;

namespace {

std::vector<problem> problems_of(std::string_view excerpt) {
  return load_text(as_whole_file(excerpt), "weir.yaml", "", [](std::string_view) { return std::nullopt; })
      .problems;
}

bool has(const std::vector<problem>& problems, std::string_view code) {
  return std::any_of(problems.begin(), problems.end(), [&](const auto& p) { return p.code == code; });
}

}  // namespace

TEST_CASE("every code has its page, in the order of the codes") {
  std::vector<std::string> codes, pages;
  for (const auto& entry : all_codes()) codes.emplace_back(entry.code);
  for (const auto& page : all_code_pages()) pages.emplace_back(page.code);
  CHECK(pages == codes);
}

TEST_CASE("the mistake of a page provokes its code, and the remedy is accepted") {
  for (const auto& page : all_code_pages()) {
    CAPTURE(page.code);
    if (!page.mistake.empty()) CHECK(has(problems_of(page.mistake), page.code));
    if (page.remedy.empty()) continue;
    const auto left = problems_of(page.remedy);
    CHECK_FALSE(has(left, page.code));
    CHECK_FALSE(has_errors(left));
  }
}

TEST_CASE("a page says the code's line, the reason, the mistake and the remedy") {
  CHECK(code_help("E0308") ==
        "E0308: drain.timeout must be longer than drain.delay\n\n"
        "Both count from SIGTERM: requests would be cut before the listeners close.\n\n"
        "Refused:\n    drain: {delay: 30s}\n\n"
        "Accepted:\n    drain: {delay: 30s, timeout: 60s}\n");
  CHECK(code_help("E9999").empty());
}
