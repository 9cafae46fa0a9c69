// SPDX-License-Identifier: Apache-2.0
// `weir test`: the tests of policy files, on a clock and a store of their own.
#include "config/load.hpp"
#include "proxy/cli/cli.hpp"
#include "proxy/cli/serve.hpp"
#include "proxy/cli/test_report.hpp"

#include <algorithm>
#include <cstdio>

namespace weir::cli {
namespace {

using proxy::offline::run_test;

/// The exit code for one file.
int test_file(const std::string& file, bool color, std::string& report) {
  const auto loaded = config::load_file(file, config::process_environment());
  if (!loaded.settings) {
    for (const auto& p : loaded.problems)
      std::fputs(config::render(p, loaded.source_text, false).c_str(), stderr);
    std::fputs((config::summary(loaded.problems, file) + "\n").c_str(), stderr);
    return exit_bad_config;
  }
  int failed = 0;
  for (const auto& test : loaded.tests) {
    const auto result = run_test(loaded.settings, test);
    report += test_report(file, test, result, color);
    failed += result.failures.empty() ? 0 : 1;
  }
  report += test_summary(file, loaded.tests.size(), failed);
  return failed > 0 ? exit_test_failed : exit_ok;
}

}  // namespace

int test_command(const test_options& options) {
  int worst = exit_ok;
  for (const auto& file : options.files) {
    std::string report;
    worst = std::max(worst, test_file(file, options.color, report));
    std::fwrite(report.data(), 1, report.size(), stdout);
  }
  return std::fflush(stdout) == 0 ? worst : exit_failure;
}

}  // namespace weir::cli
