// SPDX-License-Identifier: Apache-2.0
// One request, as it is written to the access log. All views are borrowed while it is written.
#pragma once

#include "proxy/observe/log_format.hpp"
#include "proxy/observe/plain_text.hpp"

#include <cstdint>
#include <span>
#include <string_view>

namespace weir::proxy {

enum class record_decision : std::uint8_t { allow, deny, shadow_deny, exempt, blocked, rejected };
inline constexpr std::size_t record_decision_count = 6;
[[nodiscard]] std::string_view to_string(record_decision d) noexcept;

/// A request field that is written to the log, its value redacted if need be.
struct logged_field {
  std::string_view name;  ///< lower case
  std::string_view value;
};

struct access_record {
  std::int64_t time_us = 0;  ///< wall clock at the end of the request, since the Unix epoch
  plain_text request_id;
  plain_text trace_id;   ///< of a valid traceparent
  plain_text span_id;    ///< likewise: the caller's span
  plain_text client_ip;  ///< the client, ungrouped
  plain_text peer_ip;
  std::string_view user_hash;  ///< keyed hash (or the raw id with `hash: false`); empty = no user
  plain_text method;
  std::string_view path;  ///< normalised; as received when the request was refused
  std::string_view query;
  std::string_view host;
  plain_text proto;  ///< "HTTP/1.1"
  std::string_view listener;
  std::span<const logged_field> headers;
  plain_text route;
  plain_text upstream;
  std::string_view upstream_addr;  ///< endpoint of the last attempt
  int status = 0;                  ///< 499: the client left
  record_decision decision = record_decision::allow;
  plain_text rule;          ///< the limiting rule, or the closest one of an allowed request
  plain_text key_hash;      ///< keyed hash of the partition key of `rule`
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
  std::string_view pod;         ///< where this process runs, by the downward API
  std::string_view pod_namespace;
  std::string_view node;
};

}  // namespace weir::proxy
