// SPDX-License-Identifier: Apache-2.0
// Answers of weir's own, and the end of every response.
#include "proxy/decide/own_answer.hpp"
#include "proxy/downstream/request_id.hpp"
#include "proxy/downstream/session.hpp"
#include "proxy/http/accept.hpp"
#include "proxy/http/error_response.hpp"
#include "proxy/http/rate_limit_fields.hpp"

#include <algorithm>
#include <array>

namespace weir::proxy {

bool session::answer_denied() {
  request_->verdict = record_decision::deny;
  return answer(answer_to_denied(*request_, request_->reason));
}

bool session::answer(const own_answer& what) {
  return answer(what.error, what.reason, false);
}

/// The rest of the request's body is known to be longer than what is dropped to keep a connection.
bool session::long_body_left() const noexcept {
  return request_->body.framing() == http::framing::content_length && request_->body.left() > drain_limit;
}

/// What all answers of weir's own have in common. `close`: the connection cannot be kept.
response_frame session::begin_answer(std::string_view reason, bool close) {
  const http::request_head& head = request_->head;
  // A client that waits for 100 may or may not send its body after this answer: only a new connection is
  // certain.
  const bool uncertain_body =
      head.expect_continue && !request_->body.complete() && request_->body.received() == 0;
  close_after_ =
      close_after_ || close || uncertain_body || long_body_left() || leaving() || head.version_minor == 0;
  if (request_->request_id.empty()) append_random_id(request_->request_id, worker_.random);
  request_->reason = reason;
  leave_line();
  request_->release_slots();
  request_->meter.reset();  // what the upstream may have begun to say is not what the client gets
  outgoing& out = request_->to_client;
  // Interim responses that have begun to leave stay in front of it.
  if (out.total() == 0 && !channel_.socket.mid_write()) out.reset();
  stage_ = stage::answering;
  since_us_ = worker_.now_us;

  return {buffer(), request_->rate_fields, request_->request_id, worker_.date, close_after_};
}

/// An OPTIONS that may be forwarded no further.
bool session::answer_options() {
  request_->status = 200;
  const response_frame frame = begin_answer({}, false);
  append_own_options(request_->to_client.text, *request_, frame);
  return true;
}

/// Queues an error. `close`: the connection cannot be kept, whatever the error's table says.
bool session::answer(http::local_error error, std::string_view reason, bool close) {
  const response_frame frame = begin_answer(reason, close || http::describe(error).close);
  request_->status = answer_status(*request_, error);
  request_->bytes_out = append_own_response(request_->to_client.text, *request_, error, frame);
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
  settle(true);
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
    if (broken || dropped_bytes_ > drain_limit || worker_.now_us >= deadline_us()) {
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
      worker_.turns.patient.add(*this);
      return false;
    }
  }
  close();
  return false;
}

}  // namespace weir::proxy
