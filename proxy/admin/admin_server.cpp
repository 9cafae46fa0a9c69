// SPDX-License-Identifier: Apache-2.0
#include "proxy/admin/admin_server.hpp"

#include "proxy/admin/gate.hpp"
#include "proxy/observe/json_writer.hpp"
#include "proxy/observe/own_log.hpp"

#include <algorithm>
#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <exception>
#include <list>
#include <new>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

namespace weir::proxy {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;
using tcp = asio::ip::tcp;

constexpr std::size_t max_connections = 64;
constexpr std::size_t max_head = 8 * 1024;
constexpr std::size_t max_body = 64 * 1024;
constexpr std::chrono::seconds request_deadline{5};
constexpr std::chrono::seconds reload_patience{60};
constexpr std::chrono::milliseconds accept_pause{100};  // after a failed accept: descriptors may have run out
constexpr auto with_error = asio::as_tuple(asio::use_awaitable);

using request_parser = http::request_parser<http::string_body>;
using request = http::request<http::string_body>;
using response = http::response<http::string_body>;

std::string_view view(beast::string_view text) noexcept {
  return {text.data(), text.size()};
}

// ---- Answers ----

response answer(http::status status, std::string_view content_type, std::string body) {
  response r{status, 11};
  r.set(http::field::content_type, beast::string_view{content_type.data(), content_type.size()});
  r.set(http::field::cache_control, "no-store");
  r.body() = std::move(body);
  return r;
}

response plain(http::status status, std::string body) {
  return answer(status, "text/plain; charset=utf-8", std::move(body));
}

/// The same envelope as on the data path.
response error(http::status status, std::string_view type, std::string_view message,
               std::string_view detail = {}, std::string_view value = {}) {
  std::string body = R"({"error":{"message":)";
  append_json_string(body, message);
  body += R"(,"type":)";
  append_json_string(body, type);
  body += R"(,"details":{)";
  if (!detail.empty()) {
    append_json_string(body, detail);
    body += ':';
    append_json_string(body, value);
  }
  return answer(status, "application/json", body + "}}}");
}

response method_not_allowed(std::string_view allowed) {
  response r = error(http::status::method_not_allowed, "method_not_allowed", "the method is not allowed");
  r.set(http::field::allow, beast::string_view{allowed.data(), allowed.size()});
  return r;
}

response reloaded(const reload_report& report) {
  if (report.result == reload_result::rejected) {
    return error(http::status::unprocessable_entity, "invalid_config",
                 "the new configuration is refused, the running one stays", "problems", report.problems);
  }
  std::string body = R"({"result":)";
  append_json_string(body, to_string(report.result));
  body += R"(,"hash_before":)";
  append_json_string(body, report.hash_before);
  body += R"(,"hash_after":)";
  append_json_string(body, report.hash_after);
  return answer(http::status::ok, "application/json", body + "}\n");
}

response readiness(const readiness_report& report, bool verbose) {
  std::string body;
  for (const readiness_check& check : report.checks) {
    if (!verbose) break;
    body += check.ok ? "[+]" : "[-]";
    body += check.name;
    if (check.ok) body += " ok";
    if (!check.detail.empty()) body.append(check.ok ? ": " : " ").append(check.detail);
    body += '\n';
  }
  body += report.ready ? "ready\n" : "not ready\n";
  return plain(report.ready ? http::status::ok : http::status::service_unavailable, std::move(body));
}

// ---- Requests ----

bool has_body(const request_parser& parser) {
  return parser.chunked() || parser.content_length().value_or(0) != 0;
}

/// `verbose`, `verbose=...`, alone or among other parameters.
bool wants_verbose(std::string_view query) noexcept {
  while (!query.empty()) {
    const std::string_view parameter = query.substr(0, query.find('&'));
    if (parameter.substr(0, parameter.find('=')) == "verbose") return true;
    query.remove_prefix(std::min(query.size(), parameter.size() + 1));
  }
  return false;
}

response route(const request& head, const admin_sources& sources) {
  const std::string_view target = view(head.target());
  const std::size_t mark = std::min(target.find('?'), target.size());
  const std::string_view path = target.substr(0, mark);
  if (path == "/livez" || path == "/healthz") return plain(http::status::ok, "ok\n");
  if (path == "/readyz") {
    return readiness(sources.readiness(), wants_verbose(target.substr(std::min(mark + 1, target.size()))));
  }
  if (path == "/metrics") {
    return answer(http::status::ok, "text/plain; version=0.0.4; charset=utf-8", sources.metrics());
  }
  return error(http::status::not_found, "not_found", "there is no such page");
}

bool is_reload(const request& head) {
  const std::string_view target = view(head.target());
  return target.substr(0, target.find('?')) == "/api/reload";
}

/// Why this request is not listened to; nothing when it is.
std::optional<response> turned_away(const request_parser& parser, bool any_host) {
  const request& head = parser.get();
  const std::string_view host = view(head[http::field::host]);
  if (!any_host && !admin::is_loopback_host(host))
    return error(http::status::forbidden, "forbidden", "the Host is not allowed");
  if (!any_host && admin::is_foreign_origin(view(head[http::field::origin]), host))
    return error(http::status::forbidden, "forbidden", "the Origin is not allowed");
  if (is_reload(head) && !any_host) {
    if (head.method() != http::verb::post) return method_not_allowed("POST");
    if (admin::is_json(view(head[http::field::content_type]))) return std::nullopt;
    return error(http::status::unsupported_media_type, "unsupported_media_type",
                 "the Content-Type must be application/json");
  }
  if (head.method() != http::verb::get && head.method() != http::verb::head)
    return method_not_allowed("GET, HEAD");
  if (has_body(parser))
    return error(http::status::payload_too_large, "body_too_large", "a request has no body here");
  return std::nullopt;
}

response respond(const request& head, const admin_sources& sources) {
  try {
    return route(head, sources);
  } catch (const std::exception& e) {
    log_event(log_level::error, "admin request failed", {{"cause", e.what()}});
    return error(http::status::internal_server_error, "internal", "internal error");
  }
}

response refuse(error_code cause) {
  if (cause == http::error::header_limit || cause == http::error::buffer_overflow) {
    return error(http::status::request_header_fields_too_large, "headers_too_large",
                 "the request header section is too large");
  }
  if (cause == http::error::body_limit)
    return error(http::status::payload_too_large, "body_too_large", "the body is too large");
  return error(http::status::bad_request, "bad_request", "the request is malformed");
}

/// An error of the HTTP parser, as opposed to one of the connection or its end.
bool is_malformed(error_code cause) noexcept {
  static const auto& parser_errors = http::make_error_code(http::error::bad_method).category();
  return cause.category() == parser_errors && cause != http::error::end_of_stream &&
         cause != http::error::partial_message;
}

// ---- Sockets ----

tcp::endpoint resolve(asio::io_context& io, const socket_address& address) {
  error_code failed;
  const auto ip = asio::ip::make_address(address.host, failed);
  if (!failed) return {ip, address.port};
  tcp::resolver resolver(io);  // a name, usually localhost; looked up once, at the start
  return *resolver.resolve(address.host, std::to_string(address.port)).begin();
}

tcp::acceptor bind(asio::io_context& io, const socket_address& address) {
  try {
    return tcp::acceptor(io, resolve(io, address));  // sets SO_REUSEADDR
  } catch (const boost::system::system_error& e) {
    throw std::system_error(e.code(), "cannot listen on " + address.text() + " (admin)");
  }
}

}  // namespace

