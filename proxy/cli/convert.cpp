// SPDX-License-Identifier: Apache-2.0
// `weir convert`: a policy from the configuration of another limiter.
#include "config/convert/convert.hpp"

#include "config/load.hpp"
#include "proxy/cli/cli.hpp"

#include <cstdio>
#include <fmt/format.h>

namespace weir::cli {
namespace {

config::origin origin_of(const std::string& name) {
  if (name == "nginx") return config::origin::nginx;
  if (name == "traefik") return config::origin::traefik;
  return name == "kong" ? config::origin::kong : config::origin::envoy_rls;
}

void print_note(const std::string& file, const config::conversion_note& note) {
  const auto place = note.line > 0 ? fmt::format("{}:{}", file, note.line) : file;
  std::fputs(fmt::format("{}: note: {}\n", place, note.text).c_str(), stderr);
}

}  // namespace

int convert_command(const convert_options& options) {
  const auto name = options.file == "-" ? std::string{"<stdin>"} : options.file;
  const auto read = config::read_text_file(options.file);
  if (!read.text) {
    std::fputs(fmt::format("error: cannot read `{}`: {}\n", name, read.why).c_str(), stderr);
    return exit_bad_config;
  }
  const auto result = config::convert(origin_of(options.from), *read.text, name);
  for (const auto& note : result.notes) print_note(name, note);
  for (const auto& p : result.problems) std::fputs(config::render(p, result.source, false).c_str(), stderr);
  if (!result.policy) return exit_bad_config;
  std::fwrite(result.policy->data(), 1, result.policy->size(), stdout);
  return std::fflush(stdout) == 0 ? exit_ok : exit_failure;
}

}  // namespace weir::cli
