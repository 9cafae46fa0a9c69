// SPDX-License-Identifier: Apache-2.0
#include "limiter/decision.hpp"

namespace weir::limiter {

rule as_charged(const charge& c) {
  rule copy;
  copy.name = c.matched->name;
  copy.rid = c.matched->rid;
  copy.index = c.matched->index;
  copy.quota = c.quota();
  copy.sharing = c.matched->sharing;
  copy.failure_mode = c.matched->failure_mode;
  copy.penalty_us = c.matched->penalty_us;
  copy.response_cost = c.matched->response_cost;
  copy.count = c.matched->count;
  copy.slots = c.matched->slots;
  return copy;
}

}  // namespace weir::limiter
