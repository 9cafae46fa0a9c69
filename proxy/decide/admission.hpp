// SPDX-License-Identifier: Apache-2.0
// The order in which a request is judged before any store is asked: its size, `block`, a user the route
// demands, `exempt`, the rules.
#pragma once

#include "proxy/decide/limited_request.hpp"
#include "proxy/observe/access_record.hpp"

#include <cstdint>
#include <string_view>

namespace weir::proxy {

enum class admission : std::uint8_t {
  ask,              ///< the limiter decides about `charges`; none: it allows
  exempt,           ///< nothing counts it, by `listed`
  blocked,          ///< refused by `listed`
  body_too_large,   ///< announced so
  unauthenticated,  ///< its route demands a user, or `match.unauthenticated` a key
  malformed,        ///< a key of a rule is given several times
};

/// Bytes that the body of an identified request may have.
[[nodiscard]] std::uint64_t body_limit(const limited_request& request);

/// Judges an identified request; fills `listed`, `match`, `slot_match` and `charges`, the latter without
/// slots.
[[nodiscard]] admission admit(limited_request& request);

/// What a request that the limiter let pass is called.
[[nodiscard]] record_decision admitted_as(const limited_request& request) noexcept;

/// Asks for the slots of `slot_match` as well: those of `scope: local` are taken in this process (`here`),
/// the others travel in the rules' call. `holder` lives as long as the charges.
void add_slot_charges(limited_request& request, std::string_view holder);

}  // namespace weir::proxy
