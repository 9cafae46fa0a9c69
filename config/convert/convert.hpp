// SPDX-License-Identifier: Apache-2.0
// `weir convert`: a policy from the configuration of another limiter, and what of it weir does differently or
// not.
#pragma once

#include "config/problem.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir::config {

enum class origin : std::uint8_t { nginx, traefik, kong, envoy_rls };

/// Something that has no equal in weir, or another meaning.
struct conversion_note {
  int line = 0;  ///< 1-based, of the origin's file; 0 = the whole file
  std::string text;
};

struct conversion {
  std::optional<std::string>
      policy;  ///< in the canonical layout, with the notes as comments; it passes `weir check`
  std::vector<conversion_note> notes;  ///< in the order of the file
  std::vector<problem> problems;       ///< why there is no policy
  std::string source;  ///< the text that the problems are about: the origin's, or the policy made of it
};

/// `name` stands in notes and problems. Never throws for bad input.
[[nodiscard]] conversion convert(origin from, const std::string& text, const std::string& name);

}  // namespace weir::config
