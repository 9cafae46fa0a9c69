// SPDX-License-Identifier: Apache-2.0
// `weir echo`: a small upstream that tells what it received. For demos and tests; nothing of the proxy uses
// it.
#include "config/addresses.hpp"
#include "config/units.hpp"
#include "proxy/cli/cli.hpp"
#include "proxy/observe/json_writer.hpp"

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <csignal>
#include <cstdio>
#include <fmt/format.h>
#include <unistd.h>

namespace weir::cli {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::redirect_error;
using asio::use_awaitable;
using boost::system::error_code;
using protocol = asio::generic::stream_protocol;
using any_stream = beast::basic_stream<protocol>;
using any_acceptor = asio::basic_socket_acceptor<protocol>;

constexpr std::uint32_t longest_head = 64 * 1024;
constexpr std::size_t read_size = 16 * 1024;
constexpr std::uint64_t largest_answer = 64ULL * 1024 * 1024;
constexpr std::chrono::seconds idle_timeout{
    65};  // above weir's pool.idle_timeout, as an upstream's should be
constexpr int connections_max = 16384;

struct echo_settings {
  proxy::socket_address listen;
  std::chrono::microseconds delay{0};
  unsigned status = 200;
  bool fixed_body = false;
  std::string body;  // of every answer when fixed_body
};

struct echo_server {
  const echo_settings& settings;
  int connections = 0;
};

using request_parser = http::request_parser<http::buffer_body>;

std::string_view view(beast::string_view text) {
  return {text.data(), text.size()};
}

std::string describe(const http::request_header<>& head, std::uint64_t body_size) {
  std::string out = R"({"method":)";
  proxy::append_json_string(out, view(head.method_string()));
  out += R"(,"target":)";
  proxy::append_json_string(out, view(head.target()));
  out += R"(,"headers":[)";
  std::string_view separator;
  for (const auto& field : head) {
    out += separator;
    out += '[';
    proxy::append_json_string(out, view(field.name_string()));
    out += ',';
    proxy::append_json_string(out, view(field.value()));
    out += ']';
    separator = ",";
  }
  out += fmt::format(R"(],"body_size":{}}})", body_size);
  out += '\n';
  return out;
}

/// Reads the body and forgets it; its size.
asio::awaitable<std::uint64_t> drain_body(any_stream& stream, beast::flat_buffer& buffer,
                                          request_parser& parser, error_code& failed) {
  std::array<char, read_size> bytes{};
  std::uint64_t total = 0;
  while (!parser.is_done()) {
    parser.get().body().data = bytes.data();
    parser.get().body().size = bytes.size();
    stream.expires_after(idle_timeout);
    co_await http::async_read(stream, buffer, parser, redirect_error(use_awaitable, failed));
    total += bytes.size() - parser.get().body().size;
    if (failed == http::error::need_buffer) failed = {};
    if (failed) break;
  }
  co_return total;
}

asio::awaitable<void> answer(any_stream& stream, const request_parser& parser, const std::string& body,
                             const echo_settings& settings, error_code& failed) {
  const bool bodiless = settings.status == 204 || settings.status == 304;
  http::response<http::span_body<const char>> response{static_cast<http::status>(settings.status),
                                                       parser.get().version()};
  response.set(http::field::server, "weir-echo");
  response.keep_alive(parser.get().keep_alive());
  if (!bodiless) {
    response.set(http::field::content_type,
                 settings.fixed_body ? "application/octet-stream" : "application/json");
    response.content_length(body.size());
    if (parser.get().method() != http::verb::head) response.body() = {body.data(), body.size()};
  }
  http::response_serializer<http::span_body<const char>> serializer{response};
  stream.expires_after(idle_timeout);
  co_await http::async_write(stream, serializer, redirect_error(use_awaitable, failed));
}

asio::awaitable<void> invite_body(any_stream& stream, const request_parser& parser, error_code& failed) {
  constexpr std::string_view interim = "HTTP/1.1 100 Continue\r\n\r\n";
  if (!beast::iequals(parser.get()[http::field::expect], "100-continue")) co_return;
  co_await asio::async_write(stream, asio::buffer(interim), redirect_error(use_awaitable, failed));
}

/// One request and its answer; false when the connection is over.
asio::awaitable<bool> exchange(any_stream& stream, beast::flat_buffer& buffer,
                               const echo_settings& settings) {
  error_code failed;
  request_parser parser;
  parser.header_limit(longest_head);
  parser.body_limit(boost::none);  // it is counted, not kept
  stream.expires_after(idle_timeout);
  co_await http::async_read_header(stream, buffer, parser, redirect_error(use_awaitable, failed));
  if (!failed) co_await invite_body(stream, parser, failed);
  if (failed) co_return false;
  const auto body_size = co_await drain_body(stream, buffer, parser, failed);
  if (failed) co_return false;
  if (settings.delay.count() > 0) {
    asio::steady_timer timer{stream.get_executor(), settings.delay};
    co_await timer.async_wait(redirect_error(use_awaitable, failed));
  }
  const auto described = settings.fixed_body ? std::string{} : describe(parser.get(), body_size);
  co_await answer(stream, parser, settings.fixed_body ? settings.body : described, settings, failed);
  co_return !failed && parser.get().keep_alive();
}

asio::awaitable<void> converse(protocol::socket socket, echo_server& server) {
  any_stream stream{std::move(socket)};
  beast::flat_buffer buffer{longest_head + read_size};
  while (co_await exchange(stream, buffer, server.settings)) {
  }
  error_code ignored;
  stream.socket().shutdown(protocol::socket::shutdown_send, ignored);
  --server.connections;
}

asio::awaitable<void> accept_all(any_acceptor& acceptor, echo_server& server) {
  for (;;) {
    error_code failed;
    auto socket = co_await acceptor.async_accept(redirect_error(use_awaitable, failed));
    if (failed == asio::error::operation_aborted) co_return;
    if (failed || server.connections >= connections_max) {
      // Out of descriptors or over the bound: let the others finish before the next one.
      asio::steady_timer pause{acceptor.get_executor(), std::chrono::milliseconds{10}};
      co_await pause.async_wait(redirect_error(use_awaitable, failed));
      continue;
    }
    ++server.connections;
    auto task = converse(std::move(socket), server);
    asio::co_spawn(acceptor.get_executor(), std::move(task), asio::detached);
  }
}

protocol::endpoint endpoint_of(const proxy::socket_address& address) {
  if (!address.unix_path.empty()) return asio::local::stream_protocol::endpoint{address.unix_path};
  return asio::ip::tcp::endpoint{asio::ip::make_address(address.host), address.port};
}

any_acceptor listen_on(asio::io_context& io, const proxy::socket_address& address) {
  const auto endpoint = endpoint_of(address);
  any_acceptor acceptor{io};
  acceptor.open(endpoint.protocol());
  if (address.unix_path.empty()) acceptor.set_option(any_acceptor::reuse_address{true});
  acceptor.bind(endpoint);
  acceptor.listen();
  return acceptor;
}

int serve(const echo_settings& settings) {
  echo_server server{settings};
  asio::io_context io{1};
  auto acceptor = listen_on(io, settings.listen);
  asio::signal_set signals{io, SIGTERM, SIGINT};
  signals.async_wait([&io](error_code, int) { io.stop(); });
  std::signal(SIGPIPE, SIG_IGN);
  auto task = accept_all(acceptor, server);
  asio::co_spawn(io, std::move(task), asio::detached);
  std::fputs(fmt::format("weir echo: listening on {}\n", settings.listen.text()).c_str(), stderr);
  io.run();
  if (!settings.listen.unix_path.empty()) ::unlink(settings.listen.unix_path.c_str());
  return exit_ok;
}

int usage(std::string_view option, std::string_view message, std::string_view hint) {
  std::fputs(fmt::format("weir echo: {}: {}{}{}\n", option, message, hint.empty() ? "" : "; ", hint).c_str(),
             stderr);
  return exit_usage;
}

}  // namespace

int echo_command(const echo_options& options) {
  echo_settings settings;
  auto address = config::parse_bind_address(options.listen);
  if (!address.value) return usage("--listen", address.message, address.hint);
  settings.listen = std::move(*address.value);
  const auto delay = config::parse_duration(options.delay);
  if (!delay.value) return usage("--delay", delay.message, delay.hint);
  settings.delay = *delay.value;
  if (options.status < 200 || options.status > 599) return usage("--status", "a status from 200 to 599", "");
  settings.status = static_cast<unsigned>(options.status);
  if (!options.size.empty()) {
    const auto size = config::parse_size(options.size);
    if (!size.value) return usage("--size", size.message, size.hint);
    if (*size.value > largest_answer) return usage("--size", "at most 64MiB", "");
    settings.fixed_body = true;
    settings.body.assign(static_cast<std::size_t>(*size.value), 'x');
  }
  try {
    return serve(settings);
  } catch (const boost::system::system_error& e) {
    std::fputs(
        fmt::format("weir echo: cannot listen on {}: {}\n", options.listen, e.code().message()).c_str(),
        stderr);
    return exit_failure;
  }
}

}  // namespace weir::cli
