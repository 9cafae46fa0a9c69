// SPDX-License-Identifier: Apache-2.0
// `weir check`: what policy files say, and every mistake in them.
#include "config/load.hpp"
#include "limiter/redis/acl.hpp"
#include "proxy/cli/check_report.hpp"
#include "proxy/cli/cli.hpp"

#include <algorithm>
#include <cstdio>

namespace weir::cli {
namespace {

checked_file check_file(const std::string& file) {
  checked_file checked{
      file == "-" ? "<stdin>" : file, config::load_file(file, config::process_environment()), {}};
  const auto& settings = checked.loaded.settings;
  if (settings && settings->store.kind == proxy::store_kind::redis) {
    checked.redis_user = limiter::redis::acl_rules(settings->store.redis.key_prefix);
  }
  return checked;
}

/// The problems of the way there stand beside those of the file; errors stay in front.
void compare_with(checked_file& checked, const config::load_result& old) {
  if (!checked.loaded.settings) return;
  checked.against = config::compare(old, checked.loaded);
  auto& problems = checked.loaded.problems;
  problems.insert(problems.end(), checked.against->problems.begin(), checked.against->problems.end());
  std::stable_sort(problems.begin(), problems.end(),
                   [](const auto& a, const auto& b) { return a.severity < b.severity; });
}

bool is_refused(const checked_file& checked, bool strict) {
  const auto& problems = checked.loaded.problems;
  return config::has_errors(problems) ||
         (strict && std::any_of(problems.begin(), problems.end(),
                                [](const auto& p) { return p.severity == config::severity::warning; }));
}

std::string render(const std::vector<checked_file>& files, const check_options& options) {
  switch (options.format) {
    case check_format::json:
      return json_report(files);
    case check_format::sarif:
      return sarif_report(files, WEIR_VERSION);
    case check_format::text:
      break;
  }
  std::string text;
  for (const auto& file : files) text += text_report(file, options.color);
  return text;
}

}  // namespace

int check_command(const check_options& options) {
  std::vector<checked_file> files;
  files.reserve(options.files.size());
  std::optional<checked_file> old;
  if (!options.against.empty()) old = check_file(options.against);
  for (const auto& file : options.files) {
    files.push_back(check_file(file));
    if (old && old->loaded.settings) compare_with(files.back(), old->loaded);
  }
  if (old && !old->loaded.settings) files.push_back(*std::move(old));  // nothing can be compared with it
  const auto text = render(files, options);
  std::fwrite(text.data(), 1, text.size(), stdout);
  if (std::fflush(stdout) != 0) return exit_failure;
  const bool refused = std::any_of(files.begin(), files.end(),
                                   [&](const auto& file) { return is_refused(file, options.strict); });
  return refused ? exit_bad_config : exit_ok;
}

}  // namespace weir::cli
