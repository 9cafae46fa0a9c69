// SPDX-License-Identifier: Apache-2.0
// One execute() of a Redis store: the calls it became, and the one answer they make together. Pure.
#pragma once

#include "limiter/redis/call.hpp"
#include "limiter/store.hpp"

#include <boost/container/small_vector.hpp>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace weir::limiter::redis {

/// Charges with rules of their own, for calls that outlive the request.
struct kept_charges {
  std::vector<rule> rules;
  charge_list charges;
  std::vector<std::string> holders;
};
/// Copies what the store needs to know. The result must not be moved.
void keep(std::span<const charge> charges, kept_charges& out);

/// The charges of one slot.
struct charge_group {
  std::uint16_t slot = 0;
  boost::container::small_vector<std::uint32_t, 4> places;  ///< indices into the charges of the request
};
/// Groups in the order of their first charge.
using charge_groups = boost::container::small_vector<charge_group, 2>;
void group_by_slot(std::span<const charge> charges, charge_groups& out);

/// What one call said.
struct part_result {
  errc error = errc::closed;
  std::int64_t now_us = 0;
  boost::container::small_vector<rule_state, 4> states;
  std::uint32_t shadow = 0;  ///< bit i: state i is that of a shadow charge

  /// Answered, and every enforced rule allows: what these rules and the shadow ones allow is charged.
  [[nodiscard]] bool allowed() const noexcept;
  /// Answered, and an enforced rule denies.
  [[nodiscard]] bool denied() const noexcept { return error == errc::ok && !allowed(); }
};

/// True when the parts of a request that were taken have to be given back: another one denies. What gave no
/// answer is no reason by itself.
[[nodiscard]] bool must_give_back(operation op, std::span<const part_result* const> parts) noexcept;

/// The charges of a part that was taken, as a refund: costs are what was granted, since the part's clock.
/// `charges` are those of the part.
[[nodiscard]] charge_list refund_of(operation op, const part_result& part, std::span<const charge> charges);

/// The answer of all parts, in the order of the charges of the request. `given_back`: what was taken will be
/// as if it had not been.
void join(std::span<const charge_group> groups, std::span<const part_result* const> parts, operation op,
          std::span<const charge> charges, bool given_back, store_reply& out);

}  // namespace weir::limiter::redis
