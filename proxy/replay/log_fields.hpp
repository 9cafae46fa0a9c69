// SPDX-License-Identifier: Apache-2.0
// The fields that log formats are made of, and how their text is read. A format is a list of these.
#pragma once

#include "proxy/replay/logged_request.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

namespace weir::replay {

enum class log_field : std::uint8_t {
  ignored,
  time,           ///< RFC 3339, seconds since the epoch, or `28/Nov/2026:10:00:00 +0100`; the end
  start_time,     ///< the same, of the start
  client,         ///< an address, maybe with a port
  peer,           ///< the same
  forwarded_for,  ///< X-Forwarded-For
  request,        ///< `GET /x HTTP/1.1`
  method,
  target,  ///< path, path and query, or a URL
  query,
  host,
  route,
  user,
  rule,
  reason,
  exempt,
  decision,
  response_flags,  ///< of Envoy: RL = refused by a limit
  status,
  bytes_in,
  bytes_out,
  seconds,        ///< duration in s, maybe with a fraction
  milliseconds,   ///< in ms
  nanoseconds,    ///< in ns
  header,         ///< `name` says which
  header_object,  ///< of JSON: its members are headers
};

/// Stores one value of a line. Empty and `-` mean absent. False: the text is not what the field holds.
/// `name`: of the header, lower case; must outlive `out`.
[[nodiscard]] bool store_field(log_field field, std::string_view name, std::string_view text,
                               logged_request& out);

/// Parts a URL into host and target, and says what a line lacks to be replayed; null: nothing.
[[nodiscard]] const char* finish_request(logged_request& request);

struct log_time {
  std::int64_t us = 0;
  std::int64_t resolution_us = 1;  ///< by the digits that are written
};
/// The three forms of `time`.
[[nodiscard]] std::optional<log_time> parse_log_time(std::string_view text) noexcept;

}  // namespace weir::replay
