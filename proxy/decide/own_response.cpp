// SPDX-License-Identifier: Apache-2.0
#include "proxy/decide/own_response.hpp"

#include "proxy/decide/own_answer.hpp"
#include "proxy/http/accept.hpp"
#include "proxy/http/rate_limit_fields.hpp"

#include <algorithm>

namespace weir::proxy {

namespace {

using http::local_error;

/// Who reads the answer, and in which form. A head that was refused says neither.
void note_audience(http::error_context& context, const limited_request& r, std::string_view buffer) {
  const deny_settings& deny = r.policy->settings->deny;
  const bool readable = !r.attributes.method.empty();
  context.negotiated = deny.body == deny_body::by_accept;
  const bool problem = deny.body == deny_body::problem_json ||
                       (context.negotiated && readable && http::prefers_problem_json(r.head, buffer));
  if (problem) context.body = http::answer_body::problem;
  context.cors.on = deny.mirror_origin;
  if (context.cors.on && readable) context.cors.origin = http::single_value(r.head, buffer, "origin");
}

http::error_context context_of(const limited_request& r, const response_frame& frame) {
  http::error_context context;
  context.request_id = plain_text(frame.request_id);  // random or sane
  context.date = frame.date;
  context.extra_fields = frame.limit_fields;
  context.head_request = r.head.method_id == http::method_id::head;
  context.close = frame.close;
  note_audience(context, r, frame.buffer);
  return context;
}

/// What the body tells of the limits that denied.
http::denial_details denial_of(const limited_request& r) {
  http::denial_details details;
  const auto limiting = static_cast<std::size_t>(r.result.limiting);
  const limiter::charge& charge = r.charges[limiting];
  details.retry_after_s = http::retry_after_seconds(r.charges, r.result);
  if (charge.matched->headers == limiter::header_visibility::visible) {
    details.rule = plain_text(charge.matched->name);
    details.limit = charge.quota().limit;
    details.remaining = r.result.states[limiting].remaining;
  }
  return details;
}

http::denial_details slot_denial_of(const limited_request& r) {
  const std::int64_t wait_s = http::whole_seconds(r.result.retry_after_us);
  return {.rule = plain_text(r.no_slot->name),
          .limit = r.slots_at_most(),
          .retry_after_s = std::max<std::int64_t>(1, wait_s)};
}

/// Which rules denied.
http::policy_names violated_of(const limited_request& r, local_error error) {
  if (error == local_error::concurrency_limited) return {1, std::string_view(r.no_slot->name)};
  return http::violated_policies(r.charges, r.result);
}

}  // namespace

void append_limit_fields(std::string& out, const limited_request& r, const http::emitter_list& emitters,
                         std::int64_t wall_us) {
  if (r.no_slot != nullptr) {
    const std::int64_t wait_s = http::whole_seconds(r.result.retry_after_us);
    out.append("Retry-After: ").append(std::to_string(wait_s)).append("\r\n");
    return;
  }
  const settings& s = *r.policy->settings;
  const bool denied = r.result.verdict == limiter::verdict::deny;
  if (r.charges.empty() || (!denied && !s.deny.headers_on_all)) return;
  if (denied && r.result.reason == limiter::decision_reason::store_failed) {
    out.append("Retry-After: 1\r\n");
    return;
  }
  const http::item_options options{.epoch = s.deny.reset_is_time,
                                   .wall_now_us = wall_us,
                                   .partitions = s.deny.tell_partitions ? r.policy->hashes.get() : nullptr};
  http::append_rate_limit_fields(out, r.charges, r.result, emitters, options);
}

std::size_t append_own_response(std::string& out, const limited_request& r, local_error error,
                                const response_frame& frame) {
  http::error_context context = context_of(r, frame);
  context.status = answer_status(r, error);
  http::denial_details details;
  http::policy_names violated;
  std::string allow;
  switch (error) {
    case local_error::rate_limited:
    case local_error::cost_exceeds_limit:
      details = denial_of(r);
      context.denial = &details;
      break;
    case local_error::concurrency_limited:
      details = slot_denial_of(r);
      context.denial = &details;
      break;
    case local_error::unauthenticated:  // RFC 9110 15.5.2 demands a challenge
      context.extra_fields =
          r.policy->settings->jwt ? "WWW-Authenticate: Bearer\r\n" : "WWW-Authenticate: Key\r\n";
      break;
    case local_error::method_not_allowed:
    case local_error::method_not_listed:
      http::assign_allow(allow, r.policy->settings->http.methods);
      context.extra_fields = allow;
      break;
    default:
      break;
  }
  if (context.denial != nullptr && context.body == http::answer_body::problem) {
    violated = violated_of(r, error);
    context.violated = violated;
  }
  return http::append_error_response(out, error, context);
}

void append_own_options(std::string& out, const limited_request& r, const response_frame& frame) {
  std::string allow;
  http::assign_allow(allow, r.policy->settings->http.methods);
  http::error_context context = context_of(r, frame);
  context.extra_fields = allow;
  http::append_options_response(out, context);
}

}  // namespace weir::proxy
