// SPDX-License-Identifier: Apache-2.0
// `weir check`: what a policy file says, and every mistake in it.
#include "config/load.hpp"
#include "limiter/redis/acl.hpp"
#include "proxy/cli/cli.hpp"

#include <algorithm>
#include <cstdio>

namespace weir::cli {
namespace {

std::string report_on(const std::string& file, const config::load_result& loaded, bool color) {
  std::string text;
  const auto first_advice = std::find_if(loaded.problems.begin(), loaded.problems.end(),
                                         [](const auto& p) { return p.severity != config::severity::error; });
  const auto append = [&](auto from, auto to) {
    for (; from != to; ++from) text += config::render(*from, loaded.source_text, color);
  };
  append(loaded.problems.begin(), first_advice);  // errors come first
  for (const auto& rule : loaded.rule_summaries) text += rule + "\n";
  if (loaded.settings && loaded.settings->store.kind == proxy::store_kind::redis) {
    text += "store: a Redis user needs " +
            limiter::redis::acl_rules(loaded.settings->store.redis.key_prefix) + "\n";
  }
  append(first_advice, loaded.problems.end());
  return text + config::summary(loaded.problems, file) + "\n";
}

}  // namespace

int check_command(const check_options& options) {
  bool refused = false;
  for (const auto& file : options.files) {
    const auto loaded = config::load_file(file, config::process_environment());
    const auto text = report_on(file == "-" ? "<stdin>" : file, loaded, options.color);
    std::fwrite(text.data(), 1, text.size(), stdout);
    refused = refused || !loaded.settings;
  }
  return std::fflush(stdout) != 0 ? exit_failure : refused ? exit_bad_config : exit_ok;
}

}  // namespace weir::cli
