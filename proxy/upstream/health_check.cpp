// SPDX-License-Identifier: Apache-2.0
#include "proxy/upstream/health_check.hpp"

#include "proxy/http/head.hpp"
#include "proxy/tls/context.hpp"
#include "proxy/upstream/health/check_verdict.hpp"

#include <algorithm>
#include <array>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <fmt/format.h>
#include <optional>

namespace weir::proxy {

namespace asio = boost::asio;
using error_code = boost::system::error_code;
using socket_type = asio::generic::stream_protocol::socket;
using tls_type = asio::ssl::stream<socket_type&>;

/// One endpoint. Every handler holds it, so it may be stopped at any time; `round_` tells a handler that its
/// check is over.
class health_checker::target : public std::enable_shared_from_this<target> {
 public:
  target(health_checker& owner, const upstream_settings& upstream, std::size_t endpoint,
         std::shared_ptr<const tls::client_context> context)
      : settings(upstream),
        number(endpoint),
        verdict(upstream.health_check.unhealthy_after, upstream.health_check.healthy_after),
        context_(upstream.endpoints[endpoint].tls ? std::move(context) : nullptr),
        owner_(owner),
        interval_(owner.io_),
        deadline_(owner.io_),
        socket_(owner.io_) {
    request_ = fmt::format(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: weir-health-check\r\nConnection: close\r\n\r\n",
        upstream.health_check.path, upstream.endpoints[endpoint].authority);
  }

  /// The first check comes soon, so that an endpoint that is down at the start is found out.
  void start() { wait(to_us(settings.health_check.interval) / 10); }

  void stop() {
    stopped_ = true;
    ++round_;
    interval_.cancel();
    deadline_.cancel();
    close();
  }

  const upstream_settings settings;
  const std::size_t number;
  std::vector<resolved_address> addresses;
  check_verdict verdict;

 private:
  /// +-20 %, so that processes that started together do not check together.
  void wait(std::int64_t us) {
    const std::int64_t jittered = us / 100 * (80 + static_cast<std::int64_t>(owner_.random_.below(41)));
    interval_.expires_after(std::chrono::microseconds(jittered));
    interval_.async_wait([self = shared_from_this()](const error_code& error) {
      if (!error && !self->stopped_) self->check();
    });
  }

  void check() {
    received_ = 0;
    response_.begin(false);
    deadline_.expires_after(settings.health_check.timeout);
    deadline_.async_wait([self = shared_from_this(), round = ++round_](const error_code& error) {
      if (!error && round == self->round_) self->done(false);
    });
    connect(0);
  }

  void connect(std::size_t index) {
    if (index >= addresses.size()) return done(false);
    asio::generic::stream_protocol::endpoint where(&addresses[index].storage, addresses[index].size);
    close();
    socket_.async_connect(where, [self = shared_from_this(), index, round = round_](const error_code& error) {
      if (round != self->round_) return;
      error ? self->connect(index + 1) : self->shake_hands();
    });
  }

  /// Of a plain endpoint there is nothing to do.
  void shake_hands() {
    if (!context_) return send();
    tls::ssl_ptr ssl = context_->connect(settings.endpoints[number].address.host);
    if (!ssl) return done(false);
    tls_ = std::make_shared<tls_type>(socket_, ssl.release());
    tls_->async_handshake(asio::ssl::stream_base::client, [self = shared_from_this(), stream = tls_,
                                                           round = round_](const error_code& error) {
      if (round != self->round_) return;
      error ? self->done(false) : self->send();
    });
  }

  /// Runs `action` on what the bytes go through; the handlers hold it.
  template <typename Action>
  void through(Action action) {
    tls_ ? action(*tls_) : action(socket_);
  }

  void send() {
    through([this](auto& stream) {
      asio::async_write(
          stream, asio::buffer(request_),
          [self = shared_from_this(), held = tls_, round = round_](const error_code& error, std::size_t) {
            if (round != self->round_) return;
            error ? self->done(false) : self->receive();
          });
    });
  }

  void receive() {
    if (received_ == buffer_.size()) return done(false);
    through([this](auto& stream) {
      stream.async_read_some(asio::buffer(buffer_) + received_,
                             [self = shared_from_this(), held = tls_, round = round_](const error_code& error,
                                                                                      std::size_t bytes) {
                               if (round == self->round_) self->on_bytes(error, bytes);
                             });
    });
  }

  void on_bytes(const error_code& error, std::size_t bytes) {
    if (error) return done(false);
    received_ += bytes;
    while (response_.scan({buffer_.data(), received_}) == http::scan_status::complete) {
      if (response_.status >= 200) return done(settings.health_check.expect.contains(response_.status));
      std::copy(buffer_.begin() + static_cast<std::ptrdiff_t>(response_.size()),
                buffer_.begin() + static_cast<std::ptrdiff_t>(received_), buffer_.begin());
      received_ -= response_.size();
      response_.begin(false);
    }
    response_.refusal().status != 0 ? done(false) : receive();
  }

  void done(bool good) {
    ++round_;
    deadline_.cancel();
    close();
    wait(to_us(settings.health_check.interval));
    if (const std::optional<bool> changed = verdict.add(good))
      owner_.on_verdict_(settings.name, number, *changed);
  }

  void close() {
    error_code ignored;
    socket_.close(ignored);
    tls_.reset();
  }

  static constexpr std::size_t max_response_head = 32 * 1024;

  std::shared_ptr<const tls::client_context> context_;  // null: plain
  health_checker& owner_;
  asio::steady_timer interval_, deadline_;
  socket_type socket_;
  std::shared_ptr<tls_type> tls_;  // of the check under way
  std::string request_;
  http::response_head response_;
  std::array<char, max_response_head> buffer_;
  std::size_t received_ = 0;
  std::uint64_t round_ = 0;  // of the check under way; moves on when one begins and when one ends
  bool stopped_ = false;
};

health_checker::health_checker(asio::io_context& io, verdict_function on_verdict)
    : io_(io), on_verdict_(std::move(on_verdict)) {}

health_checker::~health_checker() {
  stop();
}

void health_checker::stop() {
  for (const auto& t : targets_) t->stop();
  targets_.clear();
}

health_checker::target* health_checker::find(const std::string& upstream, std::size_t endpoint) const {
  for (const auto& t : targets_) {
    if (t->settings.name == upstream && t->number == endpoint) return t.get();
  }
  return nullptr;
}

void health_checker::watch(const settings& config, const resolved_endpoints& addresses,
                           const tls::context_set& contexts) {
  std::vector<std::shared_ptr<target>> wanted;
  for (std::size_t u = 0; u < config.upstreams.size(); ++u) {
    const upstream_settings& upstream = config.upstreams[u];
    if (upstream.health_check.path.empty()) continue;
    for (std::size_t e = 0; e < upstream.endpoints.size(); ++e) {
      auto made = std::make_shared<target>(*this, upstream, e, contexts.upstreams[u]);
      made->addresses = addresses[u][e];
      if (const target* before = find(upstream.name, e); before != nullptr && before->settings == upstream)
        made->verdict = before->verdict;
      wanted.push_back(std::move(made));
    }
  }
  stop();
  targets_ = std::move(wanted);
  for (const auto& t : targets_) t->start();
}

void health_checker::set_addresses(const std::string& upstream, std::size_t endpoint,
                                   const std::vector<resolved_address>& addresses) {
  if (target* t = find(upstream, endpoint)) t->addresses = addresses;
}

}  // namespace weir::proxy
