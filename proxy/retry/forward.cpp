// SPDX-License-Identifier: Apache-2.0
#include "proxy/retry/forward.hpp"

#include "proxy/http/upstream_hints.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace weir::proxy {

namespace {

constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();

std::uint64_t random_from(void* state, std::uint64_t bound) {
  return static_cast<random_source*>(state)->below(bound);
}

bool is_gateway_error(int status) noexcept {
  return status >= 502 && status <= 504;
}

}  // namespace

void forward::begin(const limiter::permit&, active_request& request, upstream& target,
                    std::int64_t total_us) {
  request_ = &request;
  upstream_ = &target;
  endpoint_ = nullptr;
  exchange_.reset();
  replay_.clear();
  tried_.clear();
  stage_ = stage::idle;
  connect_failed_.reset();
  retry_granted_ = met_stale_ = false;
  began_us_ = worker_.now_us;
  total_deadline_us_ = total_us > 0 ? began_us_ + total_us : never;
  upstream_->budget.request(began_us_);
}

forward::progress forward::resume() {
  for (;;) {
    if (const std::optional<progress> done = step()) {
      if (*done != progress::pending && *done != progress::yield) {
        end_retry();
        attempt_ended(attempt_result::abandoned);  // unless it is known already
        request_->upstream_us = worker_.now_us - began_us_;
      }
      return *done;
    }
  }
}

/// One move of the state machine; nothing when another may follow at once.
std::optional<forward::progress> forward::step() {
  if (connect_failed_) {
    const bool refused_tls = *connect_failed_ == connect_failure::tls;
    connect_failed_.reset();
    return attempt_failed({outcome::connect_error, 0, -1, false}, http::local_error::bad_gateway,
                          refused_tls ? "upstream_tls_error" : "connect_error");
  }
  const bool late = worker_.now_us >= total_deadline_us_;
  if (late && !exchange_.accepted()) {
    // An endpoint that had the whole time for itself has failed; a later attempt had only what was left.
    const bool waited =
        stage_ == stage::connecting || (stage_ == stage::exchanging && exchange_.upload_done());
    if (waited && request_->attempts == 1) attempt_ended(attempt_result::bad);
    leave_attempt();
    upstream_->counters.by_code[0].add();
    return fail(http::local_error::upstream_timeout, "upstream_total_timeout");
  }
  switch (stage_) {
    case stage::idle:
      return start_attempt();
    case stage::queued:
      if (worker_.now_us < stage_deadline_us_) return progress::pending;
      leave_attempt();
      return fail(http::local_error::upstream_overloaded, "upstream_pool_timeout");
    case stage::connecting:
      if (worker_.now_us < stage_deadline_us_) return progress::pending;
      endpoint_->note_unreachable();
      return attempt_failed({outcome::connect_error, 0, -1, false}, http::local_error::upstream_timeout,
                            "connect_timeout");
    case stage::connected:
      stage_ = stage::exchanging;
      request_->to_upstream.reset();
      owner_.write_request_head(endpoint_->settings());
      exchange_.begin(std::move(fresh_), *request_, replay_, upstream_->settings.retry.body_buffer);
      return std::nullopt;
    case stage::backoff:
      if (worker_.now_us < stage_deadline_us_) return progress::pending;
      stage_ = stage::idle;
      return std::nullopt;
    case stage::exchanging:
      return drive_exchange();
  }
  return progress::pending;
}

std::optional<forward::progress> forward::start_attempt() {
  ticket_ = upstream_->pick({tried_.data(), tried_.size()}, request_->client_group);
  endpoint_ = &upstream_->endpoint(ticket_->endpoint);
  if (tried_.size() < tried_.capacity()) tried_.push_back(ticket_->endpoint);
  ++request_->attempts;
  request_->upstream_addr = endpoint_->text();
  attempt_us_ = worker_.now_us;
  const auto& methods = upstream_->settings.retry.methods;
  const bool repeatable =
      request_->upgrade.empty() &&
      std::find(methods.begin(), methods.end(), request_->attributes.method) != methods.end();
  switch (endpoint_->acquire(*this, repeatable && !met_stale_, fresh_)) {
    case acquire_status::ready:
      upstream_->counters.pool_wait.observe(0, buckets_b_us);
      stage_ = stage::connected;
      return std::nullopt;
    case acquire_status::connecting:
      stage_ = stage::connecting;
      stage_deadline_us_ =
          worker_.now_us + to_us(upstream_->settings.timeout_connect) + endpoint_->extra_patience_us();
      return progress::pending;
    case acquire_status::queued:
      stage_ = stage::queued;
      stage_deadline_us_ = worker_.now_us + to_us(upstream_->settings.pool.acquire_timeout);
      return progress::pending;
    case acquire_status::overloaded:
      return fail(http::local_error::upstream_overloaded, "upstream_pool_full");
    case acquire_status::failed:
      break;
  }
  return attempt_failed({outcome::connect_error, 0, -1, false}, http::local_error::bad_gateway,
                        "connect_error");
}

