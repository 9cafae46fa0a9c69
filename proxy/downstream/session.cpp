// SPDX-License-Identifier: Apache-2.0
#include "proxy/downstream/session.hpp"

#include "limiter/limiter.hpp"
#include "proxy/downstream/identify.hpp"
#include "proxy/http/error_response.hpp"
#include "proxy/http/rate_limit_fields.hpp"
#include "proxy/http/rewrite.hpp"
#include "proxy/observe/log_ring.hpp"
#include "proxy/observe/metrics.hpp"
#include "proxy/observe/own_log.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cxxabi.h>
#include <limits>
#include <stdexcept>
#include <typeinfo>

namespace weir::proxy {

namespace {

constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();

/// Why the store did not decide, as the log says it.
std::string_view store_reason(limiter::errc failure) noexcept {
  static constexpr std::array<std::string_view, limiter::errc_count> reasons{"",
                                                                             "store_timeout",
                                                                             "store_refused",
                                                                             "store_closed",
                                                                             "store_noscript",
                                                                             "store_readonly",
                                                                             "store_loading",
                                                                             "store_moved",
                                                                             "store_oom",
                                                                             "store_busy",
                                                                             "store_auth",
                                                                             "store_protocol",
                                                                             "store_overloaded",
                                                                             "store_script"};
  return reasons[static_cast<std::size_t>(failure)];
}

std::string type_name(const std::exception& error) {
  int status = 0;
  char* name = abi::__cxa_demangle(typeid(error).name(), nullptr, nullptr, &status);
  std::string text = status == 0 ? name : "unknown";
  std::free(name);
  return text;
}

}  // namespace

// ---- the set
// ----------------------------------------------------------------------------------------------------

session& session_set::add(std::unique_ptr<session> s) {
  s->position_ = static_cast<std::uint32_t>(sessions_.size());
  sessions_.push_back(std::move(s));
  return *sessions_.back();
}

void session_set::remove(session& s, graveyard& dead) {
  const std::uint32_t position = s.position_;
  dead.bury(std::move(sessions_[position]));
  sessions_[position] = std::move(sessions_.back());
  sessions_.pop_back();
  if (position < sessions_.size()) sessions_[position]->position_ = position;
}

void session_set::for_each(const std::function<void(session&)>& f) {
  std::vector<session*> all;
  all.reserve(sessions_.size());
  for (const auto& s : sessions_) all.push_back(s.get());
  for (session* s : all) f(*s);
}

// ---- life
// -------------------------------------------------------------------------------------------------------

session::session(services& worker, session_set& owner, const listener_context& listener)
    : worker_(worker), owner_(owner), listener_(listener) {}

session::~session() {
  end_request();
}

bool session::open(int fd, const identity::address& peer, std::string peer_text) {
  peer_ = peer;
  peer_text_ = std::move(peer_text);
  if (!channel_.socket.open(worker_.sockets, fd, *this)) return false;
  listener_.counters->connections.add(1);
  since_us_ = worker_.now_us;
  schedule();
  return true;
}

void session::close() noexcept {
  if (stage_ == stage::closed) return;
  end_request();
  stage_ = stage::closed;
  if (reset_after_) {
    channel_.socket.abort();
  } else {
    channel_.socket.close();
  }
  channel_.in.release();
  if (armed()) worker_.timers.disarm(*this);
  if (yielded_) worker_.turns.remove(*this);
  listener_.counters->connections.add(-1);
  owner_.remove(*this, worker_.dead);
}

void session::end_request() noexcept {
  if (!request_) return;
  if (stage_ == stage::deciding) worker_.limiter->cancel(*request_);
  if (forward_) forward_->cancel();
  owner_.requests().give(std::move(request_));
}

template <typename Work>
void session::guarded(Work&& work) {
  try {
    work();
    run();
  } catch (const std::exception& error) {
    in_step_ = false;
    fail_internal(error);
  }
}

void session::on_ready(std::uint32_t events) {
  channel_.socket.note(events);
  guarded([] {});
}

void session::on_timer() {
  guarded([] {});
}

void session::on_decision() {
  stage_ = stage::forwarding;  // after_decision() follows
  if (in_step_) return;        // answered inside decide()
  guarded([this] { (void)after_decision(); });
  worker_.settle_soon();
}

void session::on_forward_event() {
  if (!in_step_) guarded([] {});
}

void session::on_turn() {
  yielded_ = false;
  guarded([] {});
}

void session::run() {
  if (in_step_) return;
  in_step_ = true;
  while (stage_ != stage::closed && step()) {
  }
  in_step_ = false;
  if (stage_ != stage::closed) schedule();
}

bool session::step() {
  switch (stage_) {
    case stage::idle:
      return wait_for_request();
    case stage::head:
      return read_head();
    case stage::deciding:
      if (client_left()) abandon(499, "client_gone");
      return false;
    case stage::forwarding:
      return drive_forward();
    case stage::answering:
      return send_answer();
    case stage::draining_body:
      return drain_body();
    case stage::lingering:
      return linger();
    case stage::closed:
      break;
  }
  return false;
}

// ---- deadlines
// --------------------------------------------------------------------------------------------------

std::int64_t session::deadline_us() const noexcept {
  const limit_settings& limits = request_ ? config().limits : worker_.config->settings->limits;
  switch (stage_) {
    case stage::idle:
      return since_us_ + to_us(limits.keepalive_timeout);
    case stage::head:
      return request_->started_us + to_us(limits.header_timeout);
    case stage::forwarding:
      return forward_->deadline_us();
    case stage::answering:
      return since_us_ + to_us(limits.write_idle_timeout);
    case stage::draining_body:
      return since_us_ + drain_patience_us;
    case stage::lingering:
      return since_us_ + linger_patience_us;
    case stage::deciding:  // the store answers within command_timeout
    case stage::closed:
      break;
  }
  return never;
}

void session::schedule() {
  const std::int64_t deadline = deadline_us();
  if (deadline == never) {
    if (armed()) worker_.timers.disarm(*this);
  } else if (!armed() || deadline != timer::deadline_us()) {
    worker_.timers.arm(*this, deadline);
  }
}

// ---- read
// -------------------------------------------------------------------------------------------------------

bool session::wait_for_request() {
  if (channel_.in.unread_size() == 0) {
    if (!channel_.socket.readable()) {
      if (worker_.now_us >= deadline_us() || worker_.draining) close();
      return false;
    }
    channel_.in.clear();
    channel_.in.ensure(worker_.buffers, buffer_pool::small_block);
    const io_result got = channel_.socket.read(channel_.in.space(), channel_.in.space_size());
    if (got.status == io_status::would_block) {
      channel_.in.release();
      return false;
    }
    if (got.status != io_status::ok) {
      close();
      return false;
    }
    channel_.in.received(got.bytes);
  }
  begin_request();
  return true;
}

void session::begin_request() {
  channel_.in.compact();
  request_ = owner_.requests().take();
  request_->begin(*this, worker_.config, worker_.now_us);
  close_after_ = reset_after_ = false;
  stage_ = stage::head;
}

bool session::read_head() {
  switch (request_->head.scan(channel_.in.all())) {
    case http::scan_status::complete:
      return on_head();
    case http::scan_status::refused:
      return refuse_head();
    case http::scan_status::need_more:
      break;
  }
  const bool late = worker_.now_us >= deadline_us();
  if (!channel_.socket.readable() && !late) return false;
  if (!late) {
    if (channel_.in.space_size() == 0) {
      channel_.in.ensure(worker_.buffers, std::max(channel_.in.capacity() * 2, buffer_pool::large_block));
    }
    const io_result got = channel_.socket.read(channel_.in.space(), channel_.in.space_size());
    if (got.status == io_status::would_block) return false;
    if (got.status == io_status::ok) {
      channel_.in.received(got.bytes);
      return true;
    }
  }
  // Cut short or too slow: nothing but empty lines deserves no answer.
  if (!request_->head.started()) {
    close();
    return false;
  }
  request_->request_id.clear();
  return late ? answer(http::local_error::request_timeout, "request_head_timeout", true)
              : answer(http::local_error::bad_request, "request_head_truncated", true);
}

bool session::refuse_head() {
  const http::refusal& why = request_->head.refusal();
  return answer(http::error_for_status(why.status), why.type, why.close);
}

// ---- identify and decide
// ----------------------------------------------------------------------------------------

bool session::on_head() {
  http::request_head& head = request_->head;
  channel_.head_size = head.size();
  channel_.in.consume(head.size());
  ++requests_;
  close_after_ = !head.keep_alive || requests_ >= config().limits.requests_per_connection;
  if (head.framing != http::framing::none) {
    // Views into the buffer follow: it must be large enough for the body's window before they are taken.
    const bool large =
        head.framing == http::framing::chunked || head.content_length > buffer_pool::small_block / 2;
    const std::size_t window = large ? buffer_pool::small_block : buffer_pool::small_block / 2;
    channel_.in.ensure(worker_.buffers, std::max(head.size() + window, large ? buffer_pool::large_block : 0));
  }
  request_->body.begin(head.framing, head.content_length, config().limits.body_size);
  if (!identify(*request_, buffer(), peer_, peer_text_, worker_.random)) {
    return answer(http::local_error::bad_request, "bad_target_or_identity", true);
  }
#ifdef WEIR_TEST_HOOKS
  for (std::size_t i = 0; i < head.field_count; ++i) {
    if (head.name(head.fields[i], buffer()) == "X-Weir-Test-Throw")
      throw std::runtime_error("thrown by a test");
  }
#endif
  return admit();
}

bool session::admit() {
  const settings& s = config();
  std::uint64_t body_limit = s.limits.body_size;
  if (request_->route && s.routes[*request_->route].body_size > 0)
    body_limit = s.routes[*request_->route].body_size;
  const http::request_head& head = request_->head;
  if (head.framing == http::framing::content_length && head.content_length > body_limit) {
    return answer(http::local_error::body_too_large, "body_too_large", true);
  }
  request_->body.begin(head.framing, head.content_length, body_limit);

  s.policy.match(request_->attributes, request_->scratch, request_->match);
  if (request_->match.malformed != nullptr)
    return answer(http::local_error::bad_request, "repeated_key", true);
  if (request_->match.unauthenticated != nullptr) {
    request_->verdict = record_decision::deny;
    return answer(http::local_error::unauthenticated, "unauthenticated", false);
  }
  request_->charges = request_->match.charges;
  stage_ = stage::deciding;
  request_->limiter_us = steady_now_us();
  worker_.limiter->decide(*request_);
  return stage_ == stage::deciding ? false : after_decision();
}

bool session::after_decision() {
  worker_.now_us = steady_now_us();
  request_->limiter_us = worker_.now_us - request_->limiter_us;
  const limiter::decision& decision = request_->result;
  count_decision();
  const bool decided_here =
      decision.failure != limiter::errc::ok && decision.mode == limiter::failure_mode::local;
  request_->reason = decided_here ? "fallback_local" : store_reason(decision.failure);
  const deny_settings& deny = config().deny;
  const bool denied = decision.verdict == limiter::verdict::deny;
  if (denied || deny.headers_on_all) {
    http::append_rate_limit_fields(request_->rate_fields, request_->charges, decision, deny.headers);
  }
  if (denied) return answer_denied();
  request_->verdict = record_decision::allow;
  if (!request_->route) return answer(http::local_error::no_route, "no_route", false);
  const route_settings& route = config().routes[*request_->route];
  const upstream_settings& target = config().upstreams[route.upstream];
  const std::int64_t total =
      route.stream ? 0 : to_us(route.timeout_total.count() > 0 ? route.timeout_total : target.timeout_total);
  if (!forward_) forward_ = std::make_unique<forward>(worker_, channel_, static_cast<forward_owner&>(*this));
  forward_->begin(request_->take_permit(), *request_, *request_->config->upstreams[route.upstream], total);
  stage_ = stage::forwarding;
  return true;
}

void session::count_decision() {
  const limiter::decision& decision = request_->result;
  const bool allowed = decision.verdict == limiter::verdict::allow;
  if (!request_->charges.empty() && decision.failure == limiter::errc::ok) {
    worker_.metrics.store_take.observe(request_->limiter_us, buckets_b_us);
  }
  for (std::size_t i = 0; i < request_->charges.size(); ++i) {
    const limiter::charge& charge = request_->charges[i];
    rule_counters& counters = worker_.metrics.rule(request_->config->rule_slots[charge.matched->index]);
    if (allowed) counters.allow.add();
    if (decision.limiting == static_cast<int>(i)) counters.deny.add();
    if (decision.failure != limiter::errc::ok) {
      counters.failure_mode[static_cast<std::size_t>(charge.matched->failure_mode)].add();
      if (allowed) counters.degraded_admitted.add();
    }
    if (allowed && i < decision.states.size() &&
        decision.states[i].remaining * 5 <= charge.matched->quota.burst) {
      counters.near_limit.add();
    }
  }
  if (decision.failure != limiter::errc::ok) {
    worker_.metrics.store_errors[static_cast<std::size_t>(decision.failure)].add();
  }
}

// ---- forward
// ----------------------------------------------------------------------------------------------------

bool session::client_left() const noexcept {
  if (channel_.socket.broken()) return true;
  return channel_.socket.peer_finished() && request_->body.complete() &&
         !(forward_ && stage_ == stage::forwarding && forward_->response_started());
}

bool session::drive_forward() {
  if (client_left()) {
    abandon(499, "client_gone");
    return false;
  }
  switch (forward_->resume()) {
    case forward::progress::pending:
      return false;
    case forward::progress::yield:
      if (!yielded_) worker_.turns.add(*this);
      yielded_ = true;
      return false;
    case forward::progress::complete:
      return finish_request();
    case forward::progress::failed: {
      const bool body_left = !request_->body.complete();
      const bool body_broken = forward_->error() == http::local_error::bad_request ||
                               forward_->error() == http::local_error::body_too_large ||
                               forward_->error() == http::local_error::request_timeout;
      return answer(forward_->error(), request_->reason, body_left && body_broken);
    }
    case forward::progress::aborted:
      // An HTTP/1.0 client would take the end of the connection for the end of the body.
      reset_after_ = request_->head.version_minor == 0;
      record();
      close();
      return false;
    case forward::progress::client_gone:
      if (request_->body.complete() || request_->to_client.total() > 0) {
        abandon(499, "client_gone");
        return false;
      }
      return answer(http::local_error::bad_request, "request_body_truncated", true);
  }
  return false;
}

void session::write_request_head(const endpoint_settings& target) {
  http::request_context context;
  context.path = request_->target.path;
  context.query = request_->target.query;
  context.has_query = request_->target.has_query;
  const std::string_view host = request_->head.host(buffer());
  const bool preserve = config().upstreams[config().routes[*request_->route].upstream].preserve_host;
  context.host = preserve && !host.empty() ? host : std::string_view(target.authority);
  context.peer_address = peer_text_;
  context.peer_trusted = request_->peer_trusted;
  context.listener_port = listener_.port;
  context.request_id = request_->request_id;
  context.via = config().via;
  context.protected_headers = request_->config->identity_headers;
  http::append_request_head(request_->to_upstream.text, request_->head, buffer(), context);
}

http::framing session::write_response_head() {
  const http::response_head& response = request_->response;
  const int minor = request_->head.version_minor;
  http::framing towards_client = response.framing;
  if (response.framing == http::framing::chunked || response.framing == http::framing::until_close) {
    towards_client = minor > 0 ? http::framing::chunked : http::framing::until_close;
  }
  close_after_ = close_after_ || worker_.leaving || towards_client == http::framing::until_close;
  request_->status = response.status;
  http::response_context context;
  context.client_version_minor = minor;
  context.close = close_after_;
  context.framing = towards_client;
  context.request_id = request_->request_id;
  context.via = config().via;
  context.date = worker_.date;
  context.extra_fields = request_->rate_fields;
  http::append_response_head(request_->to_client.text, response, forward_->response_buffer(), context);
  return towards_client;
}

// ---- respond
// ----------------------------------------------------------------------------------------------------

bool session::answer_denied() {
  const limiter::decision& decision = request_->result;
  request_->verdict = record_decision::deny;
  if (decision.reason == limiter::decision_reason::store_failed) {
    request_->rate_fields.assign("Retry-After: 1\r\n");
    return answer(http::local_error::store_unavailable, request_->reason, false);
  }
  if (decision.reason == limiter::decision_reason::unauthenticated) {
    return answer(http::local_error::unauthenticated, "unauthenticated", false);
  }
  if (decision.reason == limiter::decision_reason::cost_exceeds_capacity) {
    return answer(http::local_error::cost_exceeds_limit, "cost_exceeds_limit", false);
  }
  return answer(http::local_error::rate_limited, request_->reason.empty() ? "over_limit" : request_->reason,
                false);
}

/// Queues an answer of weir's own. `close`: the connection cannot be kept, whatever the error's table says.
bool session::answer(http::local_error error, std::string_view reason, bool close) {
  const http::error_text& text = http::describe(error);
  const http::request_head& head = request_->head;
  // A client that waits for 100 may or may not send its body after this answer: only a new connection is
  // certain.
  const bool uncertain_body =
      head.expect_continue && !request_->body.complete() && request_->body.received() == 0;
  close_after_ =
      close_after_ || close || text.close || uncertain_body || worker_.leaving || head.version_minor == 0;
  if (request_->request_id.empty()) append_random_id(request_->request_id, worker_.random);
  request_->reason = reason;

  const limiter::decision& decision = request_->result;
  http::denial_details details;
  http::error_context context;
  context.request_id = request_->request_id;
  context.date = worker_.date;
  context.extra_fields = request_->rate_fields;
  context.head_request = head.method_id == http::method_id::head;
  context.close = close_after_;
  const bool denied =
      error == http::local_error::rate_limited || error == http::local_error::cost_exceeds_limit;
  if (denied) {
    context.status = config().deny.status;
    context.denial = &details;
    const auto limiting = static_cast<std::size_t>(decision.limiting);
    const limiter::charge& charge = request_->charges[limiting];
    details.retry_after_s = http::retry_after_seconds(request_->charges, decision);
    if (charge.matched->headers == limiter::header_visibility::visible) {
      details.rule = charge.matched->name;
      details.limit = charge.matched->quota.limit;
      details.remaining = decision.states[limiting].remaining;
    }
  } else if (error == http::local_error::method_not_allowed) {
    request_->rate_fields.assign("Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH\r\n");
    context.extra_fields = request_->rate_fields;
  } else if (text.status == 503 && request_->rate_fields.find("Retry-After:") == std::string::npos) {
    request_->rate_fields.append("Retry-After: 1\r\n");
    context.extra_fields = request_->rate_fields;
  }
  request_->status = context.status != 0 ? context.status : text.status;
  outgoing& out = request_->to_client;
  out.reset();
  const std::size_t before = out.text.size();
  http::append_error_response(out.text, error, context);
  const std::size_t body_at = out.text.find("\r\n\r\n", before) + 4;
  request_->bytes_out = out.text.size() - body_at;
  stage_ = stage::answering;
  since_us_ = worker_.now_us;
  return true;
}

bool session::send_answer() {
  const std::uint64_t before = request_->to_client.total();
  const io_status sent = request_->to_client.flush(channel_.socket);
  if (request_->to_client.total() != before) since_us_ = worker_.now_us;
  if (sent == io_status::would_block) {
    if (worker_.now_us >= deadline_us()) abandon(499, "client_write_timeout");
    return false;
  }
  if (sent == io_status::failed) {
    abandon(499, "client_gone");
    return false;
  }
  return finish_request();
}

/// The response is complete: record it and decide what becomes of the connection.
bool session::finish_request() {
  record();
  since_us_ = worker_.now_us;
  dropped_bytes_ = 0;
  if (close_after_) {
    const bool unread_input = channel_.in.unread_size() > 0 || !request_->body.complete() ||
                              request_->verdict == record_decision::rejected || channel_.socket.readable();
    if (!unread_input) {
      close();
      return false;
    }
    end_request();
    channel_.socket.shutdown_send();
    stage_ = stage::lingering;
    return true;
  }
  if (!request_->body.complete()) {
    stage_ = stage::draining_body;
    return true;
  }
  end_request();
  stage_ = stage::idle;
  if (channel_.in.unread_size() == 0) channel_.in.release();
  return true;
}

/// The rest of a body nobody will forward is read and dropped, if it is short and prompt.
bool session::drain_body() {
  for (;;) {
    const body_reader::slice slice = request_->body.next(channel_.in);
    dropped_bytes_ += slice.data.size();
    if (slice.status == body_reader::status::complete || request_->body.complete()) break;
    const bool broken =
        slice.status == body_reader::status::malformed || slice.status == body_reader::status::too_large;
    const bool too_much =
        dropped_bytes_ > drain_limit ||
        (request_->body.framing() == http::framing::content_length && request_->body.left() > drain_limit);
    if (broken || too_much || worker_.now_us >= deadline_us()) {
      end_request();
      channel_.socket.shutdown_send();
      stage_ = stage::lingering;
      since_us_ = worker_.now_us;
      return true;
    }
    if (slice.status == body_reader::status::data) continue;
    if (!channel_.socket.readable()) return false;
    const io_result got = channel_.read_body();
    if (got.status == io_status::would_block) return false;
    if (got.status != io_status::ok) {
      close();
      return false;
    }
  }
  end_request();
  stage_ = stage::idle;
  since_us_ = worker_.now_us;
  if (channel_.in.unread_size() == 0) channel_.in.release();
  return true;
}

/// After an error answer: the client's unread bytes are discarded for a while, since closing over them would
/// send a reset that destroys the answer (RFC 9112 9.6).
bool session::linger() {
  channel_.in.clear();
  channel_.in.ensure(worker_.buffers, buffer_pool::small_block);
  for (int turn = 0; turn < 16; ++turn) {
    if (worker_.now_us >= deadline_us() || dropped_bytes_ >= linger_limit) break;
    if (!channel_.socket.readable()) return false;
    const io_result got = channel_.socket.read(channel_.in.data(), channel_.in.capacity());
    if (got.status == io_status::would_block) return false;
    if (got.status != io_status::ok) break;
    dropped_bytes_ += got.bytes;
    if (turn == 15) {
      if (!yielded_) worker_.turns.add(*this);
      yielded_ = true;
      return false;
    }
  }
  close();
  return false;
}

// ---- leaving
// ----------------------------------------------------------------------------------------------------

void session::abandon(int status, std::string_view reason) {
  request_->status = status;
  request_->reason = reason;
  record();
  close();
}

void session::drain() {
  guarded([] {});
}

bool session::cut() {
  const bool busy = request_ != nullptr;
  if (busy && stage_ != stage::lingering && stage_ != stage::draining_body) {
    request_->reason = "drain_timeout";
    record();
    reset_after_ = true;
  }
  close();
  return busy;
}

void session::fail_internal(const std::exception& error) noexcept {
  try {
    if (stage_ == stage::closed) return;
    if (request_ && request_->request_id.empty()) append_random_id(request_->request_id, worker_.random);
    log_event(log_level::error, "session failed",
              {{"request_id", request_ ? request_->request_id : std::string("-")},
               {"error_type", type_name(error)},
               {"cause", error.what()}});
    const bool answerable = request_ && stage_ != stage::answering && request_->to_client.total() == 0;
    if (!answerable) {
      reset_after_ = true;
      if (request_) record();
      close();
      return;
    }
    if (stage_ == stage::deciding) worker_.limiter->cancel(*request_);
    if (forward_) forward_->cancel();
    if (answer(http::local_error::internal, "internal", true)) run();
  } catch (...) {
    close();
  }
}

// ---- record
// -----------------------------------------------------------------------------------------------------

void session::record() {
  active_request& r = *request_;
  const std::int64_t now = steady_now_us();
  const std::int64_t duration = now - r.started_us;
  const http::request_head& head = r.head;
  const bool refused_head = r.attributes.method.empty();
  worker_.metrics.request(
      r.config->route_slots[refused_head || !r.route ? r.config->route_slots.size() - 1 : *r.route],
      head.method_id, r.status, duration);
  worker_.metrics.overhead.observe(duration - std::max<std::int64_t>(r.upstream_us, 0), buckets_b_us);
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
  line.listener = listener_.name;
  if (!refused_head) {
    line.method = r.attributes.method;
    line.path = r.attributes.path;
    line.query = r.attributes.query;
    line.host = r.attributes.host;
    line.proto = head.version_minor > 0 ? "HTTP/1.1" : "HTTP/1.0";
    line.route = r.attributes.route;
    line.upstream = r.attributes.upstream;
  }
  line.upstream_addr = r.upstream_addr;
  line.status = r.status;
  line.decision = r.verdict;
  line.reason = r.reason;
  const limiter::decision& decision = r.result;
  const int closest = http::closest_charge(r.charges, decision);
  if (r.verdict != record_decision::rejected && closest >= 0) {
    const auto index = static_cast<std::size_t>(closest);
    line.rule = r.charges[index].matched->name;
    line.limit = r.charges[index].matched->quota.limit;
    line.remaining = decision.states[index].remaining;
    if (r.verdict == record_decision::deny) line.retry_after_us = decision.retry_after_us;
  } else if (r.match.unauthenticated != nullptr) {
    line.rule = r.match.unauthenticated->name;
  }
  line.duration_us = duration;
  line.upstream_us = r.upstream_us;
  if (r.verdict != record_decision::rejected && !r.charges.empty()) line.limiter_us = r.limiter_us;
  line.attempts = r.attempts;
  line.bytes_in = r.body.received();
  line.bytes_out = r.bytes_out;
  r.scratch.clear();
  append_json(r.scratch, line);
  (void)worker_.access_log->push(r.scratch);
}

}  // namespace weir::proxy
