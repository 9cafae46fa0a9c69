// SPDX-License-Identifier: Apache-2.0
#include "proxy/admin/gate.hpp"

#include "proxy/http/grammar.hpp"

namespace weir::proxy::admin {

namespace {

using http::grammar::equals_ignoring_case;

constexpr std::string_view space = " \t\r\n";

std::string_view trimmed(std::string_view text) noexcept {
  const auto first = text.find_first_not_of(space);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(space) - first + 1);
}

}  // namespace

bool is_loopback_host(std::string_view host) noexcept {
  const std::size_t colon = host.rfind(':');
  if (colon != std::string_view::npos && host.find(']', colon) == std::string_view::npos)
    host = host.substr(0, colon);
  return equals_ignoring_case(host, "localhost") || host == "127.0.0.1" || host == "[::1]";
}

bool is_foreign_origin(std::string_view origin, std::string_view host) noexcept {
  constexpr std::string_view scheme = "http://";
  if (origin.empty()) return false;
  return !origin.starts_with(scheme) || !equals_ignoring_case(origin.substr(scheme.size()), host);
}

bool is_json(std::string_view content_type) noexcept {
  return equals_ignoring_case(trimmed(content_type.substr(0, content_type.find(';'))), "application/json");
}

bool asks_nothing_more(std::string_view body) noexcept {
  body = trimmed(body);
  if (body.empty()) return true;
  return body.size() >= 2 && body.front() == '{' && body.back() == '}' &&
         trimmed(body.substr(1, body.size() - 2)).empty();
}

}  // namespace weir::proxy::admin
