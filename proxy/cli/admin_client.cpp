// SPDX-License-Identifier: Apache-2.0
#include "proxy/cli/admin_client.hpp"

#include "config/addresses.hpp"
#include "proxy/cli/cli.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <cstdio>
#include <exception>
#include <fmt/format.h>

namespace weir::cli {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::use_awaitable;
using any_stream = beast::basic_stream<asio::generic::stream_protocol>;

constexpr std::size_t longest_answer = std::size_t{1024} * 1024;

asio::awaitable<asio::generic::stream_protocol::endpoint> resolve(const proxy::socket_address& address) {
  if (!address.unix_path.empty()) co_return asio::local::stream_protocol::endpoint{address.unix_path};
  asio::ip::tcp::resolver resolver{co_await asio::this_coro::executor};
  const auto port = std::to_string(address.port);
  const auto found = co_await resolver.async_resolve(address.host, port, use_awaitable);
  co_return found.begin()->endpoint();
}

/// `expires_after` bounds everything behind the look-up.
asio::awaitable<void> ask(proxy::socket_address address, const admin_question& question,
                          admin_answer& answer) {
  any_stream stream{co_await asio::this_coro::executor};
  const auto endpoint = co_await resolve(address);
  stream.expires_after(question.longest_wait);
  co_await stream.async_connect(endpoint, use_awaitable);
  const auto method = question.changes_something ? http::verb::post : http::verb::get;
  http::request<http::string_body> request{method, question.target, 11};
  request.set(http::field::host, "localhost");
  request.set(http::field::connection, "close");
  if (question.changes_something) {
    request.set(http::field::content_type, "application/json");
    request.prepare_payload();
  }
  co_await http::async_write(stream, request, use_awaitable);
  beast::flat_buffer buffer{longest_answer};
  http::response_parser<http::string_body> parser;
  parser.body_limit(longest_answer);
  co_await http::async_read(stream, buffer, parser, use_awaitable);
  answer.status = static_cast<int>(parser.get().result_int());
  answer.body = std::move(parser.get().body());
}

admin_answer unreachable(const admin_question& question, std::string_view why) {
  std::fputs(fmt::format("weir {}: {} does not answer: {}\n", question.verb, question.admin, why).c_str(),
             stderr);
  return {exit_unreachable, 0, {}};
}

}  // namespace

admin_answer ask_admin(const admin_question& question) {
  const auto url = config::parse_endpoint_url(question.admin);
  if (!url.value) {
    std::fputs(fmt::format("weir {}: --admin: {}; write `http://127.0.0.1:9901` or `unix:PATH`\n",
                           question.verb, url.message)
                   .c_str(),
               stderr);
    return {exit_usage, 0, {}};
  }
  admin_answer answer;
  std::exception_ptr failure;
  asio::io_context io{1};  // last: what waits in it refers to the two above
  auto task = ask(url.value->address, question, answer);
  asio::co_spawn(io, std::move(task), [&failure](std::exception_ptr e) { failure = std::move(e); });
  io.run_for(2 * question.longest_wait);  // the look-up of a name has no deadline of its own
  try {
    if (failure) std::rethrow_exception(failure);
  } catch (const boost::system::system_error& e) {
    return unreachable(question, e.code().message());
  } catch (const std::exception& e) {
    return unreachable(question, e.what());
  }
  if (answer.status == 0) return unreachable(question, "no answer in time");
  return answer;
}

}  // namespace weir::cli
