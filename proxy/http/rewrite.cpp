// SPDX-License-Identifier: Apache-2.0
#include "proxy/http/rewrite.hpp"

#include "proxy/http/authority.hpp"
#include "proxy/http/error_response.hpp"
#include "proxy/http/grammar.hpp"
#include "proxy/http/text_writer.hpp"

#include <algorithm>
#include <array>
#include <chrono>

namespace weir::http {
namespace {

using id = header_id;
constexpr header_set hop_by_hop = headers(
    id::connection, id::keep_alive, id::proxy_connection, id::proxy_authenticate, id::proxy_authorization,
    id::te, id::trailer, id::transfer_encoding, id::upgrade, id::http2_settings, id::expect);
constexpr header_set always_removed = hop_by_hop | headers(id::proxy, id::x_original_url, id::x_rewrite_url);
/// Written anew by weir in both directions.
constexpr header_set rewritten = headers(id::host, id::content_length, id::x_request_id);
/// What a client could claim about the way of its request.
constexpr header_set forwarding = headers(id::x_forwarded_for, id::x_forwarded_proto, id::x_forwarded_host,
                                          id::x_forwarded_port, id::x_forwarded_other, id::forwarded);
/// Connection may not name these away.
constexpr header_set never_nominated = headers(id::host, id::content_length, id::transfer_encoding,
                                               id::content_type, id::authorization, id::cookie);

constexpr std::size_t added_size = 512;  ///< what weir usually adds to a received head, or less

/// The field names that Connection nominates for removal.
class nominations {
 public:
  template <typename Head>
  nominations(const Head& head, std::string_view buffer) noexcept {
    if (!head.nominates) return;
    for (std::size_t i = 0; i < head.field_count; ++i) {
      const field& f = head.fields[i];
      if (f.id == header_id::connection) collect(head.value(f, buffer));
    }
  }

  [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
  template <typename Test>
  [[nodiscard]] std::size_t count(Test test) const {
    const auto end = names_.begin() + static_cast<std::ptrdiff_t>(count_);
    return static_cast<std::size_t>(
        std::count_if(names_.begin(), end, [&](word w) { return test(std::string_view(w.data, w.size)); }));
  }
  [[nodiscard]] bool contain(std::string_view name) const noexcept {
    const auto end = names_.begin() + static_cast<std::ptrdiff_t>(count_);
    return std::any_of(names_.begin(), end, [name](word w) {
      return grammar::equals_ignoring_case({w.data, w.size}, name);
    });
  }

 private:
  void collect(std::string_view list) noexcept {
    std::string_view element;
    while (count_ < names_.size() && grammar::next_element(list, element)) {
      if (!element.empty()) names_[count_++] = {element.data(), element.size()};
    }
  }

  struct word {  // not a string_view: that one's constructor would clear the array for every head
    const char* data;
    std::size_t size;
  };
  std::array<word, max_connection_options> names_;  // read up to count_ only
  std::size_t count_ = 0;
};

/// Copies the kept fields of a head. Lines that stand in canonical form next to each other leave in one
/// piece, the last of them with flush().
class field_copier {
 public:
  field_copier(text_writer& out, std::string_view buffer) noexcept : out_(out), buffer_(buffer) {}
  field_copier(const field_copier&) = delete;
  field_copier& operator=(const field_copier&) = delete;

  void copy(const field& f) {
    const std::size_t value_end = f.value_at + f.value_size;
    const bool canonical = f.value_at == f.name_at + f.name_size + 2U && buffer_[f.value_at - 1] == ' ' &&
                           buffer_[value_end] == '\r';
    if (!canonical) {
      flush();
      out_.line(buffer_.substr(f.name_at, f.name_size), ": ", buffer_.substr(f.value_at, f.value_size));
      return;
    }
    if (f.name_at != run_end_) {
      flush();
      run_begin_ = f.name_at;
    }
    run_end_ = value_end + 2;
  }
  void flush() {
    out_.put(buffer_.substr(run_begin_, run_end_ - run_begin_));
    run_begin_ = run_end_ = 0;
  }

