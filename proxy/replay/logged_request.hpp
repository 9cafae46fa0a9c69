// SPDX-License-Identifier: Apache-2.0
// One request as an access log tells of it, whatever the format of the log.
#pragma once

#include <boost/container/static_vector.hpp>
#include <cstdint>
#include <string_view>

namespace weir::replay {

/// What the log's proxy did with a request, as far as the log says.
enum class logged_decision : std::uint8_t { unknown, allow, deny, exempt, blocked, rejected };

struct logged_header {
  std::string_view name;  ///< lower case
  std::string_view value;
};

inline constexpr std::size_t max_logged_headers = 32;  ///< of one line; more are not looked at

/// Views point into the line. Numbers are -1 and texts empty when the line does not tell.
struct logged_request {
  std::int64_t time_us = -1;       ///< since the Unix epoch: the end of the request, or its start
  std::int64_t resolution_us = 1;  ///< what the log's time is a multiple of
  bool time_is_start = false;
  std::int64_t duration_us = -1;
  std::string_view client;         ///< the client, as the log's proxy found it
  std::string_view peer;           ///< who connected; asked with forwarded_for when there is no client
  std::string_view forwarded_for;  ///< X-Forwarded-For
  std::string_view method;
  std::string_view target;  ///< path, or path and query, or a URL
  std::string_view query;   ///< only when the log has it apart from the target
  std::string_view host;    ///< maybe with a port
  std::string_view route;
  std::string_view user;  ///< the id or its keyed hash
  std::string_view rule;
  std::string_view reason;  ///< of `block`
  std::string_view exempt;  ///< reason of `exempt`
  logged_decision decision = logged_decision::unknown;
  int status = 0;
  std::int64_t bytes_in = -1;   ///< of the request's body
  std::int64_t bytes_out = -1;  ///< of the response's body
  boost::container::static_vector<logged_header, max_logged_headers> headers;

  /// When it came. Rounded up to what the log's time is a multiple of: so requests that a client sent one
  /// after the other keep their order.
  [[nodiscard]] std::int64_t arrival_us() const noexcept {
    if (time_is_start || duration_us < 0) return time_us;
    const std::int64_t start = time_us - duration_us;
    return (start + resolution_us - 1) / resolution_us * resolution_us;
  }
  /// When it was over. Rounded down likewise: so what it gave back is there for the client's next one.
  [[nodiscard]] std::int64_t end_us() const noexcept {
    if (!time_is_start || duration_us < 0) return time_us;
    return (time_us + duration_us) / resolution_us * resolution_us;
  }
};

}  // namespace weir::replay
