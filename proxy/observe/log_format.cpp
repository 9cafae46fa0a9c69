// SPDX-License-Identifier: Apache-2.0
#include "proxy/observe/log_format.hpp"

#include <array>

namespace weir::proxy {
namespace {

constexpr std::array<std::string_view, 2> clf_headers{"referer", "user-agent"};

constexpr std::array<log_format, 5> table{{
    {"json", "flat", json_line},
    {"ecs", "Elastic Common Schema", ecs_line},
    {"envoy", "names of Envoy's JSON log", envoy_line},
    {"caddy", "as Caddy writes it", caddy_line},
    {"clf", "Combined Log Format and four more columns", clf_line, clf_headers},
}};

}  // namespace

std::span<const log_format> log_formats() noexcept {
  return table;
}

const log_format& default_log_format() noexcept {
  return table[0];
}

}  // namespace weir::proxy
