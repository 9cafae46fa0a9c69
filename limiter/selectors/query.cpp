// SPDX-License-Identifier: Apache-2.0
// `query:X`: the value of one query parameter. Name and value are decoded once, as the upstream will:
// otherwise `k%65y=1` beside `key=1` would be a second bucket, or none.
#include "limiter/selectors/redact_query.hpp"
#include "limiter/selectors/selector_kind.hpp"

#include <algorithm>

namespace weir::limiter::selectors {
namespace {

int hex_value(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// Takes one character off `rest`, which is not empty. A `%` without two hex digits stands for itself.
char next_decoded(std::string_view& rest) noexcept {
  const char c = rest.front();
  if (c == '%' && rest.size() >= 3 && hex_value(rest[1]) >= 0 && hex_value(rest[2]) >= 0) {
    const int value = hex_value(rest[1]) * 16 + hex_value(rest[2]);
    rest.remove_prefix(3);
    return static_cast<char>(value);
  }
  rest.remove_prefix(1);
  return c == '+' ? ' ' : c;
}

bool decodes_to(std::string_view encoded, std::string_view text) noexcept {
  while (!encoded.empty() && !text.empty()) {
    if (next_decoded(encoded) != text.front()) return false;
    text.remove_prefix(1);
  }
  return encoded.empty() && text.empty();
}

struct found_parameter {
  std::string_view raw_value;
  int count = 0;
};

found_parameter find_parameter(std::string_view name, std::string_view query) noexcept {
  found_parameter found;
  while (!query.empty()) {
    const auto end = query.find('&');
    const std::string_view pair = query.substr(0, end);
    query = end == std::string_view::npos ? std::string_view{} : query.substr(end + 1);
    const auto equals = pair.find('=');
    if (!decodes_to(pair.substr(0, equals), name)) continue;
    found.raw_value = equals == std::string_view::npos ? std::string_view{} : pair.substr(equals + 1);
    ++found.count;
  }
  return found;
}

std::optional<std::string_view> select_query(const std::string& name, const request_attributes& request,
                                             std::string& decoded) {
  const found_parameter found = find_parameter(name, request.query);
  if (found.count != 1) return std::nullopt;
  if (found.raw_value.find_first_of("%+") == std::string_view::npos) return trimmed(found.raw_value);
  decoded.clear();
  for (std::string_view rest = found.raw_value; !rest.empty();) decoded.push_back(next_decoded(rest));
  return trimmed(decoded);
}

bool repeated_query(const std::string& name, const request_attributes& request) {
  return find_parameter(name, request.query).count > 1;
}

std::optional<std::string> parameter_name(std::string_view text) {
  if (text.empty()) return std::nullopt;
  return std::string(text);
}

}  // namespace

const selector_kind query{
    .name = "query",
    .argument = parameter_name,
    .select = select_query,
    .repeated = repeated_query,
    .can_be_absent = true,
    .client_chosen = true,
};

}  // namespace weir::limiter::selectors

namespace weir::limiter {

void redact_query(std::string_view query, std::span<const std::string> names, std::string& out) {
  out.clear();
  while (!query.empty()) {
    const auto end = query.find('&');
    const std::string_view pair = query.substr(0, end);
    const std::string_view name = pair.substr(0, pair.find('='));
    const bool hidden =
        name.size() < pair.size() && std::any_of(names.begin(), names.end(), [name](std::string_view wanted) {
          return selectors::decodes_to(name, wanted);
        });
    out.append(hidden ? name : pair);
    if (hidden) out.append("=[redacted]");
    if (end == std::string_view::npos) return;
    out.push_back('&');
    query.remove_prefix(end + 1);
  }
}

}  // namespace weir::limiter
