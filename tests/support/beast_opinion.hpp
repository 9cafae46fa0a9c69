// SPDX-License-Identifier: Apache-2.0
// What Boost.Beast makes of a head, for comparison with weir's scanner.
#pragma once

#include "proxy/http/head.hpp"
#include "tests/support/plain_http.hpp"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <string>
#include <string_view>

namespace weir::beast_opinion {

namespace beast = boost::beast;
using request_parser = beast::http::request_parser<beast::http::empty_body>;
using response_parser = beast::http::response_parser<beast::http::empty_body>;
using plain_http::name_values;

inline std::string_view view(beast::string_view s) {
  return {s.data(), s.size()};
}

/// Feeds the parser until it has the head or an error.
template <typename Parser>
beast::error_code parse(Parser& parser, std::string_view bytes) {
  parser.header_limit(64 * 1024);
  parser.body_limit(boost::none);
  parser.skip(true);
  beast::error_code error;
  while (!error && !parser.is_header_done() && !bytes.empty()) {
    const std::size_t n = parser.put(boost::asio::buffer(bytes.data(), bytes.size()), error);
    bytes.remove_prefix(n);
  }
  return error;
}

/// Beast takes no empty lines before a request.
inline std::string_view without_empty_lines(std::string_view bytes) {
  return bytes.substr(std::min(bytes.find_first_not_of("\r\n"), bytes.size()));
}

/// Beast keeps lines of one name together, so that only their order within a name can be compared.
inline name_values by_name(name_values fields) {
  const auto key = [](const auto& f) {
    std::string name = f.first;
    for (char& c : name) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    return name;
  };
  std::stable_sort(fields.begin(), fields.end(),
                   [key](const auto& a, const auto& b) { return key(a) < key(b); });
  return fields;
}

/// The field lines of a scanned head as they were received, dropped ones too.
template <typename Head>
name_values fields_of(const Head& head, std::string_view bytes) {
  name_values fields;
  for (std::size_t i = 0; i < head.field_count; ++i) {
    fields.emplace_back(head.name(head.fields[i], bytes), head.value(head.fields[i], bytes));
  }
  return fields;
}

template <typename Head, typename Fields>
bool same_fields(const Head& head, std::string_view bytes, const Fields& fields) {
  name_values theirs;
  for (const auto& f : fields) theirs.emplace_back(view(f.name_string()), view(f.value()));
  return by_name(fields_of(head, bytes)) == by_name(theirs);
}

/// What weir calls the target, seen in the target as it was received.
inline bool same_target(const http::request_head& head, std::string_view bytes, std::string_view received) {
  const std::string_view ours = head.target(bytes);
  if (head.form != http::target_form::absolute) return ours == received;
  return received.ends_with(ours) || ours == "/" || ours == "*";  // an absent path
}

/// Beast reads Proxy-Connection, which means nothing, as if it were Connection.
template <typename Head>
bool misleads_beast(const Head& head) {
  return head.find(http::header_id::proxy_connection) != nullptr;
}

/// Why Beast disagrees with an accepted request; empty: it agrees.
inline std::string disagreement(const http::request_head& head, std::string_view bytes) {
  request_parser parser;
  if (const auto error = parse(parser, without_empty_lines(bytes))) {
    return error == beast::http::error::bad_value && misleads_beast(head) ? std::string{} : error.message();
  }
  const auto& message = parser.get();
  if (view(message.method_string()) != head.method(bytes)) return "method";
  if (!same_target(head, bytes, view(message.target()))) return "target";
  if (message.version() != 10U + static_cast<unsigned>(head.version_minor)) return "version";
  if (!same_fields(head, bytes, message)) return "fields";
  if (parser.chunked() != (head.framing == http::framing::chunked)) return "chunked";
  const auto length = parser.content_length();
  if (length.has_value() != (head.framing == http::framing::content_length)) return "has length";
  if (length.has_value() && *length != head.content_length) return "length";
  const bool keeps =
      parser.keep_alive() == head.keep_alive || head.version_minor == 0 || misleads_beast(head);
  return keeps ? "" : "keep-alive";
}

inline std::string disagreement(const http::response_head& head, std::string_view bytes) {
  response_parser parser;
  if (const auto error = parse(parser, bytes)) {
    // weir takes a status line without the space before an absent reason, and a malformed Connection for
    // "close"
    if (error == beast::http::error::bad_status && bytes[12] == '\r') return {};
    const bool closes = head.find(http::header_id::connection) != nullptr && !head.keep_alive;
    if (error == beast::http::error::bad_value && (closes || misleads_beast(head))) return {};
    return error.message();
  }
  const auto& message = parser.get();
  if (message.result_int() != static_cast<unsigned>(head.status)) return "status";
  // Beast fills in an absent reason
  if (!head.reason(bytes).empty() && view(message.reason()) != head.reason(bytes)) return "reason";
  if (message.version() != 10U + static_cast<unsigned>(head.version_minor)) return "version";
  if (!same_fields(head, bytes, message)) return "fields";
  return {};
}

/// True when Beast would have taken these bytes for a whole head.
template <typename Parser>
bool accepts(std::string_view bytes) {
  Parser parser;
  return !parse(parser, bytes).failed() && parser.is_header_done();
}

}  // namespace weir::beast_opinion
