// SPDX-License-Identifier: Apache-2.0
#include "proxy/retry/retry_policy.hpp"

#include <algorithm>

namespace weir::proxy {
namespace {

template <typename List, typename Value>
bool contains(const List& list, const Value& value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

bool has_failed(const retry_settings& settings, const attempt& last) {
  return last.outcome != outcome::response || contains(settings.on_status, last.status);
}

bool is_retryable(const retry_settings& settings, const attempt& last) {
  switch (last.outcome) {
    case outcome::response:
      return last.status != 429 && contains(settings.on_status, last.status);
    case outcome::connect_error:
      return settings.on_connect_error;
    case outcome::reset_before_headers:
    case outcome::stale_connection:
      return settings.on_reset_before_headers;
    case outcome::first_byte_timeout:
      return settings.on_timeout;
    case outcome::bad_response:
      return false;  // the same answer would come again
  }
  return false;
}

/// What a repetition cannot harm: a method that may be sent twice, or a request that was not sent once.
bool is_safe(const retry_settings& settings, const attempt& last, const retry_facts& facts) {
  const bool nothing_sent = last.outcome == outcome::connect_error || !last.request_bytes_written;
  const bool repeatable = !facts.switches_protocol && contains(settings.methods, facts.method);
  return facts.body_replayable && (nothing_sent || repeatable);
}

}  // namespace

retry_step next_step(const retry_settings& settings, const attempt& last, const retry_facts& facts,
                     retry_budget& budget, std::int64_t now_us, random_below random, void* random_state) {
  if (facts.attempts_made > 1 && has_failed(settings, last)) budget.futile(now_us);
  if (facts.response_started || facts.attempts_made > settings.attempts) return {};
  if (!is_retryable(settings, last) || !is_safe(settings, last, facts)) return {};

  if (last.outcome == outcome::stale_connection && !facts.stale_before && facts.time_left_us > 0)
    return {.retry = true};

  std::int64_t delay = backoff_us(settings, facts.attempts_made, random, random_state);
  if (settings.honor_retry_after && last.outcome == outcome::response) {
    delay = std::max(delay, last.retry_after_us);
  }
  if (delay >= facts.time_left_us) return {};
  if (!budget.try_retry(now_us)) return {.budget_exhausted = true};
  return {.retry = true, .delay_us = delay, .unit_taken = true};
}

}  // namespace weir::proxy