/// Kept alive by the coroutines, so that they may end after the admin_server is gone.
class admin_server::impl {
 public:
  impl(asio::io_context& io, const admin_settings& settings, admin_sources sources)
      : io_(io), sources_(std::move(sources)), main_(bind(io, settings.address)), scrape_(io), pause_(io) {
    if (settings.has_scrape_address) scrape_ = bind(io, settings.scrape_address);
  }

  static void start(const std::shared_ptr<impl>& self) {
    asio::co_spawn(self->io_, accept(self, false), asio::detached);
    if (self->scrape_.is_open()) asio::co_spawn(self->io_, accept(self, true), asio::detached);
  }

  void stop() {
    error_code ignored;
    stopped_ = true;
    main_.close(ignored);
    scrape_.close(ignored);
    pause_.cancel();
    for (beast::tcp_stream& stream : connections_) stream.close();
  }

  [[nodiscard]] std::uint16_t port(bool scrape) const noexcept {
    error_code failed;
    const auto endpoint = (scrape ? scrape_ : main_).local_endpoint(failed);
    return failed ? std::uint16_t{0} : endpoint.port();
  }

  [[nodiscard]] std::array<std::uint64_t, 4> answered() const noexcept {
    std::array<std::uint64_t, 4> counts{};
    std::transform(answered_.begin(), answered_.end(), counts.begin(),
                   [](const auto& n) { return n.load(std::memory_order_relaxed); });
    return counts;
  }

 private:
  using self_pointer = std::shared_ptr<impl>;

  /// One place among the connections, given back at the end of the coroutine that serves it.
  class connection {
   public:
    connection(std::list<beast::tcp_stream>& all, tcp::socket socket)
        : all_(all), at_(all.emplace(all.end(), std::move(socket))) {}
    ~connection() { all_.erase(at_); }
    connection(const connection&) = delete;
    connection& operator=(const connection&) = delete;
    [[nodiscard]] beast::tcp_stream& stream() noexcept { return *at_; }

   private:
    std::list<beast::tcp_stream>& all_;
    std::list<beast::tcp_stream>::iterator at_;
  };

  static asio::awaitable<void> accept(self_pointer self, bool scrape) {
    tcp::acceptor& acceptor = scrape ? self->scrape_ : self->main_;
    while (!self->stopped_) {
      auto [failed, socket] = co_await acceptor.async_accept(with_error);
      if (self->stopped_) break;
      if (failed) {
        self->pause_.expires_after(accept_pause);
        co_await self->pause_.async_wait(with_error);
      } else if (self->connections_.size() < max_connections) {
        try {
          auto place = std::make_unique<connection>(self->connections_, std::move(socket));
          asio::co_spawn(self->io_, serve(self, std::move(place), scrape), asio::detached);
        } catch (const std::bad_alloc&) {
          log_out_of_memory();  // this connection is closed
        }
      }
    }
  }

