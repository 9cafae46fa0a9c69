// SPDX-License-Identifier: Apache-2.0
#include "proxy/upstream/health/health_board.hpp"

#include <algorithm>

namespace weir::proxy {

health_board::health_board(const outlier_settings& settings, std::size_t endpoints)
    : endpoints_(endpoints, entry{circuit(settings)}),
      most_ejected_(endpoints * static_cast<std::size_t>(settings.max_ejected) / 100),
      up_(endpoints),
      deweight_(settings.deweight_429) {}

standing health_board::standing_of(std::size_t endpoint, bool retry, std::uint32_t random,
                                   std::int64_t now_us) const noexcept {
  const entry& e = at(endpoint);
  if (!e.checks_well || !e.circuit.may_pass(now_us)) return standing::out;
  if (retry) return now_us < e.asked_until_us ? standing::refusing : standing::fine;
  if (!deweight_ || now_us >= e.lighter_until_us) return standing::fine;
  const bool lucky = (random * refusing_share) >> 32 == 0;
  return lucky ? standing::fine : standing::refusing;
}

bool health_board::begin(std::size_t endpoint, std::int64_t now_us) noexcept {
  return endpoints_[endpoint].circuit.begin(now_us);
}

/// Never more than max_ejected, and never the last one in use.
bool health_board::may_eject(const entry& e) const noexcept {
  return ejected_ < most_ejected_ && up_ > (e.up ? 1u : 0u);
}

health_change health_board::end(std::size_t endpoint, bool probe, attempt_result how,
                                std::int64_t now_us) noexcept {
  entry& e = endpoints_[endpoint];
  if (probe) {
    const auto outcome = how == attempt_result::good  ? circuit::probe::good
                         : how == attempt_result::bad ? circuit::probe::bad
                                                      : circuit::probe::abandoned;
    e.circuit.probe_ended(outcome, now_us);
    if (how == attempt_result::bad) return {health_change::kind::out, eject_reason::probe_failed};
    if (how == attempt_result::good) --ejected_;
    return refresh(e, {});
  }
  if (how == attempt_result::abandoned) return {};
  const std::optional<eject_reason> reason = e.circuit.ended(how == attempt_result::bad, now_us);
  if (!reason || !may_eject(e)) return {};
  e.circuit.eject(now_us);
  ++ejected_;
  health_change change = refresh(e, *reason);
  change.what = health_change::kind::out;
  change.reason = *reason;
  return change;
}

health_change health_board::checked(std::size_t endpoint, bool healthy) noexcept {
  entry& e = endpoints_[endpoint];
  if (e.checks_well == healthy) return {};
  e.checks_well = healthy;
  return refresh(e, eject_reason::health_check);
}

health_change health_board::refresh(entry& e, eject_reason reason) noexcept {
  const bool now_up = e.checks_well && e.circuit.closed();
  if (now_up == e.up) return {};
  e.up = now_up;
  up_ += now_up ? 1 : std::size_t(-1);
  return {now_up ? health_change::kind::back : health_change::kind::out, reason, true};
}

void health_board::refused(std::size_t endpoint, std::int64_t retry_after_us, std::int64_t now_us) noexcept {
  entry& e = endpoints_[endpoint];
  const std::int64_t asked = std::clamp<std::int64_t>(retry_after_us, 0, longest_refusal_us);
  const std::int64_t lighter = retry_after_us < 0 ? default_refusal_us : asked;
  e.asked_until_us = std::max(e.asked_until_us, now_us + asked);
  e.lighter_until_us = std::max(e.lighter_until_us, now_us + lighter);
}

std::int64_t health_board::wait_us(std::int64_t now_us) const noexcept {
  std::int64_t soonest = -1;
  for (const entry& e : endpoints_) {
    if (!e.checks_well || !e.circuit.may_pass(now_us)) continue;
    const std::int64_t wait = std::max<std::int64_t>(0, e.asked_until_us - now_us);
    if (soonest < 0 || wait < soonest) soonest = wait;
  }
  return std::max<std::int64_t>(0, soonest);
}

}  // namespace weir::proxy
