// SPDX-License-Identifier: Apache-2.0
// From an accepted socket to a connection that carries requests: PROXY header, TLS handshake.
#include "proxy/downstream/session.hpp"
#include "proxy/identity/proxy_protocol.hpp"
#include "proxy/observe/own_log.hpp"
#include "proxy/tls/tls_stream.hpp"

#include <array>
#include <stdexcept>

namespace weir::proxy {

bool session::open(int fd, const identity::address& peer, std::string peer_text) noexcept {
  peer_ = peer;
  peer_text_ = std::move(peer_text);
  if (!channel_.socket.open(worker_.sockets, fd, *this)) return false;
  listener_->counters->connections.add(1);
  since_us_ = worker_.now_us;
  stage_ = listener_->proxy_protocol.from.empty() ? stage::handshake : stage::proxy_header;
  if (!listener_->tls && stage_ == stage::handshake) stage_ = stage::idle;
  schedule();
  return true;
}

/// The header is looked at where it lies, so that what follows it is still there for TLS.
bool session::read_proxy_header() {
  const bool late = worker_.now_us >= deadline_us() || draining();
  if (late) return no_proxy_header();
  if (!channel_.socket.readable()) return false;
  std::array<char, identity::proxy_header_size_max> bytes;
  const io_result got = channel_.socket.peek(bytes.data(), bytes.size());
  if (got.status == io_status::would_block) return false;
  if (got.status != io_status::ok) return no_proxy_header();
  const proxy_protocol_settings& expected = listener_->proxy_protocol;
  const identity::proxy_header header =
      identity::parse_proxy_header({bytes.data(), got.bytes}, expected.v1, expected.v2);
  switch (header.status) {
    case identity::proxy_header_status::need_more:
      return channel_.socket.peer_finished() ? no_proxy_header() : false;
    case identity::proxy_header_status::refused:
      return no_proxy_header();
    case identity::proxy_header_status::complete:
      break;
  }
  if (!channel_.socket.skip(header.size)) return no_proxy_header();
  if (header.source) {
    peer_ = *header.source;
    peer_text_.clear();
    identity::append_address(peer_text_, peer_);
  }
  since_us_ = worker_.now_us;
  if (!listener_->tls) {
    stage_ = stage::idle;
    return true;
  }
  stage_ = stage::handshake;  // which may have begun behind the header
  worker_.turns.handshakes.add(*this);
  return false;
}

bool session::no_proxy_header() {
  if (!draining()) listener_->counters->rejected[listener_counters::proxy_protocol].add();
  close();
  return false;
}

void session::start_tls() {
  std::shared_ptr<const tls::server_context> context = listener_->tls;
  tls::ssl_ptr ssl = context ? context->accept() : nullptr;
  if (!ssl) throw std::runtime_error("no TLS for a new connection");
  channel_.socket.start_tls(
      std::make_unique<tls::tls_stream>(channel_.socket, std::move(ssl), std::move(context)));
}

bool session::shake_hands() {
  if (draining()) {
    close();
    return false;
  }
  if (worker_.now_us >= deadline_us()) return no_handshake(listener_counters::handshake_timeout);
  if (!channel_.socket.is_tls()) start_tls();
  switch (channel_.socket.handshake()) {
    case io_status::ok:
      break;
    case io_status::would_block:
      return false;
    default:
      return no_handshake(listener_counters::handshake_failed);
  }
  listener_->counters->handshakes[listener_counters::handshake_ok].add();
  certificate_ = channel_.socket.peer();
  stage_ = stage::idle;
  since_us_ = worker_.now_us;
  return true;
}

bool session::no_handshake(listener_counters::handshake_result why) {
  listener_->counters->handshakes[why].add();
  const bool failed = why == listener_counters::handshake_failed;
  log_event(log_level::debug, "TLS handshake failed",
            {{"listener", listener_->name},
             {"peer_ip", peer_text_},
             {"cause", failed ? channel_.socket.handshake_problem() : "timeout"}});
  close();
  return false;
}

}  // namespace weir::proxy
