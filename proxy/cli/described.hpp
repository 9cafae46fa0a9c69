// SPDX-License-Identifier: Apache-2.0
// A request as the command line or a line of JSON describes it.
#pragma once

#include "proxy/offline/evaluator.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weir::cli {

/// Owns what a described_request and its response view.
struct request_text {
  std::string method = "GET";
  std::string target = "/";
  std::string host = "localhost";
  std::vector<std::pair<std::string, std::string>> headers{};
  std::string ip = "127.0.0.1";
  proxy::offline::given_identity given{};
  std::optional<std::int64_t> at_us{};  ///< Unix time
  int status = 200;                     ///< of the response
  std::vector<std::pair<std::string, std::string>> response_headers{};
  std::string body{};

  /// `/path`, or `http://host/path`, which names the host, too.
  void set_url(std::string_view url);
};

/// A problem to tell, or nothing.
using complaint = std::optional<std::string>;

/// Reads `{"method","url","headers":{NAME: text},"ip","user","tier","claims":{},"at_us",
/// "response":{"status","headers","body"}}`; every member may be absent, none may be unknown.
[[nodiscard]] complaint read_request_line(std::string_view line, request_text& out);

/// `NAME: value` and `name=value` of the command line.
[[nodiscard]] complaint add_header(const std::string& text, request_text& out);
[[nodiscard]] complaint add_claim(const std::string& text, request_text& out);

}  // namespace weir::cli
