// SPDX-License-Identifier: Apache-2.0
// May this attempt be repeated, and when? Pure: outcome in, step out.
#pragma once

#include "proxy/retry/backoff.hpp"
#include "proxy/retry/retry_budget.hpp"
#include "proxy/settings.hpp"

#include <cstdint>
#include <string_view>

namespace weir::proxy {

/// How one attempt at an endpoint ended.
enum class outcome : std::uint8_t {
  response,              ///< a complete, valid head came; see status
  connect_error,         ///< refused, unreachable, connect timeout: no byte was written
  reset_before_headers,  ///< closed or reset after bytes were written, before a complete head
  stale_connection,      ///< as reset_before_headers, on a pooled connection that had served before
  first_byte_timeout,
  bad_response,  ///< a head that is refused
};

struct attempt {
  proxy::outcome outcome = outcome::response;
  int status = 0;                     ///< of a response
  std::int64_t retry_after_us = -1;   ///< how long every endpoint asked to be left alone; -1, 0 = not at all
  bool request_bytes_written = true;  ///< false: nothing of the request left
};

/// What the request allows.
struct retry_facts {
  std::string_view method;
  int attempts_made = 1;
  bool body_replayable = true;     ///< no body, or wholly buffered
  bool switches_protocol = false;  ///< what an upgrade sets off is not the method's promise
  bool response_started = false;   ///< a byte went downstream: never again
  bool stale_before = false;       ///< it has met a stale connection already
  std::int64_t time_left_us = 0;   ///< until the total deadline
};

struct retry_step {
  bool retry = false;
  std::int64_t delay_us = 0;      ///< backoff with jitter, not below Retry-After
  bool unit_taken = false;        ///< one unit of the budget, to be returned by budget.finished()
  bool budget_exhausted = false;  ///< it would have been retried but for the budget
};

/// Decides and, when it says retry, takes one unit from `budget`. The first stale pooled connection of a
/// request costs neither a unit nor a wait: it says nothing about the upstream (RFC 9112, 9.3.1), and there
/// are never more of them than requests that went well before. To be called for every attempt that ends, also
/// the last: the budget learns from it whether retries help. No step reaches past the deadline: a wait that
/// long, be it backoff or Retry-After, means no retry. 429 is never retried. Methods outside settings.methods
/// are retried only when no request byte was written. A stale pooled connection is otherwise retried like
/// reset_before_headers.
[[nodiscard]] retry_step next_step(const retry_settings& settings, const attempt& last,
                                   const retry_facts& facts, retry_budget& budget, std::int64_t now_us,
                                   random_below random, void* random_state);

}  // namespace weir::proxy
