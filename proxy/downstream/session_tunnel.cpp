// SPDX-License-Identifier: Apache-2.0
// A connection after a 101: no more requests, only bytes, until both sides have ended or nothing moves any
// more. It remains the one request in flight, with its permit and its slots.
#include "proxy/downstream/session.hpp"

namespace weir::proxy {

/// The upstream granted the upgrade: the client gets the 101, and from then on nothing is parsed.
bool session::start_tunnel() {
  (void)write_response_head();
  since_us_ = worker_.now_us;
  tunnel_ = std::make_unique<tunnel>(worker_, channel_, forward_->take_switched());
  stage_ = stage::tunnelling;
  return true;
}

bool session::drive_tunnel() {
  const io_status relayed = request_->to_client.flush(channel_.socket);
  if (relayed == io_status::failed) return end_tunnel(tunnel::progress::client_failed);
  if (relayed == io_status::ok) {
    const tunnel::progress moved = tunnel_->pump();
    if (moved == tunnel::progress::yield) {
      worker_.turns.next.add(*this);
      return false;
    }
    if (moved != tunnel::progress::waiting) return end_tunnel(moved);
  }
  if (worker_.now_us < tunnel_deadline_us()) return false;
  request_->reason = "upgraded_idle_timeout";
  return end_tunnel(tunnel::progress::complete);
}

bool session::end_tunnel(tunnel::progress how) {
  if (how == tunnel::progress::client_failed) {
    request_->reason = "client_gone";
    tunnel_->abort_upstream();
  } else if (how == tunnel::progress::upstream_failed) {
    request_->reason = "upstream_aborted";
    reset_after_ = true;
  }
  note_tunnel();
  settle(how == tunnel::progress::complete);
  record();
  close();
  return false;
}

/// What the record and the settlement need to know of it.
void session::note_tunnel() {
  request_->raw_bytes_in = tunnel_->from_client();
  request_->bytes_out = tunnel_->from_upstream();
  request_->upstream_us += worker_.now_us - since_us_;
}

std::int64_t session::tunnel_deadline_us() const noexcept {
  return tunnel_->moved_us() + to_us(config().limits.upgraded_idle_timeout);
}

}  // namespace weir::proxy
