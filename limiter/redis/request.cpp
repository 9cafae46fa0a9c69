// SPDX-License-Identifier: Apache-2.0
#include "limiter/redis/request.hpp"

#include "limiter/redis/slots.hpp"

#include <algorithm>

namespace weir::limiter::redis {

void keep(std::span<const charge> charges, kept_charges& out) {
  out.rules.clear();
  out.rules.reserve(charges.size());
  out.holders.clear();
  out.holders.reserve(charges.size());
  out.charges.assign(charges.begin(), charges.end());
  for (charge& one : out.charges) {
    one.matched = &out.rules.emplace_back(as_charged(one));
    one.special = nullptr;
    one.holder = out.holders.emplace_back(one.holder);
  }
}

void group_by_slot(std::span<const charge> charges, charge_groups& out) {
  out.clear();
  for (std::uint32_t i = 0; i < charges.size(); ++i) {
    const bool repeated = i > 0 && charges[i].subject == charges[i - 1].subject;
    const std::uint16_t slot =
        repeated ? out.back().slot : hash_slot(charges[i].subject_name());  // the subject is the hash tag
    auto group = std::find_if(out.begin(), out.end(), [slot](const auto& g) { return g.slot == slot; });
    if (group == out.end()) {
      out.emplace_back().slot = slot;
      group = out.end() - 1;
    }
    group->places.push_back(i);
    // keep the newest group last, so that a repeated subject finds it
    if (group + 1 != out.end()) std::rotate(group, group + 1, out.end());
  }
}

bool part_result::allowed() const noexcept {
  if (error != errc::ok) return false;
  for (std::size_t i = 0; i < states.size(); ++i) {
    if (!states[i].allowed && (shadow >> i & 1) == 0) return false;
  }
  return true;
}

bool must_give_back(operation op, std::span<const part_result* const> parts) noexcept {
  if (op != operation::take && op != operation::take_upto) return false;
  return std::any_of(parts.begin(), parts.end(), [](const part_result* part) { return part->denied(); });
}

charge_list refund_of(operation op, const part_result& part, std::span<const charge> charges) {
  charge_list refund;
  for (std::size_t i = 0; i < charges.size(); ++i) {
    if (!part.states[i].allowed) continue;  // a shadow charge that was not taken
    charge back = charges[i];
    if (op == operation::take_upto) back.cost = part.states[i].granted;
    back.charged_at_us = part.now_us;
    back.aged = true;
    if (back.cost > 0 || !back.holder.empty()) refund.push_back(back);
  }
  return refund;
}

void join(std::span<const charge_group> groups, std::span<const part_result* const> parts, operation op,
          std::span<const charge> charges, bool given_back, store_reply& out) {
  out.now_us = 0;
  out.admitted = given_back ? 0 : 1;
  out.states.assign(charges.size(), rule_state{});
  out.failures.clear();
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const part_result& part = *parts[g];
    out.now_us = std::max(out.now_us, part.now_us);
    const bool refunded = given_back && part.allowed();
    for (std::size_t i = 0; i < groups[g].places.size(); ++i) {
      const std::uint32_t place = groups[g].places[i];
      rule_state& state = out.states[place];
      if (part.error != errc::ok) {
        if (out.failures.empty()) out.failures.assign(charges.size(), errc::ok);
        out.failures[place] = part.error;
        continue;
      }
      state = part.states[i];
      if (!refunded || !state.allowed) continue;
      state.remaining += op == operation::take_upto ? state.granted : charges[place].cost;
      state.granted = 0;
    }
  }
}

}  // namespace weir::limiter::redis
