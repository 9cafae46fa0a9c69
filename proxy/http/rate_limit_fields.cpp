// SPDX-License-Identifier: Apache-2.0
#include "proxy/http/rate_limit_fields.hpp"

#include "proxy/thread_room.hpp"

#include <cassert>

namespace weir::http {

void append_rate_limit_fields(std::string& out, std::span<const limiter::charge> charges,
                              const limiter::decision& decision, const emitter_list& emitters,
                              const item_options& options) {
  if (charges.empty() || decision.states.empty() || emitters.empty()) return;
  const item_list list = collect_items(charges, decision, options);
  const std::span<char> room = proxy::thread_room(emitters.size() * emitter_room);
  char* at = room.data();
  for (const rate_limit_emitter* emitter : emitters) at = emitter->put(at, list);
  assert(at <= room.data() + room.size());
  out.append(room.data(), static_cast<std::size_t>(at - room.data()));
}

void spread_waits(limiter::decision& denial, int percent, std::uint32_t random) noexcept {
  // the share in parts of 2^20, so that a wait of a year times it fits
  const std::int64_t share = (static_cast<std::int64_t>(random) * percent / 100) >> 12;
  const auto lengthen = [share](std::int64_t& wait_us) {
    if (wait_us > 0) wait_us += ((wait_us >> 10) * share >> 10) + ((wait_us & 1023) * share >> 20);
  };
  lengthen(denial.retry_after_us);
  for (limiter::rule_state& state : denial.states) {
    if (!state.allowed) lengthen(state.retry_after_us);
  }
}

}  // namespace weir::http
