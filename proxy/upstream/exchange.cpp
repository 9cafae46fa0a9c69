// SPDX-License-Identifier: Apache-2.0
#include "proxy/upstream/exchange.hpp"

#include "proxy/http/chunked.hpp"
#include "proxy/http/rewrite.hpp"
#include "proxy/http/upgrade.hpp"
#include "proxy/http/upstream_hints.hpp"

namespace weir::proxy {

void exchange::begin(upstream_lease lease, active_request& request, std::string& replay,
                     std::size_t replay_limit) {
  lease_ = std::move(lease);
  request_ = &request;
  replay_ = &replay;
  replay_limit_ = replay_limit;
  replay_pending_ = !replay.empty();
  replayable_ = true;
  continue_pending_ = request.head.expect_continue && request.body.received() == 0;
  upload_done_ = upload_broken_ = accepted_ = response_done_ = false;
  interim_ = 0;
  upload_started_us_ = client_read_us_ = upstream_read_us_ = client_write_us_ = worker_.now_us;
  request.to_upstream.clear_total();
  request.response.begin(request.head.method_id == http::method_id::head, !request.upgrade.empty());
}

exchange::progress exchange::resume() {
  if (!upload_done_) {
    const progress uploaded = upload();
    if (uploaded != progress::pending) return uploaded;
  }
  return accepted_ ? relay() : receive_head();
}

// ---- towards the upstream ----

exchange::progress exchange::upload() {
  outgoing& out = request_->to_upstream;
  for (int windows = 0;; ++windows) {
    if (windows == max_windows_per_turn) return progress::yield;
    progress problem = progress::pending;
    if (!out.has_body() && !next_upload_part(problem)) {
      if (problem != progress::pending) return problem;
      if (out.empty()) break;  // nothing to send until the client sends more
    }
    const io_status sent = out.flush(lease_->socket);
    if (sent == io_status::would_block) return progress::pending;
    if (sent == io_status::failed) {
      // The upstream stopped listening; it may have said why before it closed.
      out.reset();
      upload_broken_ = upload_done_ = true;
      upload_done_us_ = worker_.now_us;
      return progress::pending;
    }
    if (request_->body.complete() && !replay_pending_) {
      upload_done_ = true;
      upload_done_us_ = worker_.now_us;
      return progress::pending;
    }
  }
  if (continue_pending_) {
    // The head is upstream and the client waits for leave to send its body.
    continue_pending_ = false;
    request_->to_client.text.append("HTTP/1.1 100 Continue\r\n\r\n");
    return flush_client();
  }
  return progress::pending;
}

/// Queues the next part of the body. False: there is none now (or `problem` says why there never will be).
bool exchange::next_upload_part(progress& problem) {
  if (replay_pending_) {
    replay_pending_ = false;
    queue_upload(*replay_);
    return true;
  }
  for (;;) {
    const body_reader::slice slice = request_->body.next(client_.in);
    switch (slice.status) {
      case body_reader::status::data:
        continue_pending_ = false;
        client_read_us_ = worker_.now_us;
        if (replay_->size() + slice.data.size() <= replay_limit_) {
          if (replayable_) replay_->append(slice.data);
        } else {
          replayable_ = false;
        }
        queue_upload(slice.data);
        return true;
      case body_reader::status::complete:
        if (request_->body.framing() == http::framing::chunked) request_->to_upstream.tail = http::last_chunk;
        return false;
      case body_reader::status::too_large:
        problem = progress::body_too_large;
        return false;
      case body_reader::status::malformed:
        problem = progress::body_malformed;
        return false;
      case body_reader::status::need_input:
        break;
    }
    if (!client_.socket.readable()) return false;
    // The head goes out before the body is waited for, but a body that is already here travels with it.
    const io_result got = client_.read_body();
    if (got.status == io_status::would_block) return false;
    if (got.status != io_status::ok) {
      problem = progress::client_gone;
      return false;
    }
  }
}

void exchange::queue_upload(std::string_view data) {
  outgoing& out = request_->to_upstream;
  if (request_->body.framing() == http::framing::chunked) {
    out.text.append(http::chunk_header(data.size()).view());
    out.tail = request_->body.complete() ? std::string_view("\r\n0\r\n\r\n") : std::string_view("\r\n");
  }
  out.body = data;
}

// ---- from the upstream ----

exchange::progress exchange::receive_head() {
  io_buffer& in = lease_->in;
  stream_socket& socket = lease_->socket;
  for (;;) {
    if (in.unread_size() > 0) {
      switch (request_->response.scan(in.all())) {
        case http::scan_status::complete: {
          if (request_->response.status >= 200) return progress::head_ready;
          if (request_->response.status == 101) return on_switch();
          const progress interim = on_interim();
          if (interim != progress::pending) return interim;
          continue;
        }
        case http::scan_status::refused:
          return progress::bad_response;
        case http::scan_status::need_more:
          break;
      }
    }
    if (!socket.readable()) return progress::pending;
    in.ensure(worker_.buffers, buffer_pool::small_block);
    if (in.space_size() == 0) in.ensure(worker_.buffers, max_response_head + 1);
    if (in.space_size() == 0) return progress::bad_response;
    const io_result got = socket.read(in.space(), in.space_size());
    if (got.status == io_status::would_block) return progress::pending;
    if (got.status != io_status::ok) return progress::reset;
    in.received(got.bytes);
    upstream_read_us_ = worker_.now_us;
  }
}

exchange::progress exchange::on_interim() {
  http::response_head& response = request_->response;
  io_buffer& in = lease_->in;
  if (++interim_ > max_interim) return progress::bad_response;
  const bool duplicate_continue = response.status == 100 && request_->head.expect_continue;
  if (request_->head.version_minor > 0 && !duplicate_continue) {
    http::append_interim_head(request_->to_client.text, response, in.all());
  }
  in.consume(response.size());
  in.compact();
  response.begin(request_->head.method_id == http::method_id::head, !request_->upgrade.empty());
  return flush_client();
}

/// A 101 that comes before the request has wholly left answers something else.
exchange::progress exchange::on_switch() const noexcept {
  const bool granted =
      upload_done_ && http::grants_upgrade(request_->response, lease_->in.all(), request_->upgrade);
  return granted ? progress::switched : progress::bad_response;
}

upstream_lease exchange::take_switched() noexcept {
  lease_->in.consume(request_->response.size());
  return std::move(lease_);
}

void exchange::accept(http::framing towards_client) {
  accepted_ = true;
  towards_client_ = towards_client;
  const http::response_head& response = request_->response;
  keep_alive_us_ = -1;
  if (const http::field* field = response.find(http::header_id::keep_alive))
    keep_alive_us_ = http::keep_alive_us(response.value(*field, response_buffer()));
  lease_->in.consume(response.size());
  response_body_.begin(response.framing, response.content_length, unlimited);
  if (!upload_done_) {
    // An early answer: the rest of the request body is not forwarded any more.
    upload_done_ = upload_broken_ = true;
    upload_done_us_ = worker_.now_us;
    request_->to_upstream.reset();
  }
}

exchange::progress exchange::relay() {
  for (int windows = 0;; ++windows) {
    if (windows == max_windows_per_turn) return progress::yield;
    outgoing& out = request_->to_client;
    if (!out.has_body() && !response_done_ && !take_response_slice()) return progress::aborted;
    if (out.empty()) return response_done_ ? progress::complete : progress::pending;
    const progress flushed = flush_client();
    if (flushed != progress::pending) return flushed;
    if (!out.empty()) return progress::pending;
    if (response_done_) return progress::complete;
  }
}

/// Queues what the response body has next, if anything. False: it broke off.
bool exchange::take_response_slice() {
  io_buffer& in = lease_->in;
  stream_socket& socket = lease_->socket;
  for (;;) {
    const body_reader::slice slice = response_body_.next(in);
    switch (slice.status) {
      case body_reader::status::data:
        queue_response(slice.data);
        return true;
      case body_reader::status::complete:
        response_done_ = true;
        request_->release_slots();
        if (towards_client_ == http::framing::chunked) request_->to_client.tail = http::last_chunk;
        return true;
      case body_reader::status::too_large:
      case body_reader::status::malformed:
        return false;
      case body_reader::status::need_input:
        break;
    }
    if (!socket.readable()) return true;
    in.clear();  // everything received so far was sent
    if (response_body_.left() > buffer_pool::small_block && client_reads() && !worker_.buffers.crowded())
      in.ensure(worker_.buffers, buffer_pool::large_block);
    const io_result got = socket.read(in.space(), in.space_size());
    if (got.status == io_status::would_block) return true;
    if (got.status == io_status::failed) return false;
    if (got.status == io_status::closed) {
      if (!response_body_.end_of_input()) return false;
      continue;
    }
    in.received(got.bytes);
    upstream_read_us_ = worker_.now_us;
  }
}

void exchange::queue_response(std::string_view data) {
  outgoing& out = request_->to_client;
  request_->bytes_out += data.size();
  if (request_->meter.reads_body()) request_->meter.body(data);
  response_done_ = response_body_.complete();
  if (response_done_) request_->release_slots();
  if (towards_client_ == http::framing::chunked) {
    out.text.append(http::chunk_header(data.size()).view());
    out.tail = response_done_ ? std::string_view("\r\n0\r\n\r\n") : std::string_view("\r\n");
  }
  out.body = data;
}

exchange::progress exchange::flush_client() {
  const std::uint64_t before = request_->to_client.total();
  const io_status sent = request_->to_client.flush(client_.socket);
  if (request_->to_client.total() != before) client_write_us_ = worker_.now_us;
  return sent == io_status::failed ? progress::client_gone : progress::pending;
}

void exchange::finish() noexcept {
  const bool clean = upload_done_ && !upload_broken_ && response_done_ && request_->response.keep_alive &&
                     lease_->in.unread_size() == 0;
  if (clean) {
    lease_.give_back(keep_alive_us_);
  } else {
    lease_.drop();
  }
}

}  // namespace weir::proxy
