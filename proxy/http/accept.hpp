// SPDX-License-Identifier: Apache-2.0
// Which media type a client would rather read (RFC 9110 12.5.1).
#pragma once

#include "proxy/http/head.hpp"

#include <string_view>

namespace weir::http {

/// How much a client wants one media type: thousandths of the weight of the most specific range that covers
/// it, 0 = not at all. Ranges are added line by line; malformed ones are ignored.
class accept_quality {
 public:
  /// Lower case, both.
  accept_quality(std::string_view type, std::string_view subtype) noexcept : type_(type), subtype_(subtype) {}
  /// One line of Accept.
  void add(std::string_view ranges) noexcept;
  [[nodiscard]] int value() const noexcept { return value_; }

 private:
  std::string_view type_, subtype_;
  int specificity_ = 0;  // 1 = */*, 2 = type/*, 3 = type/subtype
  int value_ = 0;
};

/// True when Accept gives `application/problem+json` more weight than `application/json`.
[[nodiscard]] bool prefers_problem_json(const request_head& head, std::string_view buffer) noexcept;

}  // namespace weir::http
