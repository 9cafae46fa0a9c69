// SPDX-License-Identifier: Apache-2.0
// The syntax of nginx' configuration: directives with arguments, some with a block of further ones.
#pragma once

#include "config/convert/policy_draft.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace weir::config {

struct nginx_directive {
  std::string name;
  std::vector<std::string> arguments;  ///< without their quotes
  int line = 0;
  bool block = false;
  std::vector<nginx_directive> children;

  /// `burst` of "burst=5"; empty when there is none.
  [[nodiscard]] std::string parameter(std::string_view key) const;
  [[nodiscard]] bool has(std::string_view argument) const;
};

inline constexpr int nginx_nesting_max = 16;

/// Digits, at least one.
[[nodiscard]] bool is_number(std::string_view text);

/// Throws not_readable for text that is not balanced.
[[nodiscard]] std::vector<nginx_directive> parse_nginx(std::string_view text);

/// Notes that `d` has no equal in weir, and `why` or what to do, if there is anything to say.
void not_converted(policy_draft& draft, const nginx_directive& d, std::string_view why);

}  // namespace weir::config
