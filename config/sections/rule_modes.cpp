// SPDX-License-Identifier: Apache-2.0
#include "config/sections/rule_modes.hpp"

#include <array>

namespace weir::config {
namespace {

using d = rule_draft;

void read_mode(d& out, const node& n, context& ctx) {
  constexpr std::array<std::string_view, 3> words{"enforce", "shadow", "disabled"};
  constexpr std::array modes{limiter::rule_mode::enforce, limiter::rule_mode::shadow,
                             limiter::rule_mode::disabled};
  out.mode_at = n.at;
  if (const auto index = read_word(n, ctx, words)) out.value.mode = modes[*index];
}

void read_enforce_percent(d& out, const node& n, context& ctx) {
  out.enforce_percent_at = n.at;
  if (const auto percent = read_integer(n, ctx, 0, 100))
    out.value.enforce_percent = static_cast<int>(*percent);
}

void read_penalty(d& out, const node& n, context& ctx) {
  using namespace std::chrono_literals;
  const auto penalty = read_duration(n, ctx, 1s, 24h);
  if (penalty) out.value.penalty_us = std::chrono::microseconds{*penalty}.count();
}

void read_denial_status(d& out, const node& n, context& ctx) {
  if (const auto status = read_integer(n, ctx, 400, 599)) out.value.status = static_cast<int>(*status);
}

}  // namespace

std::vector<key_row<d>> rule_mode_rows() {
  return {
      row("mode", "enforce", value_type<d>{"word", "`enforce` `shadow` `disabled`", read_mode},
          "deny, only say what would be denied, or do not apply the rule"),
      row("enforce_percent", "100", value_type<d>{"integer", "0–100", read_enforce_percent},
          "of 100 keys so many are enforced, always the same ones; the others are shadow"),
      row("penalty", "", value_type<d>{"duration", "1s–24h", read_penalty},
          "the first denial blocks its key so long; later ones do not prolong it"),
      row("status", "`deny.status`", value_type<d>{"integer", "400–599", read_denial_status},
          "of a denial by this rule"),
  };
}

}  // namespace weir::config
