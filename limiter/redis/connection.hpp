// SPDX-License-Identifier: Apache-2.0
// [I/O] One connection to Redis: dialled once, used once. After a loss its owner makes a new one, so a late
// reply has nobody to reach.
#pragma once

#include "limiter/errc.hpp"
#include "limiter/redis/handshake.hpp"
#include "limiter/redis/loop_turns.hpp"
#include "limiter/redis/reply_guard.hpp"
#include "limiter/redis/reply_reader.hpp"
#include "limiter/redis/reply_scanner.hpp"
#include "limiter/redis/transport.hpp"

#include <array>
#include <boost/asio/io_context.hpp>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace weir::limiter::redis {

/// Bytes out, whole guarded replies in. Has no clock: its owner closes it when something takes too long.
/// Not thread-safe; lives on one io_context(1). Pending handlers keep it alive.
class connection : public std::enable_shared_from_this<connection> {
 public:
  /// Hears of everything until close(); may call close() from inside any of these.
  class owner {
   public:
    /// Connected, authenticated, script loaded. `memory_policy` is the server's maxmemory-policy, if it told;
    /// `since_us` as handshake::since_us().
    virtual void on_ready(std::string_view memory_policy, std::int64_t since_us) = 0;
    /// Elements the array reply to the oldest unanswered command must have, 0 for a control command; nothing
    /// when no command is unanswered.
    [[nodiscard]] virtual std::optional<std::size_t> awaited_elements() const noexcept = 0;
    virtual void on_reply(const reply& answer) = 0;
    /// What runs around the replies that came together.
    [[nodiscard]] virtual const loop_turns& turns() const noexcept = 0;
    /// Everything handed to write() is with the kernel.
    virtual void on_written() = 0;
    /// The connection is unusable: at most once, and the last call.
    virtual void on_lost(errc reason, std::string_view cause) = 0;

   protected:
    ~owner() = default;
  };

  /// `listener` is part of `life`, which the connection holds up to close(). `only_master`: a replica is
  /// refused.
  connection(boost::asio::io_context& io, std::shared_ptr<const session_plan> plan, redis_address to,
             bool only_master, owner& listener, std::shared_ptr<void> life);

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
  void start_handshake();

  void write_rest();
  void start_read();
  void start_read_later();
  void on_read(std::size_t size);
  bool parse_next();
  bool parse_role(std::string_view unread);
  bool advance(handshake::progress progress);
  void take(const reply& answer);
  void lose(errc reason, std::string_view cause);

  std::shared_ptr<const session_plan> plan_;
  const bool only_master_;
  owner* owner_;  // null = closed
  std::shared_ptr<void> life_;
  transport transport_;

  std::optional<handshake> handshake_;  // until it is done
  reply_guard guard_;
  reply_reader reader_;
  reply_scanner role_;

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
