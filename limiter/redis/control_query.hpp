// SPDX-License-Identifier: Apache-2.0
// [I/O] One question on a connection of its own: where is the master, who has which slots.
#pragma once

#include "limiter/redis/reply_scanner.hpp"
#include "limiter/redis/transport.hpp"

#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace weir::limiter::redis {

class control_query : public std::enable_shared_from_this<control_query> {
 public:
  /// `reply` is null unless the error is ok; an error reply counts as errc::protocol or what its code says.
  using answered = std::function<void(errc, const scanned_reply* reply)>;

  /// `with_login`: AUTH first, as the settings say.
  control_query(boost::asio::io_context& io, std::shared_ptr<const session_plan> plan, redis_address to,
                bool with_login);

  /// Everything within connect_timeout + command_timeout. `done` is called once, never from inside, and not
  /// after cancel().
  void start(const std::vector<std::string>& words, answered done);
  void cancel() noexcept;

 private:
  void on_open();
  void write_rest();
  void read();
  void take();
  void finish(errc error, const scanned_reply* reply);

  std::shared_ptr<const session_plan> plan_;
  transport transport_;
  boost::asio::basic_waitable_timer<std::chrono::steady_clock,
                                    boost::asio::wait_traits<std::chrono::steady_clock>,
                                    boost::asio::io_context::executor_type>
      timer_;
  std::string output_;
  std::size_t written_ = 0;
  std::string input_;
  std::size_t end_ = 0;
  int to_skip_ = 0;  // the reply to AUTH
  reply_scanner scanner_;
  answered done_;
};

}  // namespace weir::limiter::redis
