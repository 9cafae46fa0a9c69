// SPDX-License-Identifier: Apache-2.0
#include "limiter/redis/transport.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>

namespace weir::limiter::redis {

namespace asio = boost::asio;
using boost::system::error_code;

void transport::open(std::size_t attempt, std::shared_ptr<void> keep, opened done) {
  keep_ = std::move(keep);
  done_ = std::move(done);
  if (plan_->settings.tls.enabled && !plan_->tls) return finish_later(plan_->tls_problem);
  if (!to_.unix_path.empty()) {
    // longer paths do not fit into an address
    constexpr std::size_t longest_path = 107;
    if (to_.unix_path.size() <= longest_path)
      endpoints_.emplace_back(asio::local::stream_protocol::endpoint(to_.unix_path));
    return connect_first(attempt);
  }
  error_code not_numeric;
  const auto address = asio::ip::make_address(to_.host, not_numeric);
  if (not_numeric) return resolve(attempt);
  endpoints_.emplace_back(asio::ip::tcp::endpoint(address, to_.port));
  connect_first(attempt);
}

void transport::resolve(std::size_t attempt) {
  resolver_.async_resolve(
      to_.host, std::to_string(to_.port), asio::ip::resolver_base::numeric_service,
      [this, keep = keep_, attempt](error_code error, const asio::ip::tcp::resolver::results_type& results) {
        if (closed_) return;
        if (error) return finish(errc::refused, "cannot resolve " + to_.host + ": " + error.message());
        for (const auto& entry : results) endpoints_.emplace_back(entry.endpoint());
        connect_first(attempt);
      });
}

void transport::connect_first(std::size_t attempt) {
  if (endpoints_.empty()) return finish_later("no address to connect to");
  first_endpoint_ = attempt % endpoints_.size();
  connect_next({});
}

void transport::connect_next(const std::string& cause) {
  if (tried_ == endpoints_.size()) return finish(errc::refused, cause);
  const endpoint target = endpoints_[(first_endpoint_ + tried_) % endpoints_.size()];
  ++tried_;
  error_code ignored;
  socket_.close(ignored);  // a failed attempt leaves it open
  socket_.async_connect(target, [this, keep = keep_](error_code error) {
    if (closed_) return;
    if (error) return connect_next(error.message());
    on_connected();
  });
}

void transport::on_connected() {
  error_code error;
  socket_.non_blocking(true, error);
  if (!error && to_.unix_path.empty()) socket_.set_option(asio::ip::tcp::no_delay(true), error);
  if (error) return finish(errc::refused, error.message());
  if (plan_->tls) return start_tls();
  finish(errc::ok, {});
}

void transport::start_tls() {
  const std::string& name =
      plan_->settings.tls.server_name.empty() ? to_.host : plan_->settings.tls.server_name;
  tls_.emplace(socket_, *plan_->tls);
  error_code numeric;
  (void)asio::ip::make_address(name, numeric);
  const bool is_name = numeric.failed();
  if (is_name && SSL_set_tlsext_host_name(tls_->native_handle(), name.c_str()) != 1)
    return finish(errc::refused, "the TLS server name is unusable");
  if (plan_->settings.tls.verify) tls_->set_verify_callback(asio::ssl::host_name_verification(name));
  tls_->async_handshake(asio::ssl::stream_base::client, [this, keep = keep_](error_code error) {
    if (closed_) return;
    if (error) return finish(errc::refused, "TLS handshake: " + error.message());
    finish(errc::ok, {});
  });
}

void transport::finish(errc error, std::string_view cause) {
  const auto keep = std::exchange(keep_, nullptr);
  const auto done = std::exchange(done_, nullptr);
  if (done) done(error, cause);
}

void transport::finish_later(std::string cause) {
  asio::post(socket_.get_executor(), [this, keep = keep_, cause = std::move(cause)] {
    if (!closed_) finish(errc::refused, cause);
  });
}

std::size_t transport::write_now(std::string_view bytes, error_code& error) {
  if (tls_) {
    error = asio::error::would_block;
    return 0;
  }
  return socket_.write_some(asio::buffer(bytes), error);
}

void transport::close() noexcept {
  closed_ = true;
  error_code ignored;
  socket_.close(ignored);
  resolver_.cancel();
  done_ = nullptr;
  keep_ = nullptr;
}

}  // namespace weir::limiter::redis
