// SPDX-License-Identifier: Apache-2.0
// [I/O] One question on a connection of its own: where is the master, who has which slots.
#pragma once

#include "limiter/redis/reply_scanner.hpp"
#include "limiter/redis/transport.hpp"

#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace weir::limiter::redis {

class control_query : public std::enable_shared_from_this<control_query> {
 public:
  /// `reply` is null unless the error is ok; an error reply counts as what its code says, a refused login as
  /// errc::auth.
  using answered = std::function<void(errc, const scanned_reply* reply)>;

  /// When the login of the settings is shown, if they have one.
  enum class login_when : std::uint8_t {
    first,  ///< before the question
    asked,  ///< only when the answer is NOAUTH: a server that wants no login does not see it
  };
  control_query(boost::asio::io_context& io, std::shared_ptr<const session_plan> plan, redis_address to,
                login_when login);

  /// Everything within connect_timeout + command_timeout. `done` is called once, never from inside, and not
  /// after cancel().
  void start(const std::vector<std::string>& words, answered done);
  void cancel() noexcept;

 private:
  void on_open();
  void put_question(bool with_login);
  void write_rest();
  void read();
  void take();
  void drop_reply();
  void refused(std::string_view text);
  void finish(errc error, const scanned_reply* reply);

  std::shared_ptr<const session_plan> plan_;
  transport transport_;
  boost::asio::basic_waitable_timer<std::chrono::steady_clock,
                                    boost::asio::wait_traits<std::chrono::steady_clock>,
                                    boost::asio::io_context::executor_type>
      timer_;
  std::vector<std::string> question_;
  login_when login_;
  std::string output_;
  std::size_t written_ = 0;
  std::string input_;
  std::size_t end_ = 0;
  int to_skip_ = 0;  // the reply to AUTH
  reply_scanner scanner_;
  answered done_;
};

}  // namespace weir::limiter::redis
