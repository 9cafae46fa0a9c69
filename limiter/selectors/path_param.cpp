// SPDX-License-Identifier: Apache-2.0
// `path_param:x`: the segment that `{x}` of the route's path matched. Of several templates of a route the
// first that matches and has it.
#include "limiter/path_template.hpp"
#include "limiter/selectors/selector_kind.hpp"

namespace weir::limiter::selectors {
namespace {

std::optional<std::string> parameter_name(std::string_view text) {
  if (text.empty() || !path_template_problem("/{" + std::string(text) + "}").empty()) return std::nullopt;
  return std::string(text);
}

std::optional<std::string_view> select_parameter(const std::string& name, const request_attributes& request,
                                                 std::string&) {
  if (request.route_paths == nullptr) return std::nullopt;
  for (const std::string& path : *request.route_paths) {
    if (const auto segment = path_parameter(path, name, request.path)) return segment;
  }
  return std::nullopt;
}

}  // namespace

const selector_kind path_param{
    .name = "path_param",
    .argument = parameter_name,
    .select = select_parameter,
    .can_be_absent = true,
    .client_chosen = true,
};

}  // namespace weir::limiter::selectors
