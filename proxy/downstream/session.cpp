// SPDX-License-Identifier: Apache-2.0
#include "proxy/downstream/session.hpp"

#include "limiter/limiter.hpp"
#include "proxy/downstream/request_id.hpp"
#include "proxy/observe/own_log.hpp"

#include <algorithm>
#include <cstdlib>
#include <cxxabi.h>
#include <limits>
#include <new>
#include <typeinfo>

namespace weir::proxy {

namespace {

constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();

std::string type_name(const std::exception& error) {
  int status = 0;
  char* name = abi::__cxa_demangle(typeid(error).name(), nullptr, nullptr, &status);
  std::string text = status == 0 ? name : "unknown";
  std::free(name);
  return text;
}

}  // namespace

// ---- the set ----

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

// ---- life ----

session::session(services& worker, session_set& owner, std::shared_ptr<const listener_context> listener,
                 connection_places::place place)
    : worker_(worker), owner_(owner), listener_(std::move(listener)), place_(std::move(place)) {}

session::~session() {
  end_request();
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
  leave_turns();
  listener_->counters->connections.add(-1);
  owner_.remove(*this, worker_.dead);
}

void session::end_request() noexcept {
  if (!request_) return;
  if (stage_ == stage::deciding) worker_.limiter->cancel(*request_);
  tunnel_.reset();
  if (forward_) forward_->cancel();
  leave_line();
  release_slots();
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
  if (turn_queue* line = line_for_event()) return line->add(*this);
  guarded([] {});
}

/// Thousands may have come together and be late together.
void session::on_timer() {
  if (waits_for_us()) return guarded([] {});
  worker_.turns.patient.add(*this);
}

/// Where an event of the client waits; null: it is served at once.
turn_queue* session::line_for_event() noexcept {
  if (stage_ == stage::handshake) return &worker_.turns.handshakes;
  const bool in_pieces = stage_ == stage::head || stage_ == stage::draining_body ||
                         stage_ == stage::lingering ||
                         (stage_ == stage::forwarding && channel_.drips && !request_->body.complete());
  return in_pieces || channel_.socket.peer_finished() ? &worker_.turns.patient : nullptr;
}

/// It is not the client who is late.
bool session::waits_for_us() const noexcept {
  if (stage_ == stage::forwarding) return request_->body.complete() && !forward_->response_started();
  return stage_ == stage::waiting;
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

void session::on_slot_free() {
  request_->slot_may_be_free = true;
  if (!in_step_) guarded([] {});
}

void session::on_turn() {
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
    case stage::proxy_header:
      return read_proxy_header();
    case stage::handshake:
      return shake_hands();
    case stage::idle:
      return wait_for_request();
    case stage::head:
      return read_head();
    case stage::deciding:
      if (client_left()) abandon(499, "client_gone");
      return false;
    case stage::waiting:
      return wait_for_slot();
    case stage::forwarding:
      return drive_forward();
    case stage::tunnelling:
      return drive_tunnel();
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

// ---- deadlines ----

std::int64_t session::deadline_us() const noexcept {
  const limit_settings& limits = request_ ? config().limits : worker_.config->settings->limits;
  switch (stage_) {
    case stage::proxy_header:
      return since_us_ + to_us(limits.header_timeout);
    case stage::handshake:
      return since_us_ + to_us(limits.tls_handshake_timeout);
    case stage::idle:
      return since_us_ + to_us(limits.keepalive_timeout);
    case stage::head:
      return request_->started_us + to_us(limits.header_timeout);
    case stage::waiting:
      return std::min(request_->queue_deadline_us, request_->try_again_us);
    case stage::forwarding:
      return forward_->deadline_us();
    case stage::tunnelling:
      return tunnel_deadline_us();
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

// ---- read ----

bool session::wait_for_request() {
  if (channel_.in.unread_size() == 0) {
    if (!channel_.socket.readable()) {
      if (worker_.now_us >= deadline_us() || draining()) close();
      return false;
    }
    if (worker_.buffers.exhausted()) {
      // There is no memory to read the head with; an idle connection may be closed at any time.
      listener_->counters->rejected[listener_counters::memory_limit].add();
      close();
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
  request_->certificate = certificate_.get();
  channel_.drips = false;
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

// ---- leaving ----

void session::abandon(int status, std::string_view reason) {
  settle(false);
  request_->status = status;
  request_->reason = reason;
  record();
  close();
}

void session::drain() {
  worker_.turns.patient.add(*this);
}

bool session::cut() {
  const bool tunnelled = tunnel_ != nullptr;
  const bool busy = request_ != nullptr && !tunnelled;
  if (request_ && stage_ != stage::lingering && stage_ != stage::draining_body) {
    request_->reason = "drain_timeout";
    if (tunnelled) note_tunnel();
    settle(false);
    record();
    reset_after_ = !tunnelled;  // a protocol of its own tells its ends apart
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
    const bool answerable = request_ && stage_ != stage::answering && request_->to_client.total() == 0 &&
                            !channel_.socket.mid_write();
    if (!answerable) {
      reset_after_ = true;
      if (request_) record();
      close();
      return;
    }
    if (stage_ == stage::deciding) worker_.limiter->cancel(*request_);
    if (forward_) forward_->cancel();
    const bool no_memory = dynamic_cast<const std::bad_alloc*>(&error) != nullptr;
    if (no_memory ? answer(http::local_error::overloaded, "memory", true)
                  : answer(http::local_error::internal, "internal", true)) {
      run();
    }
  } catch (...) {
    close();
  }
}

}  // namespace weir::proxy
