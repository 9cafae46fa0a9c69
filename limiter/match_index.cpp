// SPDX-License-Identifier: Apache-2.0
#include "limiter/match_index.hpp"

#include "limiter/request_attributes.hpp"

#include <algorithm>

namespace weir::limiter {

void match_index::by_path::insert(const std::vector<std::string>& templates, std::uint32_t number) {
  if (templates.empty()) every.push_back(number);
  for (const std::string& text : templates) some.insert(text, number);
  any_template = any_template || !templates.empty();
}

void match_index::by_path::append(std::string_view path, number_list& numbers) const {
  numbers.insert(numbers.end(), every.begin(), every.end());
  if (any_template) some.match(path, numbers);
}

match_index::by_value& match_index::values_of(const selector& from) {
  const auto known =
      std::find_if(values_.begin(), values_.end(), [&](const by_value& v) { return v.from == from; });
  return known != values_.end() ? *known : values_.emplace_back(by_value{from, {}});
}

void match_index::insert(const request_match& match, std::uint32_t number) {
  const bool by_one_value =
      match.paths.empty() && !match.values.empty() && !match.values.front().values.empty();
  if (!match.hosts.empty()) {
    for (const std::string& host : match.hosts) hosts_[host].insert(match.paths, number);
  } else if (by_one_value) {
    by_value& filed = values_of(match.values.front().from);
    for (const std::string& value : match.values.front().values) filed.numbers[value].push_back(number);
  } else {
    everywhere_.insert(match.paths, number);
  }
}

void match_index::candidates(const request_attributes& request, std::string_view path, std::string& scratch,
                             std::vector<std::uint32_t>& numbers) const {
  const auto start = static_cast<std::ptrdiff_t>(numbers.size());
  everywhere_.append(path, numbers);
  if (!hosts_.empty()) {
    const auto host = hosts_.find(request.host);
    if (host != hosts_.end()) host->second.append(path, numbers);
  }
  for (const by_value& filed : values_) {
    const auto value = select(filed.from, request, scratch);
    if (!value) continue;
    const auto found = filed.numbers.find(*value);
    if (found != filed.numbers.end())
      numbers.insert(numbers.end(), found->second.begin(), found->second.end());
  }
  if (numbers.end() - numbers.begin() - start < 2) return;
  std::sort(numbers.begin() + start, numbers.end());
  numbers.erase(std::unique(numbers.begin() + start, numbers.end()),
                numbers.end());  // a host that is listed twice
}

}  // namespace weir::limiter
