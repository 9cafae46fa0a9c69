// SPDX-License-Identifier: Apache-2.0
#include "proxy/observe/log_format.hpp"

#include <array>

namespace weir::proxy {
namespace {

constexpr std::array<std::string_view, 2> clf_headers{"referer", "user-agent"};

constexpr std::array<log_format, 5> table{{
    {"json", "flat", append_json},
    {"ecs", "Elastic Common Schema", append_ecs},
    {"envoy", "names of Envoy's JSON log", append_envoy},
    {"caddy", "as Caddy writes it", append_caddy},
    {"clf", "Combined Log Format and four more columns", append_clf, clf_headers},
}};

}  // namespace

std::span<const log_format> log_formats() noexcept {
  return table;
}

const log_format& default_log_format() noexcept {
  return table[0];
}

}  // namespace weir::proxy
