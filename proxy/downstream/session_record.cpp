// SPDX-License-Identifier: Apache-2.0
// What a request leaves behind: its settlement and its access record.
#include "limiter/selectors/redact_query.hpp"
#include "proxy/downstream/session.hpp"
#include "proxy/http/rate_limit_fields.hpp"
#include "proxy/observe/log_ring.hpp"
#include "proxy/observe/metrics.hpp"

#include <algorithm>

namespace weir::proxy {

namespace {

/// Keys of users never reach the log by way of the query.
std::string_view shown_query(active_request& r) {
  const auto& hidden = r.config->hidden_parameters;
  if (hidden.empty() || r.attributes.query.empty()) return r.attributes.query;
  limiter::redact_query(r.attributes.query, hidden, r.query_shown);
  return r.query_shown;
}

}  // namespace

/// The permit pays by what became of the request. Whoever ends a request without this abandons it.
void session::settle(bool complete) {
  release_slots();
  if (!request_->permit) return;
  if (request_->permit->owes()) {
    request_->meter.end(complete, request_->bytes_in(), request_->bytes_out);
    const auto actual = [this](const limiter::rule& matched) { return request_->meter.actual(matched); };
    request_->permit->settle({request_->status, complete, actual});
  }
  request_->permit.reset();
}

void session::record() {
  active_request& r = *request_;
  const std::int64_t now = steady_now_us();
  const std::int64_t duration = now - r.started_us;
  const http::request_head& head = r.head;
  const bool refused_head = r.attributes.method.empty();
  worker_.metrics.request(
      r.config->route_slots[refused_head || !r.route ? r.config->route_slots.size() - 1 : *r.route],
      head.method_id, r.status, duration);
  worker_.metrics.overhead.observe(
      duration - std::max<std::int64_t>(r.upstream_us, 0) - std::max<std::int64_t>(r.queue_us, 0),
      buckets_b_us);
  if (r.verdict == record_decision::rejected) {
    worker_.metrics.rejected_by_code[static_cast<std::size_t>(r.status)].add();
  }
  if (worker_.access_log == nullptr) return;

  access_record line;
  line.time_us = wall_now_us();
  line.request_id = r.request_id;
  line.client_ip = r.client_ip.empty() ? std::string_view(peer_text_) : std::string_view(r.client_ip);
  line.peer_ip = peer_text_;
  line.user_hash = r.user_hash;
  line.listener = listener_->name;
  if (!refused_head) {
    line.method = r.attributes.method;
    line.path = r.target.path;
    line.query = shown_query(r);
    line.host = r.attributes.host;
    line.proto = head.version_minor > 0 ? "HTTP/1.1" : "HTTP/1.0";
    line.route = r.attributes.route;
    line.upstream = r.attributes.upstream;
  }
  line.upstream_addr = r.upstream_addr;
  line.status = r.status;
  line.decision = r.verdict;
  line.reason = r.reason;
  if (r.verdict == record_decision::exempt) line.exempt = r.listed->reason;
  const limiter::decision& decision = r.result;
  const int closest = http::closest_charge(r.charges, decision);
  if (r.no_slot != nullptr && r.verdict == record_decision::deny) {
    line.rule = r.no_slot->name;
    line.limit = r.slots_at_most();
    line.remaining = 0;
    line.retry_after_us = decision.retry_after_us;
  } else if (r.verdict != record_decision::rejected && closest >= 0) {
    const auto index = static_cast<std::size_t>(closest);
    line.rule = r.charges[index].matched->name;
    line.limit = r.charges[index].quota().limit;
    line.remaining = decision.states[index].remaining;
    if (r.verdict == record_decision::deny) line.retry_after_us = decision.retry_after_us;
  } else if (r.match.unauthenticated != nullptr) {
    line.rule = r.match.unauthenticated->name;
  }
  boost::container::small_vector<std::string_view, 4> shadow;
  for (std::size_t i = 0; i < r.charges.size(); ++i) {
    if ((decision.shadow_denied >> i & 1) != 0) shadow.push_back(r.charges[i].matched->name);
  }
  line.shadow = shadow;
  line.duration_us = duration;
  line.upstream_us = r.upstream_us;
  if (r.verdict != record_decision::rejected && !r.charges.empty()) line.limiter_us = r.limiter_us;
  line.queue_us = r.queue_us;
  line.attempts = r.attempts;
  line.bytes_in = r.bytes_in();
  line.bytes_out = r.bytes_out;
  r.scratch.clear();
  append_json(r.scratch, line);
  (void)worker_.access_log->push(r.scratch);
}

}  // namespace weir::proxy
