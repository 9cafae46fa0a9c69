// SPDX-License-Identifier: Apache-2.0
// `cookie:X`: the value of one cookie; a pair of quotes around it is not part of it (RFC 6265 4.1.1).
#include "limiter/selectors/selector_kind.hpp"

namespace weir::limiter::selectors {
namespace {

struct found_cookie {
  std::optional<std::string_view> value;
  int count = 0;
};

found_cookie find_cookie(std::string_view name, std::string_view line) {
  found_cookie found;
  while (!line.empty()) {
    const auto end = line.find(';');
    const std::string_view pair = line.substr(0, end);
    line = end == std::string_view::npos ? std::string_view{} : line.substr(end + 1);
    const auto equals = pair.find('=');
    if (equals == std::string_view::npos || trimmed(pair.substr(0, equals)) != name) continue;
    found.value = trimmed(pair.substr(equals + 1));
    ++found.count;
  }
  return found;
}

std::optional<std::string_view> unquoted(std::string_view value) {
  if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
    value = value.substr(1, value.size() - 2);
  }
  return trimmed(value);
}

bool repeated_cookie(const std::string& name, const request_attributes& request) {
  const auto line = request.headers->header("cookie");
  return line && (request.headers->repeated("cookie") || find_cookie(name, *line).count > 1);
}

std::optional<std::string_view> select_cookie(const std::string& name, const request_attributes& request,
                                              std::string&) {
  const auto line = request.headers->header("cookie");
  if (!line || request.headers->repeated("cookie")) return std::nullopt;
  const found_cookie found = find_cookie(name, *line);
  if (found.count != 1 || !found.value) return std::nullopt;
  return unquoted(*found.value);
}

std::optional<std::string> cookie_name(std::string_view text) {
  if (!is_token(text)) return std::nullopt;
  return std::string(text);
}

}  // namespace

const selector_kind cookie{
    .name = "cookie",
    .argument = cookie_name,
    .select = select_cookie,
    .repeated = repeated_cookie,
    .can_be_absent = true,
    .client_chosen = true,
};

}  // namespace weir::limiter::selectors
