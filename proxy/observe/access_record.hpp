// SPDX-License-Identifier: Apache-2.0
// One request, as it is written to the access log. All views are borrowed for the duration of append_json().
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace weir::proxy {

enum class record_decision : std::uint8_t { allow, deny, shadow_deny, exempt, blocked, rejected };
[[nodiscard]] std::string_view to_string(record_decision d) noexcept;

struct access_record {
  std::int64_t time_us = 0;  ///< wall clock at the end of the request, since the Unix epoch
  std::string_view request_id;
  std::string_view client_ip;  ///< the client, ungrouped
  std::string_view peer_ip;
  std::string_view user_hash;  ///< keyed hash (or the raw id with `hash: false`); empty = no user
  std::string_view method;
  std::string_view path;  ///< normalised; as received when the request was refused
  std::string_view query;
  std::string_view host;
  std::string_view proto;  ///< "HTTP/1.1"
  std::string_view listener;
  std::string_view route;
  std::string_view upstream;
  std::string_view upstream_addr;  ///< endpoint of the last attempt
  int status = 0;                  ///< 499: the client left
  record_decision decision = record_decision::allow;
  std::string_view rule;    ///< the limiting rule, or the closest one of an allowed request
  std::string_view reason;  ///< e.g. over_limit, store_timeout, upstream_timeout, bad_request
  std::string_view exempt;  ///< why nothing counted the request: the reason of its list item
  std::span<const std::string_view> shadow;  ///< rules that would have denied, were they enforced
  std::int64_t limit = -1;                   ///< -1 = absent, also below
  std::int64_t remaining = -1;
  std::int64_t retry_after_us = -1;
  std::int64_t duration_us = 0;
  std::int64_t upstream_us = -1;
  std::int64_t limiter_us = -1;
  std::int64_t queue_us = -1;  ///< waited for a slot of `concurrency`
  int attempts = 0;
  std::uint64_t bytes_in = 0;   ///< request body bytes
  std::uint64_t bytes_out = 0;  ///< response body bytes
};

/// Appends one JSON object and '\n'. Every outside byte is escaped (control, DEL and invalid UTF-8 as
/// \u00XX); fields over 2 KiB are cut and `"truncated":true` is added; absent values are left out.
void append_json(std::string& out, const access_record& r);

}  // namespace weir::proxy
