// SPDX-License-Identifier: Apache-2.0
// [I/O] One connection to Redis: dialled once, used once. After a loss its owner makes a new one, so a late
// reply has nobody to reach.
#pragma once

#include "limiter/errc.hpp"
#include "limiter/redis/handshake.hpp"
#include "limiter/redis/reply_guard.hpp"
#include "limiter/redis/reply_reader.hpp"

#include <array>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/basic_resolver.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir::limiter {
struct redis_settings;
}

namespace weir::limiter::redis {

/// Bytes out, whole guarded replies in. Has no clock: its owner closes it when something takes too long.
/// Not thread-safe; lives on one io_context(1). Pending handlers keep it alive.
class connection : public std::enable_shared_from_this<connection> {
 public:
  /// Hears of everything until close(); may call close() from inside any of these.
  class owner {
   public:
    /// Connected, authenticated, script loaded.
    virtual void on_ready() = 0;
    /// Elements the array reply to the oldest unanswered command must have, 0 for a control command; nothing
    /// when no command is unanswered.
    [[nodiscard]] virtual std::optional<std::size_t> awaited_elements() const noexcept = 0;
    virtual void on_reply(const reply& answer) = 0;
    /// Everything handed to write() is with the kernel.
    virtual void on_written() = 0;
    /// The connection is unusable: at most once, and the last call.
    virtual void on_lost(errc reason, std::string_view cause) = 0;

   protected:
    ~owner() = default;
  };

  /// `settings` and `listener` must outlive the connection up to close().
  connection(boost::asio::io_context& io, const redis_settings& settings, owner& listener);

  /// Starts resolving, connecting and the handshake; ends in on_ready() or on_lost(). `attempt` rotates the
  /// addresses of a name, so that a dead first address does not stay first. Calls nothing of the owner before
  /// it returns.
  void dial(std::size_t attempt);

  /// Commands to send: append here, then call write(). Only while !writing().
  [[nodiscard]] std::string& output() noexcept { return output_; }
  [[nodiscard]] bool writing() const noexcept { return writing_; }
  void write();

  /// Makes sure that an idle connection hears when its peer leaves.
  void watch() { start_read(); }

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
  void start_handshake();

  void write_rest();
  void start_read();
  void start_read_later();
  void on_read(std::size_t size);
  bool parse_next();
  void take(const reply& answer);
  void lose(errc reason, std::string_view cause);

  const redis_settings& settings_;
  owner* owner_;  // null = closed
  socket socket_;
  resolver resolver_;
  std::vector<endpoint> endpoints_;
  std::size_t first_endpoint_ = 0;
  std::size_t tried_ = 0;

  std::optional<handshake> handshake_;  // until it is done
  reply_guard guard_;
  reply_reader reader_;

  std::string output_;
  std::size_t written_ = 0;  // bytes of output_ that the kernel has
  bool writing_ = false;

  // Room for a whole incomplete reply and then some: many replies come in one read.
  static constexpr std::size_t input_bytes = 4 * max_reply_bytes;
  std::array<char, input_bytes> input_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  bool reading_ = false;  // a read is under way, posted or being parsed
};

}  // namespace weir::limiter::redis