void forward::on_connection(upstream_lease lease) {
  upstream_->counters.pool_wait.observe(worker_.now_us - attempt_us_, buckets_b_us);
  fresh_ = std::move(lease);
  stage_ = stage::connected;
  owner_.on_forward_event();
}

void forward::on_connect_failed(connect_failure why) {
  connect_failed_ = why;
  owner_.on_forward_event();
}

std::optional<forward::progress> forward::drive_exchange() {
  const bool reused = exchange_.connection_was_reused();
  switch (exchange_.resume()) {
    case exchange::progress::pending:
      return check_exchange_deadlines();
    case exchange::progress::yield:
      return progress::yield;
    case exchange::progress::head_ready:
      return on_response();
    case exchange::progress::switched:
      upstream_->counters.by_code[101].add();
      upstream_->counters.duration.observe(worker_.now_us - attempt_us_, buckets_a_us);
      stage_ = stage::idle;
      total_deadline_us_ = never;  // whoever takes the connection has deadlines of its own
      return progress::switched;
    case exchange::progress::complete:
      upstream_->counters.duration.observe(worker_.now_us - attempt_us_, buckets_a_us);
      exchange_.finish();
      return progress::complete;
    case exchange::progress::reset:
      return attempt_failed({reused ? outcome::stale_connection : outcome::reset_before_headers, 0, -1,
                             exchange_.request_bytes_written()},
                            http::local_error::bad_gateway, "upstream_reset");
    case exchange::progress::bad_response:
      return attempt_failed({outcome::bad_response, 0, -1, true}, http::local_error::bad_gateway,
                            "upstream_bad_response");
    case exchange::progress::aborted:
      request_->reason = "upstream_aborted";
      exchange_.drop();
      return progress::aborted;
    case exchange::progress::client_gone:
      exchange_.drop();
      return progress::client_gone;
    case exchange::progress::body_malformed:
      return fail(http::local_error::bad_request, "bad_request_body");
    case exchange::progress::body_too_large:
      return fail(http::local_error::body_too_large, "body_too_large");
  }
  return progress::pending;
}

std::optional<forward::progress> forward::check_exchange_deadlines() {
  const std::int64_t now = worker_.now_us;
  const upstream_settings& settings = upstream_->settings;
  if (exchange_.accepted()) {
    if (exchange_.waits_for_client_write()) {
      const std::int64_t patience = to_us(request_->config->settings->limits.write_idle_timeout);
      if (now < exchange_.client_write_us() + patience) return progress::pending;
      request_->reason = "client_write_timeout";
    } else {
      if (now < exchange_.upstream_read_us() + to_us(settings.timeout_body_idle) &&
          now < total_deadline_us_) {
        return progress::pending;
      }
      request_->reason = "upstream_body_timeout";
    }
    exchange_.drop();
    return progress::aborted;
  }
  if (!exchange_.upload_done()) {
    if (now < upload_deadline_us()) return progress::pending;
    return fail(http::local_error::request_timeout, "request_body_timeout");
  }
  if (now < exchange_.upload_done_us() + to_us(settings.timeout_first_byte)) return progress::pending;
  return attempt_failed({outcome::first_byte_timeout, 0, -1, true}, http::local_error::upstream_timeout,
                        "upstream_first_byte_timeout");
}

/// The client must send something every body_idle_timeout and keep body_min_rate after the first ten seconds.
std::int64_t forward::upload_deadline_us() const noexcept {
  const limit_settings& limits = request_->config->settings->limits;
  const std::int64_t idle = exchange_.client_read_us() + to_us(limits.body_idle_timeout);
  if (limits.body_min_rate == 0) return idle;
  constexpr std::int64_t grace_us = 10'000'000;
  const std::uint64_t earned_us = request_->body.received() / limits.body_min_rate * 1'000'000;
  const std::int64_t slow =
      exchange_.upload_started_us() + std::max(grace_us, static_cast<std::int64_t>(std::min<std::uint64_t>(
                                                             earned_us, std::uint64_t{1} << 50)));
  return std::min(idle, slow);
}

