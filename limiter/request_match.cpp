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

mismatch who_mismatch(const request_match& match, const request_attributes& request, std::string& scratch) {
  if (!match.clients.empty() && !match.clients.contains(request.client_address))
    return {match_part::client_ip};
  for (const value_match& wanted : match.values) {
    if (!fits(wanted, request, scratch)) return {match_part::value, &wanted};
  }
  for (const request_match& other : match.excluded) {
    if (matches(other, request, scratch)) return {match_part::excluded};
  }
  return {};
}

}  // namespace

bool matches_who(const request_match& match, const request_attributes& request, std::string& scratch) {
  return who_mismatch(match, request, scratch).part == match_part::none;
}

mismatch find_mismatch(const request_match& match, const request_attributes& request, std::string& scratch) {
  if (!allows(match.methods, request.method)) return {match_part::methods};
  if (!allows(match.hosts, request.host)) return {match_part::host};
  if (!allows(match.routes, request.route)) return {match_part::route};
  if (!allows_path(match.paths, request.path)) return {match_part::path};
  return who_mismatch(match, request, scratch);
}

bool matches(const request_match& match, const request_attributes& request, std::string& scratch) {
  return find_mismatch(match, request, scratch).part == match_part::none;
}

}  // namespace weir::limiter
