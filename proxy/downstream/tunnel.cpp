// SPDX-License-Identifier: Apache-2.0
#include "proxy/downstream/tunnel.hpp"

#include <cstring>

namespace weir::proxy {

void tunnel_flow::begin(std::string_view early, std::int64_t now_us) {
  moved_us_ = now_us;
  bytes_ = early.size();
  if (early.empty()) return;
  in_.ensure(buffers_, early.size());
  std::memcpy(in_.space(), early.data(), early.size());
  in_.received(early.size());
}

tunnel_flow::progress tunnel_flow::pump(std::int64_t now_us) {
  progress stop = progress::waiting;
  for (int windows = 0; windows < max_windows_per_turn; ++windows) {
    if (end_passed_on_) return progress::ended;
    if (in_.unread_size() == 0 && !fill(stop, now_us)) return stop;
    if (!flush(stop, now_us)) return stop;
  }
  return progress::yield;
}

/// Reads the next window, or passes the end on. False: `stop` says why not.
bool tunnel_flow::fill(progress& stop, std::int64_t now_us) {
  in_.clear();
  if (source_ended_ || !source_.readable()) {
    in_.release();
    if (source_ended_) {
      sink_.shutdown_send();
      end_passed_on_ = true;
      stop = progress::ended;
    }
    return false;
  }
  in_.ensure(buffers_, large_ ? buffer_pool::large_block : buffer_pool::small_block);
  const io_result got = source_.read(in_.space(), in_.space_size());
  switch (got.status) {
    case io_status::ok:
      large_ = got.bytes == in_.space_size();
      in_.received(got.bytes);
      bytes_ += got.bytes;
      moved_us_ = now_us;
      return true;
    case io_status::closed:
      source_ended_ = true;
      return fill(stop, now_us);
    case io_status::would_block:
      in_.release();
      return false;
    case io_status::failed:
      break;
  }
  stop = progress::source_failed;
  return false;
}

/// Writes the window. False: `stop` says why some of it is left.
bool tunnel_flow::flush(progress& stop, std::int64_t now_us) {
  while (in_.unread_size() > 0) {
    if (!sink_.writable()) return false;
    const iovec window{in_.unread_data(), in_.unread_size()};
    const io_result sent = sink_.write(&window, 1);
    if (sent.status == io_status::would_block) continue;
    if (sent.status != io_status::ok) {
      stop = progress::sink_failed;
      return false;
    }
    in_.consume(sent.bytes);
    moved_us_ = now_us;
  }
  return true;
}

tunnel::tunnel(services& worker, client_channel& client, upstream_lease upstream)
    : worker_(worker),
      client_(client),
      upstream_(std::move(upstream)),
      up_(worker.buffers, client.socket, upstream_->socket),
      down_(worker.buffers, upstream_->socket, client.socket) {
  up_.begin(client.in.unread(), worker.now_us);
  client.in.consume(client.in.unread_size());
  down_.begin(upstream_->in.unread(), worker.now_us);
  upstream_->in.release();
}

tunnel::progress tunnel::pump() {
  const tunnel_flow::progress up = up_.pump(worker_.now_us);
  const tunnel_flow::progress down = down_.pump(worker_.now_us);
  using p = tunnel_flow::progress;
  if (down == p::source_failed || up == p::sink_failed) return progress::upstream_failed;
  if (up == p::source_failed || down == p::sink_failed) return progress::client_failed;
  if (up == p::yield || down == p::yield) return progress::yield;
  if (up_.ended() && down_.ended()) return progress::complete;
  // A reset that no transfer met, since nothing was to be moved. Only a socket whose two directions have
  // ended is reported as broken without one.
  if (client_.socket.broken() && !down_.ended()) return progress::client_failed;
  if (upstream_->socket.broken() && !up_.ended()) return progress::upstream_failed;
  return progress::waiting;
}

}  // namespace weir::proxy
