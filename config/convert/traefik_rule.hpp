// SPDX-License-Identifier: Apache-2.0
// The rules of Traefik's routers: Host(`a`) && (PathPrefix(`/x`) || Path(`/y`)).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weir::config {

/// Conditions that all hold, each with its alternatives: what `match` of weir can say.
struct traefik_rule {
  struct condition {
    std::string matcher;              ///< "PathPrefix"; of its alternatives all are the same
    std::vector<std::string> values;  ///< of Header and Query: names and values in turn
  };
  std::vector<condition> conditions;
};

/// Nothing for a rule that is no AND of ORs of one matcher each.
[[nodiscard]] std::optional<traefik_rule> parse_traefik_rule(std::string_view text);

}  // namespace weir::config
