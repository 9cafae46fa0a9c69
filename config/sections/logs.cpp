// SPDX-License-Identifier: Apache-2.0
// access_log, log, metrics
#include "config/sections/sections.hpp"

#include <algorithm>
#include <array>

namespace weir::config {
namespace {

/// A word of `words`, or a file.
void read_log_file(std::string& out, const node& n, context& ctx, std::span<const std::string_view> words) {
  const auto text = read_text(n, ctx);
  if (!text) return;
  if (text->empty()) {
    ctx.report.error("E0206", n.at, "an empty file name",
                     {fmt::format("`{}` or a file", fmt::join(words, "`, `")), ""});
    return;
  }
  const bool word = std::find(words.begin(), words.end(), *text) != words.end();
  out = word ? std::string{*text} : resolve_path(*text, ctx);
}

void read_target(proxy::access_log_settings& out, const node& n, context& ctx) {
  constexpr std::array<std::string_view, 3> words{"stdout", "stderr", "none"};
  read_log_file(out.to, n, ctx, words);
}

void read_log_target(proxy::log_settings& out, const node& n, context& ctx) {
  constexpr std::array<std::string_view, 2> words{"stderr", "stdout"};
  read_log_file(out.to, n, ctx, words);
}

std::vector<std::string_view> format_names() {
  std::vector<std::string_view> names;
  for (const auto& format : proxy::log_formats()) names.push_back(format.name);
  return names;
}

std::string format_meanings() {
  std::string text;
  for (const auto& format : proxy::log_formats())
    text += fmt::format("{}`{}` = {}", text.empty() ? "" : "; ", format.name, format.meaning);
  return text;
}

void read_format(proxy::access_log_settings& out, const node& n, context& ctx) {
  const auto names = format_names();
  if (const auto index = read_word(n, ctx, names)) out.format = &proxy::log_formats()[*index];
}

void read_field_names(std::vector<std::string>& out, const node& n, context& ctx) {
  out.clear();
  read_list(n, ctx, 0, 64, single::accepted, [&](const node& item) {
    if (auto name = read_field_name(item, ctx)) out.push_back(std::move(*name));
  });
}

void read_decisions(proxy::log_filter& out, const node& n, context& ctx) {
  std::array<std::string_view, proxy::record_decision_count> words;
  for (std::size_t i = 0; i < words.size(); ++i) words[i] = to_string(static_cast<proxy::record_decision>(i));
  out.without.fill(true);
  read_list(n, ctx, 1, words.size(), single::accepted, [&](const node& item) {
    if (const auto index = read_word(item, ctx, words)) out.without[*index] = false;
  });
}

const table<proxy::log_filter>& filter_table() {
  using s = proxy::log_filter;
  using namespace std::chrono_literals;
  static const table<s> all{
      "`access_log.filter`",
      {
          row("statuses", "every",
              value_type<s>{"code, class like `4xx`, or list", "100–599",
                            [](s& out, const node& n, context& ctx) {
                              out.statuses = {};
                              read_list(n, ctx, 1, 64, single::accepted,
                                        [&](const node& item) { read_status(out.statuses, item, ctx); });
                            }},
              "499 = the client left"),
          row("min_duration", "0s", duration(&s::min_duration, 0ms, 1h), "of the whole request"),
          row("min_attempts", "0", integer(&s::min_attempts, 0, 11), "2 = something was retried"),
          row("decisions", "every",
              value_type<s>{"word or list", "`allow` `deny` `shadow_deny` `exempt` `blocked` `rejected`",
                            read_decisions}),
      }};
  return all;
}

const table<proxy::access_log_settings>& access_log_table() {
  using s = proxy::access_log_settings;
  constexpr std::uint64_t kib = 1024;
  static const std::string meanings = format_meanings();
  static const table<s> all = [] {
    auto filter = row("filter", "",
                      value_type<s>{"map", "",
                                    [](s& out, const node& n, context& ctx) {
                                      read_map(n, filter_table(), out.filter, ctx, "`access_log.filter`");
                                    }},
                      "which requests are written: those that fit every key");
    filter.below = [](const std::string& path, std::vector<key_doc>& out) {
      describe(filter_table(), path, out);
    };
    return table<s>{
        "`access_log`",
        {
            row("to", "stdout", value_type<s>{"text", "`stdout` `stderr` `none` or a file", read_target},
                "one line per request"),
            row("format", "json",
                value_type<s>{"word", fmt::format("`{}`", fmt::join(format_names(), "` `")), read_format},
                meanings),
            row("redact", "[authorization, cookie, x-api-key]",
                value_type<s>{
                    "field name or list", "up to 64",
                    [](s& out, const node& n, context& ctx) { read_field_names(out.redact, n, ctx); }},
                "more fields and query parameters whose values are never written"),
            row("headers", "[]",
                value_type<s>{
                    "field name or list", "up to 64",
                    [](s& out, const node& n, context& ctx) { read_field_names(out.headers, n, ctx); }},
                "request fields that are written"),
            std::move(filter),
            row("buffer", "1MiB", size(&s::buffer, 64 * kib, 256 * kib * kib),
                "per worker; full = lines are dropped and counted"),
        }};
  }();
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
          row("to", "stderr", value_type<s>{"text", "`stderr` `stdout` or a file", read_log_target}),
      }};
  return all;
}

const table<proxy::metrics_settings>& metrics_table() {
  using s = proxy::metrics_settings;
  static const table<s> all{"`metrics`",
                            {row("max_series", "10000", integer(&s::max_series, 1000, 100'000),
                                 "label sets beyond it are counted as `_overflow`")}};
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
      group<d, proxy::metrics_settings>(
          "metrics", [](d & out) -> auto& { return out.settings.metrics; }, metrics_table),
  };
}

}  // namespace weir::config
