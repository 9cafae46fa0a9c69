// SPDX-License-Identifier: Apache-2.0
#include "proxy/decide/admission.hpp"

#include "proxy/identity/listed.hpp"

#include <utility>

namespace weir::proxy {

namespace {

admission match_rules(limited_request& r) {
  const settings& s = *r.policy->settings;
  s.policy.match(r.attributes, r.scratch, r.match);
  s.concurrency.match(r.attributes, r.scratch, r.slot_match);
  for (const limiter::match_result* match : {&r.match, &r.slot_match}) {
    if (match->malformed != nullptr) return admission::malformed;
    if (match->unauthenticated != nullptr) {
      r.match.unauthenticated = match->unauthenticated;
      return admission::unauthenticated;
    }
  }
  r.charges = std::move(r.match.charges);
  return admission::ask;
}

bool announces_too_much(const limited_request& r) {
  return r.head.framing == http::framing::content_length && r.head.content_length > body_limit(r);
}

}  // namespace

std::uint64_t body_limit(const limited_request& r) {
  const settings& s = *r.policy->settings;
  const std::uint64_t own = r.route ? s.routes[*r.route].body_size : 0;
  return own > 0 ? own : s.limits.body_size;
}

admission admit(limited_request& r) {
  const settings& s = *r.policy->settings;
  if (announces_too_much(r)) return admission::body_too_large;
  r.listed = identity::find_listed(s.block, r.attributes, r.scratch);
  if (r.listed != nullptr) return admission::blocked;
  if (r.route && s.routes[*r.route].require_user && !r.attributes.user) return admission::unauthenticated;
  r.listed = identity::find_listed(s.exempt, r.attributes, r.scratch);
  if (r.listed != nullptr) return admission::exempt;
  return match_rules(r);
}

record_decision admitted_as(const limited_request& r) noexcept {
  if (r.listed != nullptr) return record_decision::exempt;
  const bool watched = r.result.verdict == limiter::verdict::shadow_deny;
  return watched ? record_decision::shadow_deny : record_decision::allow;
}

void add_slot_charges(limited_request& r, std::string_view holder) {
  for (limiter::charge c : r.slot_match.charges) {
    c.holder = holder;
    (c.matched->slots->this_process ? r.here : r.charges).push_back(c);
  }
}

}  // namespace weir::proxy
