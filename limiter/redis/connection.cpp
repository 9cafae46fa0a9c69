// SPDX-License-Identifier: Apache-2.0
#include "limiter/redis/connection.hpp"

#include "limiter/stores/redis_store.hpp"
#include "lua/scripts.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <cstring>
#include <utility>

namespace weir::limiter::redis {

namespace asio = boost::asio;
using boost::system::error_code;

connection::connection(asio::io_context& io, const redis_settings& settings, owner& listener)
    : settings_(settings), owner_(&listener), socket_(io.get_executor()), resolver_(io.get_executor()) {}

// ---- Dial ------------------------------------------------------------------------

void connection::dial(std::size_t attempt) {
  if (!settings_.unix_path.empty()) {
    // longer paths do not fit into an address
    constexpr std::size_t longest_path = 107;
    if (settings_.unix_path.size() <= longest_path) {
      endpoints_.emplace_back(asio::local::stream_protocol::endpoint(settings_.unix_path));
    }
    return connect_first(attempt);
  }
  error_code not_numeric;
  const auto address = asio::ip::make_address(settings_.host, not_numeric);
  if (not_numeric) return resolve(attempt);
  endpoints_.emplace_back(asio::ip::tcp::endpoint(address, settings_.port));
  connect_first(attempt);
}

void connection::resolve(std::size_t attempt) {
  resolver_.async_resolve(
      settings_.host, std::to_string(settings_.port), asio::ip::resolver_base::numeric_service,
      [self = shared_from_this(), attempt](error_code error,
                                           const asio::ip::tcp::resolver::results_type& results) {
        if (self->owner_ == nullptr) return;
        if (error)
          return self->lose(errc::refused, "cannot resolve " + self->settings_.host + ": " + error.message());
        for (const auto& entry : results) self->endpoints_.emplace_back(entry.endpoint());
        self->connect_first(attempt);
      });
}

void connection::connect_first(std::size_t attempt) {
  if (!endpoints_.empty()) {
    first_endpoint_ = attempt % endpoints_.size();
    return connect_next({});
  }
  asio::post(socket_.get_executor(),
             [self = shared_from_this()] { self->lose(errc::refused, "no address to connect to"); });
}

void connection::connect_next(const std::string& cause) {
  if (tried_ == endpoints_.size()) return lose(errc::refused, cause);
  const endpoint target = endpoints_[(first_endpoint_ + tried_) % endpoints_.size()];
  ++tried_;
  error_code ignored;
  socket_.close(ignored);  // a failed attempt leaves it open
  socket_.async_connect(target, [self = shared_from_this()](error_code error) {
    if (self->owner_ == nullptr) return;
    if (error) return self->connect_next(error.message());
    self->on_connected();
  });
}

void connection::on_connected() {
  error_code error;
  socket_.non_blocking(true, error);
  if (!error && settings_.unix_path.empty()) socket_.set_option(asio::ip::tcp::no_delay(true), error);
  if (error) return lose(errc::refused, error.message());
  start_handshake();
}

void connection::start_handshake() {
  handshake_.emplace(
      login{.username = settings_.username, .password = settings_.password, .database = settings_.database},
      lua::decide_script(), lua::decide_sha1(), output_);
  write();
}

void connection::close() noexcept {
  owner_ = nullptr;
  error_code ignored;
  socket_.close(ignored);
  resolver_.cancel();
}

void connection::lose(errc reason, std::string_view cause) {
  owner* const listener = std::exchange(owner_, nullptr);
  if (listener == nullptr) return;
  const auto self = shared_from_this();  // the owner lets go of us
  close();
  listener->on_lost(reason, cause);
}

// ---- Write -----------------------------------------------------------------------

// The usual case is one send() that takes everything: no handler, no round through the reactor.
void connection::write() {
  error_code error;
  written_ = socket_.write_some(asio::buffer(output_), error);
  if (error && error != asio::error::would_block) return lose(errc::closed, error.message());
  // Begun one loop turn after the write that provokes the answer, the read mostly finds it: no failing
  // recv().
  start_read_later();
  if (written_ == output_.size()) return output_.clear();
  writing_ = true;
  write_rest();
}

void connection::write_rest() {
  socket_.async_write_some(asio::buffer(output_) + written_,
                           [self = shared_from_this()](error_code error, std::size_t size) {
                             if (self->owner_ == nullptr) return;
                             if (error) return self->lose(errc::closed, error.message());
                             self->written_ += size;
                             if (self->written_ < self->output_.size()) return self->write_rest();
                             self->writing_ = false;
                             self->output_.clear();
                             if (!self->handshake_) self->owner_->on_written();
                           });
}

// ---- Read ------------------------------------------------------------------------

void connection::start_read_later() {
  if (reading_) return;
  reading_ = true;
  asio::post(socket_.get_executor(), [self = shared_from_this()] {
    self->reading_ = false;
    if (self->owner_ != nullptr) self->start_read();
  });
}

void connection::start_read() {
  if (reading_) return;
  reading_ = true;
  socket_.async_read_some(asio::buffer(input_) + end_,
                          [self = shared_from_this()](error_code error, std::size_t size) {
                            if (self->owner_ == nullptr) return;
                            if (error == asio::error::eof)
                              return self->lose(errc::closed, "closed by the server");
                            if (error) return self->lose(errc::closed, error.message());
                            self->on_read(size);
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
  switch (handshake_->on_reply(answer)) {
    case handshake::progress::more:
      return;
    case handshake::progress::failed:
      return lose(handshake_->failure(), handshake_->cause());
    case handshake::progress::done:
      handshake_.reset();
      owner_->on_ready();
  }
}

}  // namespace weir::limiter::redis
