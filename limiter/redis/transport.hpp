// SPDX-License-Identifier: Apache-2.0
// [I/O] A socket to a Redis, plain or TLS: name, connect, handshake; then bytes. Has no clock: its owner
// closes it when something takes too long.
#pragma once

#include "limiter/errc.hpp"
#include "limiter/redis/tls_context.hpp"

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/basic_resolver.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weir::limiter::redis {

/// Used once. Not thread-safe. Handlers hold the `keep` given to open(), which must own the transport.
class transport {
 public:
  using opened = std::function<void(errc, std::string_view cause)>;

  transport(boost::asio::io_context& io, std::shared_ptr<const session_plan> plan, redis_address to)
      : plan_(std::move(plan)),
        to_(std::move(to)),
        socket_(io.get_executor()),
        resolver_(io.get_executor()) {}

  /// Ends in `done(errc::ok)` or with why not; never from inside, and not after close(). `attempt` rotates
  /// the addresses of a name, so that a dead first address does not stay first.
  void open(std::size_t attempt, std::shared_ptr<void> keep, opened done);

  /// As much as the kernel takes at once; TLS takes nothing here.
  std::size_t write_now(std::string_view bytes, boost::system::error_code& error);
  template <class Handler>
  void async_write_some(boost::asio::const_buffer bytes, Handler&& handler) {
    if (tls_) return tls_->async_write_some(bytes, std::forward<Handler>(handler));
    socket_.async_write_some(bytes, std::forward<Handler>(handler));
  }
  template <class Handler>
  void async_read_some(boost::asio::mutable_buffer room, Handler&& handler) {
    if (tls_) return tls_->async_read_some(room, std::forward<Handler>(handler));
    socket_.async_read_some(room, std::forward<Handler>(handler));
  }
  [[nodiscard]] boost::asio::io_context::executor_type executor() { return socket_.get_executor(); }

  /// Silent and final; idempotent.
  void close() noexcept;

 private:
  using socket = boost::asio::basic_stream_socket<boost::asio::generic::stream_protocol,
                                                  boost::asio::io_context::executor_type>;
  using endpoint = boost::asio::generic::stream_protocol::endpoint;
  using resolver =
      boost::asio::ip::basic_resolver<boost::asio::ip::tcp, boost::asio::io_context::executor_type>;

  void resolve(std::size_t attempt);
  void connect_first(std::size_t attempt);
  void connect_next(const std::string& cause);
  void on_connected();
  void start_tls();
  void finish(errc error, std::string_view cause);
  void finish_later(std::string cause);

  std::shared_ptr<const session_plan> plan_;
  redis_address to_;
  socket socket_;
  std::optional<boost::asio::ssl::stream<socket&>> tls_;
  resolver resolver_;
  std::vector<endpoint> endpoints_;
  std::size_t first_endpoint_ = 0;
  std::size_t tried_ = 0;
  bool closed_ = false;
  std::shared_ptr<void> keep_;  // while opening
  opened done_;
};

}  // namespace weir::limiter::redis
