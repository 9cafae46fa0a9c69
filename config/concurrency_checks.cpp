// SPDX-License-Identifier: Apache-2.0
#include "config/concurrency_checks.hpp"

#include "config/did_you_mean.hpp"
#include "config/identity_checks.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace weir::config {

void complete_concurrency(concurrency_draft& draft, const proxy::settings& settings, reporter& report) {
  limiter::rule& value = draft.value;
  const auto absent = std::find_if(value.key.begin(), value.key.end(),
                                   [&](const auto& s) { return may_lack(s, settings, draft.match.value); });
  if (absent != value.key.end() && !draft.missing) {
    report.error("E0305", draft.key_at,
                 fmt::format("concurrency limit {}: what happens to requests without {}?",
                             in_ticks(value.name), in_ticks(absent->text)),
                 {"add `missing`",
                  "missing: skip (do not apply the limit), deny (401), or fallback (count by client_ip)"});
  }
  value.match = std::move(draft.match.value);
  value.missing = draft.missing.value_or(limiter::on_missing::skip);
  if (value.missing == limiter::on_missing::fallback)
    value.fallback.push_back(*limiter::parse_selector("client_ip"));
  value.failure_mode = draft.failure_mode.value_or(settings.store.failure_mode);
  value.quota.algorithm = limiter::algorithm::concurrency;
  value.quota.limit = value.quota.burst = draft.max;
  value.quota.period_us = std::chrono::microseconds{draft.lease}.count();
  draft.slots.queue_timeout_us = std::chrono::microseconds{draft.queue_timeout}.count();
  value.slots = draft.slots;
  value.rid = limiter::make_rule_id(value.name);
}

}  // namespace weir::config
