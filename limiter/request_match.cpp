// SPDX-License-Identifier: Apache-2.0
#include "limiter/request_match.hpp"

#include "limiter/path_template.hpp"
#include "limiter/request_attributes.hpp"

#include <algorithm>

namespace weir::limiter {
namespace {

bool allows(const std::vector<std::string>& list, std::string_view value) {
  return list.empty() || std::find(list.begin(), list.end(), value) != list.end();
}

bool allows_path(const std::vector<std::string>& templates, std::string_view path) {
  return templates.empty() || std::any_of(templates.begin(), templates.end(),
                                          [path](const std::string& t) { return path_matches(t, path); });
}

bool fits(const value_match& wanted, const request_attributes& request, std::string& scratch) {
  const auto value = select(wanted.from, request, scratch);
  return value && allows(wanted.values, *value);
}

}  // namespace

bool matches_who(const request_match& match, const request_attributes& request, std::string& scratch) {
  if (!match.clients.empty() && !match.clients.contains(request.client_address)) return false;
  return std::all_of(match.values.begin(), match.values.end(),
                     [&](const value_match& wanted) { return fits(wanted, request, scratch); }) &&
         std::none_of(match.excluded.begin(), match.excluded.end(),
                      [&](const request_match& other) { return matches(other, request, scratch); });
}

bool matches(const request_match& match, const request_attributes& request, std::string& scratch) {
  return allows(match.methods, request.method) && allows(match.hosts, request.host) &&
         allows(match.routes, request.route) && allows_path(match.paths, request.path) &&
         matches_who(match, request, scratch);
}

}  // namespace weir::limiter