 private:
  text_writer& out_;
  std::string_view buffer_;
  std::size_t run_begin_ = 0, run_end_ = 0;
};

/// Copies what `removed` and the nominations leave. Answers the ids that were copied.
template <typename Head, typename IsProtected>
header_set copy_fields(text_writer& out, const Head& head, std::string_view buffer, header_set removed,
                       const nominations& nominated, IsProtected is_protected) {
  field_copier copier(out, buffer);
  header_set copied = 0;
  for (std::size_t i = 0; i < head.field_count; ++i) {
    const field& f = head.fields[i];
    if (f.dropped || contains(removed, f.id)) continue;
    if (!nominated.empty() && !contains(never_nominated, f.id)) {
      const std::string_view name = head.name(f, buffer);
      if (nominated.contain(name) && !is_protected(name)) continue;
    }
    copied |= headers(f.id);
    copier.copy(f);
  }
  copier.flush();
  return copied;
}

/// The received values of a list field in front of our own element: one line for the whole list, so that an
/// upstream that reads a single line sees every hop.
void append_received(text_writer& out, const request_head& head, std::string_view buffer, header_id list) {
  for (std::size_t i = 0; i < head.field_count; ++i) {
    const field& f = head.fields[i];
    if (f.id == list && !f.dropped && f.value_size > 0) out.put(head.value(f, buffer), ", ");
  }
}

void append_x_forwarded(text_writer& out, const request_head& head, std::string_view buffer,
                        const request_context& c, header_set copied, bool keep_received) {
  out.put("X-Forwarded-For: ");
  if (keep_received) append_received(out, head, buffer, id::x_forwarded_for);
  out.line(c.peer_address);
  if (!contains(copied, id::x_forwarded_proto)) out.line("X-Forwarded-Proto: ", c.scheme);
  const std::string_view host = head.host(buffer);
  if (!contains(copied, id::x_forwarded_host) && !host.empty()) out.line("X-Forwarded-Host: ", host);
  if (!contains(copied, id::x_forwarded_port) && !c.listener_port.empty()) {
    out.line("X-Forwarded-Port: ", c.listener_port);
  }
}

/// RFC 7239 4: IPv6 in brackets and quotes; a peer without an address (a unix socket) is unknown.
void append_forwarded(text_writer& out, const request_head& head, std::string_view buffer,
                      const request_context& c, bool keep_received) {
  out.put("Forwarded: ");
  if (keep_received) append_received(out, head, buffer, id::forwarded);
  const bool ipv6 = c.peer_address.find(':') != std::string_view::npos;
  const bool ipv4 = !ipv6 && c.peer_address.find('.') != std::string_view::npos;
  out.put(ipv6 ? "for=\"[" : "for=");
  out.put(ipv6 || ipv4 ? c.peer_address : std::string_view("unknown"));
  out.put(ipv6 ? "]\";proto=" : ";proto=", c.scheme);
  const std::string_view host = head.host(buffer);
  if (!host.empty()) out.put(";host=\"", host, "\"");
  out.line();
}

void append_hops(text_writer& out, std::uint64_t left) {
  out.put("Max-Forwards: ");
  out.put_number(left);
  out.line();
}

void append_content_length(text_writer& out, std::uint64_t length) {
  out.put("Content-Length: ");
  out.put_number(length);
  out.line();
}

void append_request_framing(text_writer& out, const request_head& head) {
  switch (head.framing) {
    case framing::chunked:
      out.line("Transfer-Encoding: chunked");
      break;
    case framing::content_length:
      append_content_length(out, head.content_length);
      break;
    default:
      if (head.method_id == method_id::post || head.method_id == method_id::put ||
          head.method_id == method_id::patch) {
        append_content_length(out, 0);
      }
  }
}

void append_upgrade(text_writer& out, std::string_view protocol) {
  if (!protocol.empty()) out.line("Connection: Upgrade\r\nUpgrade: ", protocol);
}

void append_via(text_writer& out, int version_minor, std::string_view pseudonym) {
  out.line(version_minor == 0 ? "Via: 1.0 " : "Via: 1.1 ", pseudonym);
}

void append_status_line(text_writer& out, const response_head& head, std::string_view buffer) {
  out.put("HTTP/1.1 ");
  out.put_number(static_cast<std::uint64_t>(head.status));
  out.line(" ", head.reason(buffer));
}

void append_response_framing(text_writer& out, const response_head& head, framing towards_client) {
  const bool bodiless = head.status < 200 || head.status == 204;
  switch (towards_client) {
    case framing::chunked:
      out.line("Transfer-Encoding: chunked");
      break;
    case framing::content_length:
      append_content_length(out, head.content_length);
      break;
    case framing::none:  // HEAD and 304 tell the length of a body that is not sent
      if (head.has_content_length && !bodiless) append_content_length(out, head.content_length);
      break;
    case framing::until_close:
      break;
  }
}

constexpr auto nothing_protected = [](std::string_view) { return false; };

}  // namespace

bool append_field(std::string& out, std::string_view name, std::string_view value) {
  constexpr std::string_view forbidden("\r\n\0", 3);
  if (name.empty() || !grammar::is_all(name, grammar::token)) return false;
  if (value.find_first_of(forbidden) != std::string_view::npos) return false;
  out.append(name).append(": ").append(value).append("\r\n");
  return true;
}

std::size_t ignored_nominations(const request_head& head, std::string_view buffer,
                                std::span<const std::string> protected_headers) noexcept {
  return nominations(head, buffer).count([&](std::string_view name) {
    return contains(never_nominated, identify_header(name)) ||
           std::any_of(protected_headers.begin(), protected_headers.end(),
                       [name](const std::string& p) { return grammar::equals_ignoring_case(name, p); });
  });
}

void append_request_head(std::string& text, const request_head& head, std::string_view buffer,
                         const request_context& c) {
  text_writer out(text, head.size() + added_size);
  out.put(head.method(buffer), " ", c.path);
  if (c.has_query) out.put("?", c.query);
  out.line(" HTTP/1.1\r\nHost: ", c.host);

  const nominations nominated(head, buffer);
  // a trusted peer's list goes into our line, unless it was nominated away
  const bool counts_hops = head.hops != any_hops;
  const header_set joined =
      (c.x_forwarded ? headers(id::x_forwarded_for) : 0) | (c.forwarded ? headers(id::forwarded) : 0);
  const header_set removed = always_removed | rewritten | (c.peer_trusted ? joined : forwarding) |
                             (counts_hops ? headers(id::max_forwards) : header_set{0});
  const auto is_protected = [&c](std::string_view name) {
    return std::any_of(c.protected_headers.begin(), c.protected_headers.end(),
                       [name](const std::string& p) { return grammar::equals_ignoring_case(name, p); });
  };
  const header_set copied = copy_fields(out, head, buffer, removed, nominated, is_protected);

  if (counts_hops) append_hops(out, head.hops - 1);
  append_request_framing(out, head);
  append_upgrade(out, c.upgrade);
  const auto keeps = [&](std::string_view list) {
    return c.peer_trusted && (nominated.empty() || !nominated.contain(list) || is_protected(list));
  };
  if (c.x_forwarded) append_x_forwarded(out, head, buffer, c, copied, keeps("x-forwarded-for"));
  if (c.forwarded) append_forwarded(out, head, buffer, c, keeps("forwarded"));
  out.line("X-Request-ID: ", c.request_id);
  append_via(out, head.version_minor, c.via);
  out.line();
}

void append_response_head(std::string& text, const response_head& head, std::string_view buffer,
                          const response_context& c) {
  text_writer out(text, head.size() + c.extra_fields.size() + added_size);
  append_status_line(out, head, buffer);
  const nominations nominated(head, buffer);
  const header_set removed = hop_by_hop | headers(id::content_length, id::x_request_id) | c.replaced;
  const header_set copied = copy_fields(out, head, buffer, removed, nominated, nothing_protected);
  append_response_framing(out, head, c.framing);
  if (!contains(copied, id::date) && !c.date.empty()) out.line("Date: ", c.date);
  out.put(c.extra_fields);
  out.line("X-Request-ID: ", c.request_id);
  append_via(out, head.version_minor, c.via);
  append_upgrade(out, c.upgrade);
  if (c.close || c.client_version_minor == 0) out.line("Connection: close");
  out.line();
}

void append_interim_head(std::string& text, const response_head& head, std::string_view buffer) {
  text_writer out(text, head.size());
  append_status_line(out, head, buffer);
  const header_set removed = hop_by_hop | headers(id::content_length);
  copy_fields(out, head, buffer, removed, nominations(head, buffer), nothing_protected);
  out.line();
}

bool is_sane_request_id(std::string_view request_id) noexcept {
  constexpr std::size_t max_size = 128;
  return !request_id.empty() && request_id.size() <= max_size &&
         std::all_of(request_id.begin(), request_id.end(),
                     [](char c) { return c != '~' && grammar::is(c, grammar::unreserved); });
}

std::string_view sent_request_id(const request_head& head, std::string_view buffer) noexcept {
  const field* const f = head.find(header_id::x_request_id);
  if (f == nullptr || head.repeated(header_id::x_request_id)) return {};
  const std::string_view sent = head.value(*f, buffer);
  return is_sane_request_id(sent) ? sent : std::string_view();
}

std::string_view match_host(std::string_view name, std::string& storage) {
  if (name.ends_with('.')) name.remove_suffix(1);
  if (grammar::is_lower(name)) return name;
  storage.resize(name.size());
  std::transform(name.begin(), name.end(), storage.begin(), grammar::lower);
  return storage;
}

void append_http_date(std::string& out, std::int64_t unix_seconds) {
  using namespace std::chrono;
  constexpr std::string_view weekdays = "SunMonTueWedThuFriSat";
  constexpr std::string_view months = "JanFebMarAprMayJunJulAugSepOctNovDec";
  const sys_seconds time{seconds(unix_seconds)};
  const sys_days day = floor<days>(time);
  const year_month_day date{day};
  const hh_mm_ss clock{time - day};
  const auto two_digits = [&out](unsigned n) {
    out += static_cast<char>('0' + n / 10 % 10);
    out += static_cast<char>('0' + n % 10);
  };
  out.append(weekdays.substr(weekday{day}.c_encoding() * 3, 3)).append(", ");
  two_digits(static_cast<unsigned>(date.day()));
  out.append(1, ' ').append(months.substr((static_cast<unsigned>(date.month()) - 1) * 3, 3)).append(1, ' ');
  const auto year = static_cast<unsigned>(static_cast<int>(date.year()));
  two_digits(year / 100);
  two_digits(year % 100);
  out += ' ';
  two_digits(static_cast<unsigned>(clock.hours().count()));
  out += ':';
  two_digits(static_cast<unsigned>(clock.minutes().count()));
  out += ':';
  two_digits(static_cast<unsigned>(clock.seconds().count()));
  out.append(" GMT");
}

}  // namespace weir::http
