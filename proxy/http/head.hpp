// SPDX-License-Identifier: Apache-2.0
// The strict scanner of HTTP/1 message heads. Pure, no allocation, resumable: bytes are judged as they arrive
// and the first impossible byte is refused (RFC 9112, RFC 9110; stricter where the RFC leaves a choice).
#pragma once

#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace weir::http {

/// Names the proxy itself reads, writes, removes or protects. `other` = relay unread.
enum class header_id : std::uint8_t {
  other,
  host,
  content_length,
  transfer_encoding,
  connection,
  expect,
  upgrade,
  te,
  trailer,
  keep_alive,
  proxy_connection,
  proxy_authenticate,
  proxy_authorization,
  proxy,
  http2_settings,
  x_forwarded_for,
  x_forwarded_proto,
  x_forwarded_host,
  x_forwarded_port,
  x_forwarded_other,
  forwarded,
  x_real_ip,
  x_original_url,
  x_rewrite_url,
  x_request_id,
  via,
  content_type,
  authorization,
  cookie,
  max_forwards,
  date,
  retry_after,
  ratelimit,
  ratelimit_policy,
  ratelimit_limit,
  ratelimit_remaining,
  ratelimit_reset,
  x_ratelimit_limit,
  x_ratelimit_remaining,
  x_ratelimit_reset,
  traceparent,
  server,
  set_cookie,
};

/// The id of a field name in any case; `other` for unknown names. `name` is a token.
[[nodiscard]] header_id identify_header(std::string_view name) noexcept;

enum class method_id : std::uint8_t { other, get, head, post, put, delete_, options, patch, connect, trace };

/// "GET", ... for known methods; "_OTHER" for other (the metric label).
[[nodiscard]] std::string_view method_label(method_id m) noexcept;

/// One field line as offsets into the buffer that was scanned, so that the buffer may move.
struct field {
  std::uint32_t name_at = 0;
  std::uint32_t value_at = 0;
  std::uint32_t value_size = 0;
  std::uint16_t name_size = 0;
  header_id id = header_id::other;
  bool dropped =
      false;  ///< never read, never relayed (e.g. a name with an underscore); set by the scanner or a caller
};

/// What a scanner found in `buffer`, or in the one that has moved there.
[[nodiscard]] inline std::string_view part_of(std::string_view buffer, std::size_t at,
                                              std::size_t size) noexcept {
  assert(at + size <= buffer.size());
  return {buffer.data() + at, size};
}

inline constexpr std::size_t max_fields = 256;              ///< storage; header_count limits below it
inline constexpr std::size_t max_connection_options = 128;  ///< elements of Connection, empty ones count
inline constexpr std::uint64_t any_hops = ~std::uint64_t{0};

struct head_limits {
  std::size_t target_size = 8 * 1024;
  std::size_t header_size = 32 * 1024;
  std::size_t field_size = 16 * 1024;
  std::size_t header_count = 100;  ///< <= max_fields
};

enum class target_form : std::uint8_t { origin, absolute, asterisk };

/// How the body is delimited.
enum class framing : std::uint8_t { none, content_length, chunked, until_close };

/// A refusal: what to answer. `type` and `message` are static text, safe to show to a client.
struct refusal {
  int status = 0;  ///< 0 = none
  std::string_view type;
  std::string_view message;
  bool close = true;          ///< the connection ends after the answer
  bool allow_header = false;  ///< 405 and OPTIONS: send Allow
};

/// Outcome of feeding bytes.
enum class scan_status : std::uint8_t { need_more, complete, refused };

/// A scanned request head. Valid after `complete`. Reused between requests: begin() resets it.
class request_head {
 public:
  /// Prepares for a new head with these limits.
  void begin(const head_limits& limits) noexcept;

  /// `buffer` holds all bytes received since begin() (the same prefix as before plus more). Skips at most two
  /// empty lines before the request line. On `complete`, `size()` bytes belong to the head, the rest is body
  /// or next message.
  [[nodiscard]] scan_status scan(std::string_view buffer) noexcept;

