// SPDX-License-Identifier: Apache-2.0
// Runs a head through a scanner whole, byte by byte and in random pieces, and insists on one verdict.
#pragma once

#include "proxy/http/head.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <doctest/doctest.h>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weir::http::test {

using namespace std::string_literals;

using name_values = std::vector<std::pair<std::string, std::string>>;

/// Everything a scanned head tells, as values.
struct verdict {
  scan_status status = scan_status::need_more;
  int refusal = 0;
  std::string type;
  std::string message;
  std::size_t size = 0;
  std::string method, target, host, host_name, reason;
  target_form form = target_form::origin;
  http::framing framing = framing::none;
  std::uint64_t content_length = 0;
  int version_minor = 1;
  int code = 0;
  bool has_content_length = false;
  bool keep_alive = false, expect_continue = false, nominates = false;
  name_values fields;  ///< kept ones
  std::vector<std::string> dropped;
  friend bool operator==(const verdict&, const verdict&) = default;
};

template <typename Head>
verdict common_parts(const Head& head, scan_status status, std::string_view buffer) {
  verdict v;
  v.status = status;
  v.refusal = head.refusal().status;
  v.type = head.refusal().type;
  v.message = head.refusal().message;
  if (status != scan_status::complete) return v;
  v.size = head.size();
  v.framing = head.framing;
  v.content_length = head.content_length;
  v.version_minor = head.version_minor;
  v.keep_alive = head.keep_alive;
  v.nominates = head.nominates;
  for (std::size_t i = 0; i < head.field_count; ++i) {
    const field& f = head.fields[i];
    if (f.dropped) {
      v.dropped.emplace_back(head.name(f, buffer));
    } else {
      v.fields.emplace_back(head.name(f, buffer), head.value(f, buffer));
    }
  }
  return v;
}

inline verdict verdict_of(const request_head& head, scan_status status, std::string_view buffer) {
  verdict v = common_parts(head, status, buffer);
  if (status != scan_status::complete) return v;
  v.method = head.method(buffer);
  v.target = head.target(buffer);
  v.host = head.host(buffer);
  v.host_name = head.host_name(buffer);
  v.form = head.form;
  v.expect_continue = head.expect_continue;
  return v;
}

inline verdict verdict_of(const response_head& head, scan_status status, std::string_view buffer) {
  verdict v = common_parts(head, status, buffer);
  if (status != scan_status::complete) return v;
  v.reason = head.reason(buffer);
  v.code = head.status;
  v.has_content_length = head.has_content_length;
  return v;
}

/// Feeds growing prefixes that end at `cuts`, each from a block of its own size, so that a read beyond the
/// bytes given is seen by a sanitizer and views into an old buffer are not left behind unnoticed.
template <typename Head, typename Begin>
verdict scan_in_pieces(Begin begin, std::string_view bytes, const std::vector<std::size_t>& cuts) {
  const auto head = std::make_unique<Head>();
  begin(*head);
  for (const std::size_t cut : cuts) {
    const auto block = std::make_unique<char[]>(cut + 1);
    char* const data = block.get() + 1;  // unaligned on purpose
    if (cut > 0) std::memcpy(data, bytes.data(), cut);
    const scan_status status = head->scan({data, cut});
    if (status != scan_status::need_more || cut == bytes.size())
      return verdict_of(*head, status, {data, cut});
  }
  return {};
}

inline std::vector<std::size_t> random_cuts(std::size_t size, std::mt19937& random) {
  std::vector<std::size_t> cuts;
  for (std::size_t at = 0; at < size;) {
    at = std::min(size, at + std::uniform_int_distribution<std::size_t>(1, 1 + size / 3)(random));
    cuts.push_back(at);
  }
  return cuts;
}

template <typename Head, typename Begin>
verdict scan_all_ways(Begin begin, std::string_view bytes) {
  const verdict whole = scan_in_pieces<Head>(begin, bytes, {bytes.size()});
  const std::size_t step = bytes.size() <= 2048 ? 1 : 61;  // long heads: quadratic copies would take minutes
  std::vector<std::size_t> bytewise;
  for (std::size_t i = std::min<std::size_t>(1, bytes.size()); i < bytes.size(); i += step)
    bytewise.push_back(i);
  bytewise.push_back(bytes.size());
  CHECK_MESSAGE((scan_in_pieces<Head>(begin, bytes, bytewise) == whole),
                "byte by byte: ", bytes.substr(0, 300));
  std::mt19937 random(static_cast<std::mt19937::result_type>(bytes.size()));
  for (int i = 0; i < 5; ++i) {
    CHECK_MESSAGE((scan_in_pieces<Head>(begin, bytes, random_cuts(bytes.size(), random)) == whole),
                  "random pieces: ", bytes.substr(0, 300));
  }
  return whole;
}

inline verdict scan_request(std::string_view bytes, const head_limits& limits = {}) {
  return scan_all_ways<request_head>([&limits](request_head& h) { h.begin(limits); }, bytes);
}

inline verdict scan_response(std::string_view bytes, bool head_request = false) {
  return scan_all_ways<response_head>([head_request](response_head& h) { h.begin(head_request); }, bytes);
}

/// Number of bytes after which a request is refused, when they come one by one; 0: never.
inline std::size_t refused_after(std::string_view bytes, const head_limits& limits = {}) {
  const auto head = std::make_unique<request_head>();
  head->begin(limits);
  for (std::size_t n = 1; n <= bytes.size(); ++n) {
    const scan_status status = head->scan(bytes.substr(0, n));
    if (status == scan_status::refused) return n;
    if (status == scan_status::complete) return 0;
  }
  return 0;
}

/// A request with these field lines (each with its CRLF).
inline std::string get_with(std::string_view lines) {
  return "GET / HTTP/1.1\r\nHost: a.example\r\n" + std::string(lines) + "\r\n";
}

}  // namespace weir::http::test
