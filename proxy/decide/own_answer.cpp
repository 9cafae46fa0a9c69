// SPDX-License-Identifier: Apache-2.0
#include "proxy/decide/own_answer.hpp"

namespace weir::proxy {

using http::local_error;

own_answer answer_to_unknown(const limited_request& r) noexcept {
  const std::string_view why = identity::to_reason(r.token_problem);
  return {local_error::unauthenticated, why.empty() ? "unauthenticated" : why};
}

own_answer answer_to_denied(const limited_request& r, std::string_view failure) noexcept {
  using limiter::decision_reason;
  switch (r.result.reason) {
    case decision_reason::store_failed:
      return {local_error::store_unavailable, failure};
    case decision_reason::unauthenticated:
      return answer_to_unknown(r);
    case decision_reason::cost_exceeds_capacity:
      return {local_error::cost_exceeds_limit, "cost_exceeds_limit"};
    case decision_reason::within_limits:
    case decision_reason::over_limit:
      break;
  }
  return {local_error::rate_limited, failure.empty() ? "over_limit" : failure};
}

own_answer answer_without_slot(const limiter::rule& limit, bool waited) noexcept {
  const bool own = limit.slots->status == 429;
  return {own ? local_error::concurrency_limited : local_error::overloaded,
          waited ? "concurrency_timeout" : "concurrency_full"};
}

int answer_status(const limited_request& r, local_error error) noexcept {
  switch (error) {
    case local_error::rate_limited:
    case local_error::cost_exceeds_limit:
      return r.policy->settings->deny.status;
    case local_error::forbidden:
      return r.listed->status;
    default:
      return http::describe(error).status;
  }
}

}  // namespace weir::proxy
