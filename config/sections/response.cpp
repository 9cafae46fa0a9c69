// SPDX-License-Identifier: Apache-2.0
// deny: what a refused client is told
#include "config/sections/sections.hpp"

#include <algorithm>

namespace weir::config {
namespace {

std::vector<std::string_view> emitter_names() {
  std::vector<std::string_view> names;
  for (const auto& emitter : http::rate_limit_emitters()) names.push_back(emitter.name);
  return names;
}

std::string emitter_meanings() {
  std::string text;
  for (const auto& emitter : http::rate_limit_emitters()) {
    if (emitter.meaning.empty()) continue;
    text += fmt::format("{}`{}` = {}", text.empty() ? "" : "; ", emitter.name, emitter.meaning);
  }
  return text;
}

const table<proxy::deny_settings>& deny_table() {
  using s = proxy::deny_settings;
  using proxy::deny_body;
  static const std::string meanings = emitter_meanings();
  static const table<s> all{
      "`deny`",
      {
          row("status", "429", integer(&s::status, 400, 599)),
          row("body", "envelope",
              word(&s::body, choices_of<deny_body>{{"envelope", deny_body::envelope},
                                                   {"problem+json", deny_body::problem_json},
                                                   {"accept", deny_body::by_accept}}),
              "of every answer of weir's own: its JSON, RFC 9457, or what the request's Accept prefers"),
          row("headers", "[retry-after, ratelimit]", emitters(&s::headers), meanings),
          row("headers_on", "all",
              word(&s::headers_on_all, choices_of<bool>{{"all", true}, {"denied", false}}),
              "which responses carry the rate-limit fields"),
          row("reset", "delta", word(&s::reset_is_time, choices_of<bool>{{"delta", false}, {"epoch", true}}),
              "X-RateLimit-Reset: seconds to wait, or of the Unix epoch"),
          row("partition_key", "none",
              word(&s::tell_partitions, choices_of<bool>{{"none", false}, {"hash", true}}),
              "`hash`: RateLimit names whose quota it is (`pk`), by a hash keyed with `hash_key_file`"),
          row("jitter", "0%", percent(&s::jitter_percent, 50),
              "waits are told longer by a random share of up to so much, never shorter"),
          row("cors", "none", word(&s::mirror_origin, choices_of<bool>{{"none", false}, {"mirror", true}}),
              "`mirror`: pages of every origin may read weir's own answers and their fields"),
      }};
  return all;
}

}  // namespace

std::string emitter_choices() {
  return fmt::format("`{}`", fmt::join(emitter_names(), "` `"));
}

std::optional<http::emitter_list> read_emitters(const node& n, context& ctx) {
  const auto names = emitter_names();
  http::emitter_list chosen;
  read_list(n, ctx, 0, names.size(), single::refused, [&](const node& item) {
    const auto index = read_word(item, ctx, names);
    if (!index) return;
    const http::rate_limit_emitter& emitter = http::rate_limit_emitters()[*index];
    const bool taken = std::any_of(chosen.begin(), chosen.end(),
                                   [&](const auto* other) { return other->family == emitter.family; });
    if (!taken) return chosen.push_back(&emitter);
    ctx.report.error("E0405", item.at,
                     fmt::format("{} writes the same fields as an emitter before it", shown(item)),
                     {"keep one of them", ""});
  });
  if (n.kind != node_kind::list) return std::nullopt;
  return chosen;
}

std::vector<key_row<file_draft>> response_rows() {
  return {group<file_draft, proxy::deny_settings>(
      "deny", [](file_draft & d) -> auto& { return d.settings.deny; }, deny_table)};
}

}  // namespace weir::config
