// SPDX-License-Identifier: Apache-2.0
#include "config/code_pages.hpp"
#include "config/codes.hpp"
#include "config/did_you_mean.hpp"
#include "proxy/cli/cli.hpp"

#include <cstdio>
#include <fmt/format.h>

namespace weir::cli {

int help_command(const std::string& code) {
  const auto page = config::code_help(code);
  if (!page.empty()) {
    std::fputs(page.c_str(), stdout);
    return std::fflush(stdout) == 0 ? exit_ok : exit_failure;
  }
  std::vector<std::string_view> known;
  for (const auto& entry : config::all_codes()) known.push_back(entry.code);
  const auto hint = config::did_you_mean_hint(code, known);
  std::fputs(fmt::format("error: no code and no verb is called `{}`{}{}\n  = help: weir --help\n", code,
                         hint.empty() ? "" : "; ", hint)
                 .c_str(),
             stderr);
  return exit_usage;
}

}  // namespace weir::cli
