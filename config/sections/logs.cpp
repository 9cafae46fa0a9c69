// SPDX-License-Identifier: Apache-2.0
// access_log, log
#include "config/sections/sections.hpp"

#include <array>

namespace weir::config {
namespace {

void read_target(proxy::access_log_settings& out, const node& n, context& ctx) {
  const auto text = read_text(n, ctx);
  if (!text) return;
  if (text->empty()) {
    ctx.report.error("E0206", n.at, "an empty file name", {"`stdout`, `stderr`, `none` or a file", ""});
    return;
  }
  const bool word = *text == "stdout" || *text == "stderr" || *text == "none";
  out.to = word ? std::string{*text} : resolve_path(*text, ctx);
}

const table<proxy::access_log_settings>& access_log_table() {
  using s = proxy::access_log_settings;
  constexpr std::uint64_t kib = 1024;
  static const table<s> all{
      "`access_log`",
      {
          row("to", "stdout", value_type<s>{"text", "`stdout` `stderr` `none` or a file", read_target},
              "one line per request"),
          row("format", "json",
              value_type<s>{"word", "`json`",
                            [](s&, const node& n, context& ctx) {
                              constexpr std::array<std::string_view, 1> formats{"json"};
                              (void)read_word(n, ctx, formats);  // the only one: nothing to store
                            }}),
          row("buffer", "1MiB", size(&s::buffer, 64 * kib, 256 * kib * kib),
              "per worker; full = lines are dropped and counted"),
      }};
  return all;
}

const table<proxy::log_settings>& log_table() {
  using s = proxy::log_settings;
  using proxy::log_level;
  static const table<s> all{
      "`log`",
      {
          row("level", "info",
              word(&s::level, choices_of<log_level>{{"debug", log_level::debug},
                                                    {"info", log_level::info},
                                                    {"warn", log_level::warn},
                                                    {"error", log_level::error}}),
              "weir's own log on stderr"),
          row("format", "text", word(&s::json, choices_of<bool>{{"text", false}, {"json", true}})),
      }};
  return all;
}

}  // namespace

std::vector<key_row<file_draft>> log_rows() {
  using d = file_draft;
  return {
      group<d, proxy::access_log_settings>(
          "access_log", [](d & out) -> auto& { return out.settings.access_log; }, access_log_table),
      group<d, proxy::log_settings>(
          "log", [](d & out) -> auto& { return out.settings.log; }, log_table),
  };
}

}  // namespace weir::config
