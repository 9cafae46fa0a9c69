// SPDX-License-Identifier: Apache-2.0
// Canonical re-serialisation: what is forwarded is written anew from the parsed form.
#pragma once

#include "proxy/http/head.hpp"
#include "proxy/http/header_set.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace weir::http {

/// Refuses CR, LF and NUL in the value and non-token names; the only way to write a field whose text comes
/// from outside. False: nothing was appended.
[[nodiscard]] bool append_field(std::string& out, std::string_view name, std::string_view value);

/// What weir knows about a request beyond its head.
struct request_context {
  std::string_view path;  ///< normalised
  std::string_view query;
  bool has_query = false;
  std::string_view host;          ///< value for Host; never empty
  std::string_view peer_address;  ///< text of the TCP peer, appended to X-Forwarded-For
  bool peer_trusted = false;      ///< false: discard X-Forwarded-* and Forwarded from the client
  bool x_forwarded = true;        ///< write X-Forwarded-*
  bool forwarded = false;         ///< write Forwarded (RFC 7239)
  std::string_view scheme = "http";
  std::string_view listener_port;  ///< for X-Forwarded-Port
  std::string_view request_id;
  std::string_view via;      ///< pseudonym
  std::string_view upgrade;  ///< the protocol to ask for; empty: none
  std::span<const std::string>
      protected_headers;  ///< lower case; names selectors read: never removed by nomination
};

/// Appends the head for the upstream: request line, Host first, kept fields in order, then weir's own; ends
/// with the empty line. Body framing: Content-Length (canonical), chunked, or neither (POST/PUT/PATCH without
/// a body get Content-Length: 0). `head.hops` > 0: one less is forwarded.
void append_request_head(std::string& out, const request_head& head, std::string_view buffer,
                         const request_context& c);

/// How many options of Connection name a field that no client may remove: one of its message, or one of
/// `protected_headers` (lower case).
[[nodiscard]] std::size_t ignored_nominations(const request_head& head, std::string_view buffer,
                                              std::span<const std::string> protected_headers) noexcept;

struct response_context {
  int client_version_minor = 1;
  bool close = false;                     ///< send Connection: close
  http::framing framing = framing::none;  ///< towards the client (until_close for a 1.0 client)
  std::string_view request_id;
  std::string_view via;
  std::string_view date;          ///< used when the upstream sent none
  std::string_view extra_fields;  ///< complete lines, e.g. the RateLimit fields, already rendered
  header_set replaced = 0;        ///< fields of the upstream that `extra_fields` stands for
  std::string_view upgrade;       ///< of a 101: the protocol that follows
};

/// Appends the head for the client, hop-by-hop fields removed, Via, X-Request-ID and Date set.
void append_response_head(std::string& out, const response_head& head, std::string_view buffer,
                          const response_context& c);

/// Appends a relayed 1xx head (status line and end-to-end fields).
void append_interim_head(std::string& out, const response_head& head, std::string_view buffer);

/// 1-128 characters of A-Za-z0-9._-
[[nodiscard]] bool is_sane_request_id(std::string_view id) noexcept;

/// The X-Request-ID that the client chose; empty: it sent none, several, or one that is not sane.
[[nodiscard]] std::string_view sent_request_id(const request_head& head, std::string_view buffer) noexcept;

/// A host without its port as it is compared: lower case, one trailing dot removed. `storage` is written only
/// when a letter changes; the view points into it or into `name`.
[[nodiscard]] std::string_view match_host(std::string_view name, std::string& storage);

/// IMF-fixdate of a Unix time, 29 characters.
void append_http_date(std::string& out, std::int64_t unix_seconds);

}  // namespace weir::http
