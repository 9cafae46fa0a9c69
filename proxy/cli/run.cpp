// SPDX-License-Identifier: Apache-2.0
// `weir run`: the only place where the file format and the running process meet.
#include "config/load.hpp"
#include "proxy/cli/cli.hpp"
#include "proxy/cli/serve.hpp"
#include "proxy/observe/own_log.hpp"

#include <cstdio>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace weir::cli {

namespace {

std::string render_all(const config::load_result& loaded, bool color) {
  std::string text;
  for (const config::problem& p : loaded.problems) text += config::render(p, loaded.source_text, color);
  return text;
}

/// Warnings and notes as events, for a log that must be JSON throughout.
void log_problems(const config::load_result& loaded) {
  try {
    proxy::configure_own_log(loaded.settings->log);
  } catch (const std::system_error& error) {  // the start will fail for it
    proxy::log_event(proxy::log_level::error, "the own log stays where it was", {{"cause", error.what()}});
  }
  for (const config::problem& p : loaded.problems) {
    const auto level = p.severity == config::severity::note ? proxy::log_level::info : proxy::log_level::warn;
    proxy::log_event(level, p.message,
                     {{"code", p.code}, {"line", std::to_string(p.line)}, {"help", p.help}});
  }
}

proxy::reload_outcome load_again(const std::string& path, const proxy::settings& current) {
  config::load_result loaded = config::load_file(path, config::process_environment());
  if (loaded.settings) {
    const std::vector<config::problem> conflicts = config::reload_problems(current, *loaded.settings, loaded);
    if (config::has_errors(conflicts)) {
      loaded.settings = nullptr;
      loaded.problems = conflicts;
    }
  }
  return {loaded.settings, loaded.settings ? std::string() : render_all(loaded, false), loaded.files};
}

}  // namespace

void report_problems(const config::load_result& loaded) {
  if (loaded.settings && loaded.settings->log.json) {
    log_problems(loaded);
  } else {
    std::fputs(render_all(loaded, ::isatty(STDERR_FILENO) == 1).c_str(), stderr);
  }
}

int serve_policy(config::load_result loaded, const proxy::reload_function& load_again) {
  return proxy::serve(std::move(loaded.settings), load_again, {WEIR_VERSION, WEIR_REVISION, WEIR_COMPILER});
}

int run_command(const std::string& config_path) {
  config::load_result loaded = config::load_file(config_path, config::process_environment());
  report_problems(loaded);
  if (!loaded.settings) {
    std::fputs((config::summary(loaded.problems, config_path) + "\n").c_str(), stderr);
    return exit_bad_config;
  }
  return serve_policy(std::move(loaded),
                      [&](const proxy::settings& current) { return load_again(config_path, current); });
}

}  // namespace weir::cli
