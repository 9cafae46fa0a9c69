// SPDX-License-Identifier: Apache-2.0
#include "limiter/match_index.hpp"

#include "limiter/request_attributes.hpp"

#include <algorithm>
#include <functional>

namespace weir::limiter {

void match_index::by_path::insert(const request_match& match, std::uint32_t number) {
  if (match.paths.empty()) every.push_back(number);
  for (const std::string& text : match.paths) some.insert(text, number);
  any_template = any_template || !match.paths.empty();
}

void match_index::by_path::append(std::string_view path, number_list& numbers) const {
  for (const std::uint32_t number : every) numbers.push_back(number);
  if (any_template) some.match(path, numbers);
}

void match_index::by_method::insert(const request_match& match, std::uint32_t number) {
  if (match.methods.empty()) every.insert(match, number);
  for (const std::string& method : match.methods) some[method].insert(match, number);
}

void match_index::by_method::append(std::string_view method, std::string_view path,
                                    number_list& numbers) const {
  every.append(path, numbers);
  const auto found = some.find(method);
  if (found != some.end()) found->second.append(path, numbers);
}

match_index::by_value& match_index::values_of(const selector& from) {
  const auto known =
      std::find_if(values_.begin(), values_.end(), [&](const by_value& v) { return v.from == from; });
  return known != values_.end() ? *known : values_.emplace_back(by_value{from, {}});
}

void match_index::insert(const request_match& match, std::uint32_t number) {
  const bool has_value = !match.values.empty() && !match.values.front().values.empty();
  asks_ = asks_ || has_value || !match.hosts.empty() || !match.methods.empty() || !match.paths.empty();
  if (!match.hosts.empty()) {
    for (const std::string& host : match.hosts) hosts_[host].insert(match, number);
  } else if (has_value) {
    by_value& filed = values_of(match.values.front().from);
    for (const std::string& value : match.values.front().values) filed.some[value].insert(match, number);
  } else {
    others_.insert(match, number);
  }
}

void match_index::find(const request_attributes& request, std::string_view path, std::string& scratch,
                       number_list& numbers) const {
  const std::size_t start = numbers.size();
  others_.append(request.method, path, numbers);
  const auto host = hosts_.find(request.host);
  if (host != hosts_.end()) host->second.append(request.method, path, numbers);
  for (const by_value& filed : values_) {
    const auto value = select(filed.from, request, scratch);
    if (!value) continue;
    const auto found = filed.some.find(*value);
    if (found != filed.some.end()) found->second.append(request.method, path, numbers);
  }
  const auto first = numbers.begin() + static_cast<std::ptrdiff_t>(start);
  if (std::adjacent_find(first, numbers.end(), std::greater_equal<>()) == numbers.end()) return;
  std::sort(first, numbers.end());
  numbers.erase(std::unique(first, numbers.end()), numbers.end());  // a host may be listed twice
}

}  // namespace weir::limiter