std::optional<forward::progress> forward::on_response() {
  const http::response_head& response = request_->response;
  attempt last{outcome::response, response.status, -1, true};
  if (response.status == 429 || response.status == 503) {
    note_refusal();
    last.retry_after_us = upstream_->retry_floor_us();
  }
  attempt_ended(is_gateway_error(response.status) ? attempt_result::bad : attempt_result::good);
  upstream_->counters.by_code[static_cast<std::size_t>(response.status)].add();
  if (plan_retry(last, upstream_counters::status)) return std::nullopt;
  exchange_.accept(owner_.write_response_head());
  return std::nullopt;
}

/// The endpoint answered 429 or 503.
void forward::note_refusal() {
  const http::response_head& response = request_->response;
  std::int64_t asked_us = -1;
  if (const http::field* field = response.find(http::header_id::retry_after)) {
    asked_us = http::retry_after_us(response.value(*field, exchange_.response_buffer()), worker_.date_second);
  }
  upstream_->refused(ticket_->endpoint, asked_us);
}

std::optional<forward::progress> forward::attempt_failed(const attempt& last, http::local_error otherwise,
                                                         std::string_view reason) {
  upstream_->counters.by_code[0].add();
  upstream_->counters.duration.observe(worker_.now_us - attempt_us_, buckets_a_us);
  // An upstream may close an idle connection whenever it likes.
  attempt_ended(last.outcome == outcome::stale_connection ? attempt_result::abandoned : attempt_result::bad);
  const auto kind = last.outcome == outcome::connect_error        ? upstream_counters::connect_error
                    : last.outcome == outcome::first_byte_timeout ? upstream_counters::timeout
                                                                  : upstream_counters::reset;
  if (plan_retry(last, kind)) return std::nullopt;
  return fail(otherwise, reason);
}

/// True: the attempt is over and another will follow after its backoff.
bool forward::plan_retry(const attempt& last, upstream_counters::retry_reason reason) {
  retry_facts facts;
  facts.method = request_->attributes.method;
  facts.attempts_made = request_->attempts;
  facts.body_replayable = exchange_.replayable();
  facts.switches_protocol = !request_->upgrade.empty();
  facts.response_started = request_->to_client.total() > 0 || exchange_.accepted();
  facts.stale_before = met_stale_;
  facts.time_left_us = total_deadline_us_ == never ? never : total_deadline_us_ - worker_.now_us;
  end_retry();
  const retry_step next = next_step(upstream_->settings.retry, last, facts, upstream_->budget, worker_.now_us,
                                    random_from, &worker_.random);
  if (next.budget_exhausted) upstream_->counters.budget_exhausted.add();
  if (!next.retry) return false;
  retry_granted_ = next.unit_taken;
  met_stale_ = met_stale_ || last.outcome == outcome::stale_connection;
  upstream_->counters.retries[reason].add();
  leave_attempt();
  stage_ = stage::backoff;
  stage_deadline_us_ = worker_.now_us + next.delay_us;
  return true;
}

forward::progress forward::fail(http::local_error error, std::string_view reason) {
  leave_attempt();
  error_ = error;
  request_->reason = reason;
  return progress::failed;
}

void forward::attempt_ended(attempt_result how) {
  if (ticket_) upstream_->ended(*std::exchange(ticket_, std::nullopt), how);
}

void forward::leave_attempt() noexcept {
  attempt_ended(attempt_result::abandoned);
  if (endpoint_ != nullptr) endpoint_->cancel(*this);
  fresh_.drop();
  exchange_.drop();
  stage_ = stage::idle;
}

void forward::end_retry() noexcept {
  if (retry_granted_) upstream_->budget.finished();
  retry_granted_ = false;
}

void forward::cancel() noexcept {
  if (upstream_ == nullptr) return;
  leave_attempt();
  end_retry();
}

std::int64_t forward::deadline_us() const noexcept {
  const upstream_settings& settings = upstream_->settings;
  switch (stage_) {
    case stage::queued:
    case stage::connecting:
    case stage::backoff:
      return std::min(stage_deadline_us_, total_deadline_us_);
    case stage::exchanging:
      break;
    default:
      return total_deadline_us_;
  }
  if (exchange_.accepted()) {
    if (exchange_.waits_for_client_write()) {
      return exchange_.client_write_us() + to_us(request_->config->settings->limits.write_idle_timeout);
    }
    return std::min(exchange_.upstream_read_us() + to_us(settings.timeout_body_idle), total_deadline_us_);
  }
  const std::int64_t own = exchange_.upload_done()
                               ? exchange_.upload_done_us() + to_us(settings.timeout_first_byte)
                               : upload_deadline_us();
  return std::min(own, total_deadline_us_);
}

}  // namespace weir::proxy
