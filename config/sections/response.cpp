// SPDX-License-Identifier: Apache-2.0
// deny: what a refused client is told
#include "config/sections/sections.hpp"

#include <algorithm>
#include <array>

namespace weir::config {
namespace {

using proxy::rate_limit_header;

constexpr std::array<std::string_view, 4> emitters{"retry-after", "ratelimit", "ratelimit-11", "x-ratelimit"};
constexpr std::array emitter_values{rate_limit_header::retry_after, rate_limit_header::ratelimit,
                                    rate_limit_header::ratelimit, rate_limit_header::x_ratelimit};

void read_headers(proxy::deny_settings& out, const node& n, context& ctx) {
  out.headers.clear();
  read_list(n, ctx, 0, emitters.size(), single::refused, [&](const node& item) {
    const auto index = read_word(item, ctx, emitters);
    if (!index) return;
    const auto header = emitter_values[*index];
    if (std::find(out.headers.begin(), out.headers.end(), header) != out.headers.end()) {
      ctx.report.error("E0405", item.at,
                       fmt::format("{} writes the same fields as an emitter before it", shown(item)),
                       {"keep one of them", ""});
      return;
    }
    out.headers.push_back(header);
  });
}

const table<proxy::deny_settings>& deny_table() {
  using s = proxy::deny_settings;
  static const table<s> all{
      "`deny`",
      {
          row("status", "429", integer(&s::status, 400, 599)),
          row("headers", "[retry-after, ratelimit]",
              value_type<s>{"list of words", "`retry-after` `ratelimit` `ratelimit-11` `x-ratelimit`",
                            read_headers},
              "`ratelimit` = the newest draft known, now 11"),
          row("headers_on", "all",
              word(&s::headers_on_all, choices_of<bool>{{"all", true}, {"denied", false}}),
              "which responses carry the rate-limit fields"),
      }};
  return all;
}

}  // namespace

std::vector<key_row<file_draft>> response_rows() {
  return {group<file_draft, proxy::deny_settings>(
      "deny", [](file_draft & d) -> auto& { return d.settings.deny; }, deny_table)};
}

}  // namespace weir::config
