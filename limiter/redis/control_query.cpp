// SPDX-License-Identifier: Apache-2.0
#include "limiter/redis/control_query.hpp"

#include "limiter/redis/errors.hpp"
#include "limiter/redis/handshake.hpp"

#include <algorithm>
#include <boost/asio/error.hpp>
#include <utility>

namespace weir::limiter::redis {

namespace asio = boost::asio;
using io_error = boost::system::error_code;

control_query::control_query(asio::io_context& io, std::shared_ptr<const session_plan> plan, redis_address to,
                             login_when login)
    : plan_(std::move(plan)),
      transport_(io, plan_, std::move(to)),
      timer_(io.get_executor()),
      login_(login) {}

void control_query::start(const std::vector<std::string>& words, answered done) {
  done_ = std::move(done);
  question_ = words;
  put_question(login_ == login_when::first);
  timer_.expires_after(plan_->settings.connect_timeout + plan_->settings.command_timeout);
  timer_.async_wait([self = shared_from_this()](const io_error& error) {
    if (!error) self->finish(errc::timeout, nullptr);
  });
  transport_.open(0, shared_from_this(), [this](errc error, std::string_view) {
    if (error != errc::ok) return finish(error, nullptr);
    on_open();
  });
}

void control_query::put_question(bool with_login) {
  const redis_settings& s = plan_->settings;
  output_.clear();
  written_ = 0;
  if (with_login && !s.password.empty()) {
    append_auth(output_, {.username = s.username, .password = s.password});
    to_skip_ = 1;
  }
  output_ += '*' + std::to_string(question_.size()) + "\r\n";
  for (const std::string& word : question_)
    output_ += '$' + std::to_string(word.size()) + "\r\n" + word + "\r\n";
}

void control_query::on_open() {
  write_rest();
  read();
}

void control_query::write_rest() {
  transport_.async_write_some(asio::buffer(output_) + written_,
                              [self = shared_from_this()](io_error error, std::size_t size) {
                                if (!self->done_) return;
                                if (error) return self->finish(errc::closed, nullptr);
                                self->written_ += size;
                                if (self->written_ < self->output_.size()) self->write_rest();
                              });
}

void control_query::read() {
  constexpr std::size_t first_room = 16384;
  if (end_ == input_.size()) input_.resize(std::min(std::max(first_room, 2 * end_), max_map_bytes + 1));
  if (end_ == input_.size()) return finish(errc::protocol, nullptr);
  transport_.async_read_some(asio::buffer(input_) + end_,
                             [self = shared_from_this()](io_error error, std::size_t size) {
                               if (!self->done_) return;
                               if (error) return self->finish(errc::closed, nullptr);
                               self->end_ += size;
                               self->take();
                             });
}

void control_query::take() {
  for (;;) {
    const auto progress = scanner_.scan(std::string_view(input_).substr(0, end_));
    if (progress == reply_scanner::progress::violation) return finish(errc::protocol, nullptr);
    if (progress == reply_scanner::progress::incomplete) return read();
    const scanned_reply& reply = scanner_.reply();
    const reply_token& first = reply.tokens.front();
    if (first.type == reply_token::kind::error) return refused(reply.text(first));
    if (to_skip_ == 0) return finish(errc::ok, &reply);
    --to_skip_;
    drop_reply();
  }
}

void control_query::drop_reply() {
  input_.erase(0, scanner_.bytes());
  end_ -= scanner_.bytes();
  scanner_ = {};
}

void control_query::refused(std::string_view text) {
  if (to_skip_ > 0) return finish(errc::auth, nullptr);
  const bool may_log_in = login_ == login_when::asked && !plan_->settings.password.empty();
  const bool heard = written_ == output_.size();
  if (!may_log_in || !heard || error_code(text) != "NOAUTH") return finish(classify_error(text), nullptr);
  login_ = login_when::first;
  drop_reply();
  put_question(true);
  on_open();
}

void control_query::finish(errc error, const scanned_reply* reply) {
  const auto self = shared_from_this();
  const auto done = std::exchange(done_, nullptr);
  timer_.cancel();
  transport_.close();
  if (done) done(error, reply);
}

void control_query::cancel() noexcept {
  done_ = nullptr;
  timer_.cancel();
  transport_.close();
}

}  // namespace weir::limiter::redis
