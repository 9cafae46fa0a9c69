// SPDX-License-Identifier: Apache-2.0
// The charges of a request that ask for slots.
#pragma once

#include "limiter/limiter.hpp"
#include "proxy/slots/waiting_room.hpp"

namespace weir::proxy::slots {

[[nodiscard]] inline slot_key slot_key_of(const limiter::charge& c) noexcept {
  return {c.matched->rid, c.subject};
}

/// All charges for slots, wherever they are counted; ends when `use` returns true.
template <class Use>
const limiter::charge* find_slot_charge(const limiter::pending_decision& request, Use use) {
  for (const limiter::charge_list* list : {&request.here, &request.charges}) {
    for (const limiter::charge& c : *list) {
      if (c.matched->slots && use(c)) return &c;
    }
  }
  return nullptr;
}

}  // namespace weir::proxy::slots
