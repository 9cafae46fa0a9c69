// SPDX-License-Identifier: Apache-2.0
// What a request leaves behind: its settlement and its access record.
#include "limiter/selectors/redact_query.hpp"
#include "proxy/decide/identify_user.hpp"
#include "proxy/downstream/session.hpp"
#include "proxy/http/grammar.hpp"
#include "proxy/http/rate_limit_fields.hpp"
#include "proxy/http/traceparent.hpp"
#include "proxy/observe/deployment.hpp"
#include "proxy/observe/log_ring.hpp"
#include "proxy/observe/metrics.hpp"

#include <algorithm>
#include <array>
#include <chrono>

namespace weir::proxy {

namespace {

constexpr std::string_view redacted = "[redacted]";

/// Secrets never reach the log by way of a query.
std::string_view shown_query(std::string_view query, const active_request& r, std::string& storage) {
  const auto& hidden = r.config->hidden_parameters;
  if (query.empty()) return query;
  limiter::redact_query(query, hidden, storage);
  return storage;
}

/// The page a client came from may hold a secret in its query, too.
std::string_view shown_referer(std::string_view referer, active_request& r) {
  const std::size_t query_at = referer.find('?');
  if (query_at == std::string_view::npos) return referer;
  r.referer_shown.assign(referer.substr(0, query_at + 1));
  r.referer_shown.append(shown_query(referer.substr(query_at + 1), r, r.query_shown));
  return r.referer_shown;
}

/// The fields the log is asked for; of several lines of a name the first.
std::span<const logged_field> shown_fields(active_request& r, std::string_view buffer) {
  r.fields_shown.clear();
  for (const logged_header& wanted : r.config->logged_headers) {
    for (std::size_t i = 0; i < r.head.field_count; ++i) {
      const http::field& f = r.head.fields[i];
      if (f.dropped || !http::grammar::equals_lower(r.head.name(f, buffer), wanted.name)) continue;
      std::string_view value = r.head.value(f, buffer);
      if (wanted.name == "referer") value = shown_referer(value, r);
      r.fields_shown.push_back({wanted.name, wanted.redacted ? redacted : value});
      break;
    }
  }
  return r.fields_shown;
}

void note_trace(access_record& line, const active_request& r, std::string_view buffer) {
  const http::field* f = r.head.find(http::header_id::traceparent);
  if (f == nullptr) return;
  const http::trace_context trace = http::parse_traceparent(r.head.value(*f, buffer));
  line.trace_id = plain_text(trace.trace_id);
  line.span_id = plain_text(trace.span_id);
}

/// What the client asked for; nothing of a head that was refused.
void note_request(access_record& line, active_request& r, std::string_view buffer) {
  if (r.attributes.method.empty()) return;
  line.method = plain_text(r.attributes.method);
  line.path = r.target.path;
  line.headers = shown_fields(r, buffer);  // before the query, whose storage it borrows
  line.query = shown_query(r.attributes.query, r, r.query_shown);
  note_trace(line, r, buffer);
  line.host = r.attributes.host;
  line.proto = r.head.version_minor > 0 ? plain_text("HTTP/1.1") : plain_text("HTTP/1.0");
  line.route = plain_text(r.attributes.route);
  line.upstream = plain_text(r.attributes.upstream);
}

/// What storage the views of a record borrow, until it is written.
struct record_storage {
  std::array<char, 16> user_hash;
  std::array<char, 16> key_hash;
  boost::container::small_vector<std::string_view, 4> shadow;
};

/// The rule that decided, or that is closest to do so.
void note_rule(access_record& line, const active_request& r, record_storage& storage) {
  const limiter::decision& decision = r.result;
  const bool denied = r.verdict == record_decision::deny;
  if (denied && r.no_slot != nullptr) {
    line.rule = plain_text(r.no_slot->name);
    line.limit = r.slots_at_most();
    line.remaining = 0;
    line.retry_after_us = decision.retry_after_us;
    return;
  }
  const int closest = r.verdict == record_decision::rejected ? -1 : http::closest_charge(r.charges, decision);
  if (closest >= 0) {
    const auto index = static_cast<std::size_t>(closest);
    const limiter::charge& charge = r.charges[index];
    line.rule = plain_text(charge.matched->name);
    line.limit = charge.quota().limit;
    line.remaining = decision.states[index].remaining;
    storage.key_hash = identity::to_hex(r.config->hashes->of(charge.subject));
    line.key_hash = plain_text({storage.key_hash.data(), storage.key_hash.size()});
    if (denied) line.retry_after_us = decision.retry_after_us;
  } else if (r.match.unauthenticated != nullptr) {
    line.rule = plain_text(r.match.unauthenticated->name);
  }
}

void note_decision(access_record& line, const active_request& r, record_storage& storage) {
  line.decision = r.verdict;
  line.reason = r.reason;
  if (r.verdict == record_decision::exempt) line.exempt = r.listed->reason;
  line.user_hash = shown_user(r, storage.user_hash);
  note_rule(line, r, storage);
  for (std::size_t i = 0; r.result.shadow_denied >> i != 0; ++i) {
    if ((r.result.shadow_denied >> i & 1) != 0) storage.shadow.push_back(r.charges[i].matched->name);
  }
  line.shadow = storage.shadow;
  if (r.verdict != record_decision::rejected && !r.charges.empty()) line.limiter_us = r.limiter_us;
}

void note_outcome(access_record& line, const active_request& r) {
  line.upstream_addr = r.upstream_addr;
  line.status = r.status;
  line.upstream_us = r.upstream_us;
  line.queue_us = r.queue_us;
  line.attempts = r.attempts;
  line.bytes_in = r.bytes_in();
  line.bytes_out = r.bytes_out;
}

void note_deployment(access_record& line) {
  const deployment& here = this_deployment();
  line.pod = here.pod;
  line.pod_namespace = here.pod_namespace;
  line.node = here.node;
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
  const bool refused_head = r.attributes.method.empty();
  worker_.metrics.request(
      r.config->route_slots[refused_head || !r.route ? r.config->route_slots.size() - 1 : *r.route],
      r.head.method_id, r.status, duration);
  worker_.metrics.overhead.observe(
      duration - std::max<std::int64_t>(r.upstream_us, 0) - std::max<std::int64_t>(r.queue_us, 0),
      buckets_b_us);
  if (r.verdict == record_decision::rejected) {
    worker_.metrics.rejected_by_code[static_cast<std::size_t>(r.status)].add();
  }
  if (worker_.access_log == nullptr) return;
  const access_log_settings& log = config().access_log;
  if (!log.filter.keeps(r.status, std::chrono::microseconds(duration), r.attempts, r.verdict)) return;
  write_log_line(worker_.wall_us(now), duration);
}

void session::write_log_line(std::int64_t wall_us, std::int64_t duration_us) {
  active_request& r = *request_;
  record_storage storage;
  access_record line;
  line.time_us = wall_us;
  line.duration_us = duration_us;
  line.request_id = plain_text(r.request_id);
  line.peer_ip = plain_text(peer_text_);
  line.client_ip = r.client_ip.empty() ? line.peer_ip : plain_text(r.client_ip);
  line.listener = listener_->name;
  note_request(line, r, buffer());
  note_decision(line, r, storage);
  note_outcome(line, r);
  note_deployment(line);
  (void)worker_.access_log->push(config().access_log.format->line(line));
}

}  // namespace weir::proxy
