// SPDX-License-Identifier: Apache-2.0
// `header:X`: the value of one request field, bytes as sent.
#include "limiter/selectors/selector_kind.hpp"

namespace weir::limiter::selectors {
namespace {

std::optional<std::string> field_name(std::string_view text) {
  if (!is_token(text)) return std::nullopt;
  std::string name(text);
  for (char& c : name) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return name;
}

bool repeated_header(const std::string& name, const request_attributes& request) {
  return request.headers->repeated(name);
}

std::optional<std::string_view> select_header(const std::string& name, const request_attributes& request,
                                              std::string&) {
  const auto value = request.headers->header(name);
  if (!value || repeated_header(name, request)) return std::nullopt;
  return trimmed(*value);
}

}  // namespace

const selector_kind header{
    .name = "header",
    .argument = field_name,
    .select = select_header,
    .repeated = repeated_header,
    .can_be_absent = true,
    .client_chosen = true,
};

}  // namespace weir::limiter::selectors