  [[nodiscard]] const http::refusal& refusal() const noexcept { return refusal_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  /// True once a byte other than empty lines has been seen (a silent close is then not enough).
  [[nodiscard]] bool started() const noexcept { return started_; }

  // Everything below takes the buffer it was scanned from (it may have moved, with the same content).
  [[nodiscard]] std::string_view method(std::string_view buffer) const noexcept;
  /// Origin-form path?query, or "*". For absolute-form the authority is removed (empty path: "/", OPTIONS:
  /// "*"; an empty path with a query is the view "?query", which normalise_target reads as "/?query").
  [[nodiscard]] std::string_view target(std::string_view buffer) const noexcept;
  /// Validated host[:port] as received (the authority of an absolute-form target wins); empty: HTTP/1.0
  /// without Host.
  [[nodiscard]] std::string_view host(std::string_view buffer) const noexcept;
  /// host() without the colon and the port.
  [[nodiscard]] std::string_view host_name(std::string_view buffer) const noexcept;
  [[nodiscard]] std::string_view name(const field& f, std::string_view buffer) const noexcept {
    return part_of(buffer, f.name_at, f.name_size);
  }
  [[nodiscard]] std::string_view value(const field& f, std::string_view buffer) const noexcept {
    return part_of(buffer, f.value_at, f.value_size);
  }
  /// First not-dropped field of that id, or null.
  [[nodiscard]] const field* find(header_id id) const noexcept;
  /// Two or more lines of that id came (never for header_id::other).
  [[nodiscard]] bool repeated(header_id id) const noexcept {
    return (repeated_ >> static_cast<unsigned>(id) & 1U) != 0;
  }

  http::method_id method_id = http::method_id::other;
  target_form form = target_form::origin;
  http::framing framing =
      http::framing::none;  ///< content_length with a length of 0 is announced, yet no body
  std::uint64_t content_length = 0;
  int version_minor = 1;         ///< 0 or 1
  bool keep_alive = true;        ///< after Connection and version
  bool expect_continue = false;  ///< HTTP/1.1, "100-continue", and a body is announced
  bool nominates = false;        ///< Connection names more than close and keep-alive
  /// How often an OPTIONS may be forwarded, by its Max-Forwards (RFC 9110 7.6.2); 0: weir is its last
  /// recipient.
  std::uint64_t hops = any_hops;
  std::size_t field_count = 0;
  std::size_t underscore_names = 0;  ///< fields dropped because their name has a `_`
  std::array<field, max_fields> fields;

 private:
  friend class request_scanner;
  head_limits limits_;
  http::refusal refusal_;
  std::size_t size_ = 0;
  bool started_ = false;
  // scan position and line state
  std::uint64_t seen_ = 0, repeated_ = 0;  // one bit per header_id
  std::uint32_t cursor_ = 0;
  std::uint8_t phase_ = 0;
  std::uint8_t line_phase_ = 0;
  std::uint8_t empty_lines_ = 0;
  std::uint8_t version_major_ = 0;
  std::uint16_t connection_options_ = 0;
  bool close_ = false, unknown_coding_ = false;
  std::uint32_t method_at_ = 0, method_size_ = 0;
  std::uint32_t target_at_ = 0, target_size_ = 0;
  std::uint32_t host_at_ = 0, host_size_ = 0, host_name_size_ = 0;
};

/// The value of the only line of that name (lower case); empty: there is none, or several.
[[nodiscard]] std::string_view single_value(const request_head& head, std::string_view buffer,
                                            std::string_view name) noexcept;

/// A scanned response head from an upstream.
class response_head {
 public:
  /// `head_request`: the request was HEAD (no body whatever the fields say). `may_switch`: an Upgrade was
  /// forwarded; else a 101 is refused.
  void begin(bool head_request, bool may_switch = false) noexcept;
  /// As request_head::scan; `refused` means 502 (refusal().message is for the log only).
  [[nodiscard]] scan_status scan(std::string_view buffer) noexcept;

  [[nodiscard]] const http::refusal& refusal() const noexcept { return refusal_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::string_view reason(std::string_view buffer) const noexcept;
  [[nodiscard]] std::string_view name(const field& f, std::string_view buffer) const noexcept {
    return part_of(buffer, f.name_at, f.name_size);
  }
  [[nodiscard]] std::string_view value(const field& f, std::string_view buffer) const noexcept {
    return part_of(buffer, f.value_at, f.value_size);
  }
  [[nodiscard]] const field* find(header_id id) const noexcept;
  /// The ids that came, one bit each: a header_set.
  [[nodiscard]] std::uint64_t seen() const noexcept { return seen_; }

  int status = 0;  ///< 100 ... 599; 1xx heads are complete messages without a body
  int version_minor = 1;
  http::framing framing = http::framing::none;
  std::uint64_t content_length = 0;  ///< also set on HEAD and 304 when the field is present
  bool has_content_length = false;
  bool keep_alive = true;  ///< HTTP/1.1 without close, and not until_close
  bool nominates = false;  ///< as in request_head
  std::size_t field_count = 0;
  std::array<field, max_fields> fields;

 private:
  friend class response_scanner;
  http::refusal refusal_;
  std::size_t size_ = 0;
  bool head_request_ = false;
  bool may_switch_ = false;
  std::uint64_t seen_ = 0;  // one bit per header_id
  std::uint32_t cursor_ = 0;
  std::uint8_t phase_ = 0;
  std::uint8_t line_phase_ = 0;
  std::uint16_t connection_options_ = 0;
  bool close_ = false;
  std::uint32_t reason_at_ = 0, reason_size_ = 0;
};

}  // namespace weir::http
