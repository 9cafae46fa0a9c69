// SPDX-License-Identifier: Apache-2.0
#include "limiter/redis/connection.hpp"

#include "lua/scripts.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <cstring>
#include <utility>

namespace weir::limiter::redis {

namespace asio = boost::asio;
using boost::system::error_code;

connection::connection(asio::io_context& io, std::shared_ptr<const session_plan> plan, redis_address to,
                       bool only_master, owner& listener, std::shared_ptr<void> life)
    : plan_(std::move(plan)),
      only_master_(only_master),
      owner_(&listener),
      life_(std::move(life)),
      transport_(io, plan_, std::move(to)) {}

void connection::dial(std::size_t attempt) {
  transport_.open(attempt, shared_from_this(), [this](errc error, std::string_view cause) {
    if (error != errc::ok) return lose(error, cause);
    start_handshake();
  });
}

void connection::start_handshake() {
  const redis_settings& settings = plan_->settings;
  handshake_.emplace(login{.username = settings.username,
                           .password = settings.password,
                           .database = settings.database,
                           .only_master = only_master_},
                     settings.proxy_clock ? lua::proxy_clock_script() : lua::decide_script(),
                     settings.proxy_clock ? lua::proxy_clock_sha1() : lua::decide_sha1(), output_,
                     settings.starts_empty ? settings.key_prefix + "1:{members}:since" : std::string());
  write();
}

void connection::close() noexcept {
  owner_ = nullptr;
  transport_.close();
  life_.reset();
}

void connection::lose(errc reason, std::string_view cause) {
  owner* const listener = std::exchange(owner_, nullptr);
  if (listener == nullptr) return;
  const auto self = shared_from_this();  // the owner lets go of us
  const auto life = life_;               // and may end with the last of us
  close();
  listener->on_lost(reason, cause);
}

// ---- Write -----------------------------------------------------------------------

// The usual case is one send() that takes everything: no handler, no round through the reactor.
void connection::write() {
  error_code error;
  written_ = transport_.write_now(output_, error);
  if (error && error != asio::error::would_block) return lose(errc::closed, error.message());
  // Begun one loop turn after the write that provokes the answer, the read mostly finds it: no failing
  // recv().
  start_read_later();
  if (written_ == output_.size()) return output_.clear();
  writing_ = true;
  write_rest();
}

void connection::write_rest() {
  transport_.async_write_some(asio::buffer(output_) + written_,
                              [self = shared_from_this()](error_code error, std::size_t size) {
                                if (self->owner_ == nullptr) return;
                                if (error) return self->lose(errc::closed, error.message());
                                self->written_ += size;
                                if (self->written_ < self->output_.size()) return self->write_rest();
                                self->writing_ = false;
                                self->output_.clear();
                                if (self->handshake_) return;
                                const auto life = self->life_;
                                self->owner_->on_written();
                              });
}

// ---- Read ------------------------------------------------------------------------

void connection::start_read_later() {
  if (reading_) return;
  reading_ = true;
  asio::post(transport_.executor(), [self = shared_from_this()] {
    self->reading_ = false;
    if (self->owner_ != nullptr) self->start_read();
  });
}

void connection::start_read() {
  if (reading_) return;
  reading_ = true;
  transport_.async_read_some(asio::buffer(input_) + end_,
                             [self = shared_from_this()](error_code error, std::size_t size) {
                               if (self->owner_ == nullptr) return;
                               if (error == asio::error::eof)
                                 return self->lose(errc::closed, "closed by the server");
                               if (error) return self->lose(errc::closed, error.message());
                               // A waiter may end the owner while replies are taken.
                               const auto life = self->life_;
                               const loop_turns& turns = self->owner_->turns();
                               if (turns.before) turns.before();
                               self->on_read(size);
                               if (turns.after) turns.after();
                             });
}

void connection::on_read(std::size_t size) {
  const bool handshaking = handshake_.has_value();
  end_ += size;
  while (begin_ < end_ && parse_next()) {
  }
  if (owner_ == nullptr) return;
  end_ -= begin_;
  std::memmove(input_.data(), input_.data() + begin_, end_);
  begin_ = 0;
  reading_ = false;
  // With no command unanswered the next write() or watch() starts the read.
  if (handshaking || owner_->awaited_elements()) start_read_later();
}

/// One reply; false when there is no whole one left or the connection ended.
bool connection::parse_next() {
  const auto elements = handshake_ ? std::optional<std::size_t>(0) : owner_->awaited_elements();
  if (!elements) {
    lose(errc::protocol, "reply to no command");
    return false;
  }
  const std::string_view unread(input_.data() + begin_, end_ - begin_);
  if (handshake_ && handshake_->expects_role()) return parse_role(unread);
  const auto progress = guard_.scan(unread, *elements);
  if (progress == reply_guard::progress::incomplete) return false;
  const std::string_view bytes = unread.substr(0, guard_.reply_bytes());
  if (progress == reply_guard::progress::violation || !reader_.read(bytes)) {
    lose(errc::protocol, "malformed or oversize reply");
    return false;
  }
  begin_ += bytes.size();
  guard_.next();
  take(reader_.value());
  return owner_ != nullptr;
}

void connection::take(const reply& answer) {
  if (!handshake_) return owner_->on_reply(answer);
  advance(handshake_->on_reply(answer));
}

/// The one nested reply of a handshake.
bool connection::parse_role(std::string_view unread) {
  const auto progress = role_.scan(unread);
  if (progress == reply_scanner::progress::incomplete && unread.size() < input_.size()) return false;
  if (progress != reply_scanner::progress::complete) {
    lose(errc::protocol, "malformed or oversize reply");
    return false;
  }
  begin_ += role_.bytes();
  return advance(handshake_->on_role(role_.reply()));
}

bool connection::advance(handshake::progress progress) {
  switch (progress) {
    case handshake::progress::more:
      return true;
    case handshake::progress::failed:
      lose(handshake_->failure(), handshake_->cause());
      return false;
    case handshake::progress::done:
      break;
  }
  const std::string memory_policy = handshake_->memory_policy();
  const std::int64_t since_us = handshake_->since_us();
  handshake_.reset();
  owner_->on_ready(memory_policy, since_us);
  return owner_ != nullptr;
}

}  // namespace weir::limiter::redis