  static asio::awaitable<void> serve(self_pointer self, std::unique_ptr<connection> own, bool any_host) {
    beast::flat_buffer buffer(max_head);
    while (co_await self->serve_one(own->stream(), buffer, any_host)) {
    }
    error_code ignored;
    own->stream().socket().shutdown(tcp::socket::shutdown_send, ignored);
  }

  /// True: another request may follow.
  asio::awaitable<bool> serve_one(beast::tcp_stream& stream, beast::flat_buffer& buffer, bool any_host) {
    request_parser parser;
    parser.header_limit(max_head);
    parser.body_limit(boost::none);  // what may have a body gets its limit when it is read
    stream.expires_after(request_deadline);
    const auto [failed, size] = co_await http::async_read_header(stream, buffer, parser, with_error);
    if (failed && !is_malformed(failed)) co_return false;

    std::optional<response> answer = failed ? refuse(failed) : turned_away(parser, any_host);
    if (!answer && is_reload(parser.get())) {
      answer = co_await reload(stream, buffer, parser);
    } else if (!answer) {
      answer = respond(parser.get(), sources_);
    }
    if (!answer) co_return false;  // the client left
    const bool head_only = !failed && parser.get().method() == http::verb::head;
    answer->keep_alive(!failed && parser.is_done() && parser.get().keep_alive());
    answer->prepare_payload();
    count(answer->result());
    stream.expires_after(request_deadline);
    const error_code sent = co_await send(stream, *answer, head_only);
    co_return answer->keep_alive() && !sent;
  }

  /// What a reload, which other parts of the process make, is waited for with.
  struct awaited_reload {
    explicit awaited_reload(asio::io_context& io) : patience(io, reload_patience) {}
    asio::steady_timer patience;
    std::optional<reload_report> report;
  };

  /// Nothing: the client left before it had asked.
  asio::awaitable<std::optional<response>> reload(beast::tcp_stream& stream, beast::flat_buffer& buffer,
                                                  request_parser& parser) {
    if (parser.content_length().value_or(0) > max_body) co_return refuse(http::error::body_limit);
    parser.body_limit(max_body);  // of a chunked one
    const auto [failed, size] = co_await http::async_read(stream, buffer, parser, with_error);
    if (failed && !is_malformed(failed)) co_return std::nullopt;
    if (failed) co_return refuse(failed);
    if (!admin::asks_nothing_more(parser.get().body()))
      co_return error(http::status::bad_request, "bad_request", "a reload takes no parameters");
    const auto waiting = std::make_shared<awaited_reload>(io_);
    sources_.reload(peer_of(stream), [waiting](const reload_report& report) {
      waiting->report = report;
      waiting->patience.cancel();
    });
    co_await waiting->patience.async_wait(with_error);
    if (waiting->report) co_return reloaded(*waiting->report);
    co_return error(http::status::service_unavailable, "busy", "the reload is still going on");
  }

  static std::string peer_of(beast::tcp_stream& stream) {
    error_code failed;
    const tcp::endpoint peer = stream.socket().remote_endpoint(failed);
    return failed ? std::string() : peer.address().to_string() + ":" + std::to_string(peer.port());
  }

  static asio::awaitable<error_code> send(beast::tcp_stream& stream, response& answer, bool head_only) {
    http::response_serializer<http::string_body> serializer(answer);
    if (head_only) {
      const auto [failed, size] = co_await http::async_write_header(stream, serializer, with_error);
      co_return failed;
    }
    const auto [failed, size] = co_await http::async_write(stream, serializer, with_error);
    co_return failed;
  }

  void count(http::status status) noexcept {
    const std::size_t at = status == http::status::ok                    ? 0
                           : status == http::status::not_found           ? 1
                           : status == http::status::service_unavailable ? 2
                                                                         : 3;
    answered_[at].fetch_add(1, std::memory_order_relaxed);
  }

  asio::io_context& io_;
  const admin_sources sources_;
  tcp::acceptor main_;
  tcp::acceptor scrape_;  // closed: there is none
  asio::steady_timer pause_;
  std::list<beast::tcp_stream> connections_;
  bool stopped_ = false;
  std::array<std::atomic<std::uint64_t>, 4> answered_{};
};

admin_server::admin_server(asio::io_context& io, const admin_settings& settings, admin_sources sources)
    : impl_(std::make_shared<impl>(io, settings, std::move(sources))) {
  impl::start(impl_);
}

admin_server::~admin_server() {
  impl_->stop();
}

void admin_server::stop() {
  impl_->stop();
}

std::uint16_t admin_server::port() const noexcept {
  return impl_->port(false);
}
std::uint16_t admin_server::scrape_port() const noexcept {
  return impl_->port(true);
}

std::array<std::uint64_t, 4> admin_server::answered() const noexcept {
  return impl_->answered();
}

}  // namespace weir::proxy
