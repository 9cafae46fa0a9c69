// SPDX-License-Identifier: Apache-2.0
// What a policy says to one request of a log.
#pragma once

#include "limiter/descriptor.hpp"

#include <boost/container/small_vector.hpp>
#include <cstdint>
#include <string_view>

namespace weir::replay {

enum class fate : std::uint8_t {
  allowed,
  denied,   ///< by a rule, or for want of a user
  exempt,   ///< not counted
  blocked,  ///< on the list of `block`
  refused,  ///< no request that rules would see: a path without one reading, a method that is not listed
};
[[nodiscard]] std::string_view to_string(fate f) noexcept;

/// What one rule was asked, and said.
struct judged_charge {
  std::uint32_t rule = 0;  ///< position in the replayed policy
  limiter::subject_key subject;
  std::int64_t cost = 0;
  bool over = false;    ///< the rule alone would deny
  bool shadow = false;  ///< but only says so
};

struct judgement {
  fate outcome = fate::allowed;
  /// Of a denied request the rule that is reported, no_rule for want of a user the route demands.
  std::uint32_t rule = no_rule;
  std::int64_t retry_after_us = 0;  ///< -1 = never
  boost::container::small_vector<judged_charge, 8> charges{};

  static constexpr std::uint32_t no_rule = ~std::uint32_t{0};
};

}  // namespace weir::replay
