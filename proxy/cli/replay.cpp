// SPDX-License-Identifier: Apache-2.0
// `weir replay`: what a policy would have done to recorded traffic.
#include "config/did_you_mean.hpp"
#include "config/load.hpp"
#include "proxy/cli/cli.hpp"
#include "proxy/cli/log_source.hpp"
#include "proxy/cli/progress_bar.hpp"
#include "proxy/replay/log_replay.hpp"
#include "proxy/replay/report.hpp"

#include <cstdio>
#include <cstdlib>
#include <fmt/format.h>
#include <memory>
#include <optional>
#include <unistd.h>
#include <utility>

namespace weir::cli {
namespace {

constexpr std::uint64_t lines_between_looks = 4096;  // at the clock, for the progress bar
constexpr std::size_t output_batch = 64 * 1024;

using policy = std::shared_ptr<const proxy::settings>;

/// Null: its errors were printed.
policy load(const std::string& file) {
  const auto loaded = config::load_file(file, config::process_environment());
  if (loaded.settings) return loaded.settings;
  for (const auto& problem : loaded.problems)
    std::fputs(config::render(problem, loaded.source_text, false).c_str(), stderr);
  return nullptr;
}

int fail(int code, const std::string& message, const std::string& help) {
  std::fputs(fmt::format("error: {}\n  = help: {}\n", message, help).c_str(), stderr);
  return code;
}

/// A name or a format string; nothing: what was wrong with it was printed.
std::optional<replay::log_format> named_format(const std::string& text) {
  if (auto format = replay::log_format::named(text)) return format;
  const auto names = replay::log_format::names();
  if (text.find('$') == std::string::npos) {
    const std::string hint = config::did_you_mean_hint(text, names);
    fail(exit_usage, fmt::format("no log format `{}`{}{}", text, hint.empty() ? "" : "; ", hint),
         fmt::format("{}, or a format string such as '$remote_addr [$time_local] \"$request\" $status'",
                     fmt::join(names, " ")));
    return std::nullopt;
  }
  std::string problem;
  auto format = replay::log_format::of_string(text, problem);
  if (!format) fail(exit_usage, "the format string says too little: " + problem, "weir replay --help");
  return format;
}

bool is_compressed(std::string_view text) noexcept {
  return text.starts_with("\x1f\x8b") || text.starts_with("\x28\xb5\x2f\xfd");
}

bool has_unicode_terminal() {
  const char* no_color = std::getenv("NO_COLOR");
  return ::isatty(STDOUT_FILENO) == 1 && (no_color == nullptr || *no_color == '\0');
}

bool print(std::string& text) {
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  text.clear();
  return written;
}

/// False: standard output was closed.
bool run(replay::log_replay& replay, log_source& log, bool each) {
  std::string decisions;
  bool open = true;
  if (each) {
    replay.on_request = [&](const replay::held_line& line, const replay::judgement& j) {
      replay::append_decision(decisions, line, j, replay.policy().requests);
      if (decisions.size() >= output_batch) open = print(decisions) && open;
    };
  }
  progress_bar progress;
  while (const auto line = log.next()) {
    replay.add_line(*line);
    if (replay.lines() % lines_between_looks != 0) continue;
    if (!open) return false;
    progress.show(log.bytes_read(), log.size(), replay.lines());
  }
  replay.finish();
  return print(decisions) && open;
}

int judge(const replay_options& o, replay::log_format format, log_source& log, const policy& now,
          const policy& before) {
  replay::log_replay replay(std::move(format), *now, before.get(), o.suggest);
  const bool written = run(replay, log, o.each);
  if (!log.problem().empty())
    return fail(exit_failure, fmt::format("{}: {}", o.log, log.problem()), "weir replay --help");
  if (replay.policy().numbers.requests() == 0) {
    return fail(exit_failure, fmt::format("{}: no request in {} lines", o.log, replay.lines()),
                "name its format: --log-format");
  }
  if (!o.each) {
    const replay::report_options names{o.log, o.policy, o.against, has_unicode_terminal()};
    std::string report = o.json ? json_report(replay, names) : text_report(replay, names);
    if (!print(report)) return exit_failure;
  }
  return std::fflush(stdout) == 0 && written ? exit_ok : exit_failure;
}

}  // namespace

int replay_command(const replay_options& o) {
  std::optional<replay::log_format> format;
  if (!o.log_format.empty()) {
    format = named_format(o.log_format);
    if (!format) return exit_usage;
  }
  const policy now = load(o.policy);
  const policy before = o.against.empty() ? nullptr : load(o.against);
  if (!now || (!before && !o.against.empty())) return exit_bad_config;
  log_source log(o.log);
  const std::string_view beginning = log.beginning();
  if (!log.problem().empty()) return fail(exit_failure, o.log + ": " + log.problem(), "weir replay --help");
  if (is_compressed(beginning)) {
    return fail(exit_failure, o.log + ": is compressed",
                fmt::format("zcat {} | weir replay {} -", o.log, o.policy));
  }
  if (!format) format = replay::log_format::detect(beginning);
  if (!format) {
    return fail(exit_failure, o.log + ": its first lines have no format that is known",
                fmt::format("name it: --log-format {}, or a format string",
                            fmt::join(replay::log_format::names(), "|")));
  }
  format->learn(beginning);
  return judge(o, std::move(*format), log, now, before);
}

}  // namespace weir::cli
