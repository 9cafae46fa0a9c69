// SPDX-License-Identifier: Apache-2.0
// Many matches, filed by what they ask for, so that a request is compared with the few that it can fit.
// Routes and rules share it.
#pragma once

#include "limiter/length_order.hpp"
#include "limiter/path_template.hpp"
#include "limiter/request_match.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace weir::limiter {

/// Immutable after the last insert(). A look-up never allocates once `numbers` has its capacity.
class match_index {
 public:
  /// `number` is the caller's; no two matches share one.
  void insert(const request_match& match, std::uint32_t number);

  /// Appends, in ascending order, the numbers of all matches whose hosts, methods and paths fit, and of no
  /// others; of those without a host, only the ones whose first value fits. Routes and the rest are left to
  /// the caller. `path` is what templates are compared with; the request's own is not read. `scratch` holds
  /// decoded values.
  void candidates(const request_attributes& request, std::string_view path, std::string& scratch,
                  std::vector<std::uint32_t>& numbers) const {
    if (asks_) return find(request, path, scratch, numbers);
    for (const std::uint32_t number : others_.every.every) numbers.push_back(number);
  }

 private:
  using number_list = std::vector<std::uint32_t>;

  struct by_path {
    number_list every;
    path_trie some;
    bool any_template = false;

    void insert(const request_match& match, std::uint32_t number);
    void append(std::string_view path, number_list& numbers) const;
  };
  struct by_method {
    by_path every;
    std::map<std::string, by_path, length_order> some;

    void insert(const request_match& match, std::uint32_t number);
    void append(std::string_view method, std::string_view path, number_list& numbers) const;
  };
  struct by_value {
    selector from;
    std::map<std::string, by_method, length_order> some;
  };
  by_value& values_of(const selector& from);
  void find(const request_attributes& request, std::string_view path, std::string& scratch,
            number_list& numbers) const;

  // Each match is in one of these: with its hosts, else with its first value, else with all the others.
  std::map<std::string, by_method, length_order> hosts_;
  std::vector<by_value> values_;  // one per selector
  by_method others_;
  bool asks_ = false;  // some match asks for one of these; else every request fits all
};

}  // namespace weir::limiter
