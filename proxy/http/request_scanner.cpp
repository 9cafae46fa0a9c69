// SPDX-License-Identifier: Apache-2.0
#include "proxy/http/authority.hpp"
#include "proxy/http/field_lines.hpp"
#include "proxy/http/grammar.hpp"
#include "proxy/http/head.hpp"
#include "proxy/http/header_set.hpp"
#include "proxy/http/methods.hpp"

#include <algorithm>
#include <cstring>

namespace weir::http {
namespace {

constexpr std::size_t max_method_size = 32;
constexpr std::uint8_t max_empty_lines = 2;

enum phase : std::uint8_t { empty_lines, method, target, version, field_lines, done };

using id = header_id;
constexpr header_set singletons =
    headers(id::host, id::content_length, id::transfer_encoding, id::content_type, id::authorization,
            id::proxy_authorization, id::upgrade, id::max_forwards);
constexpr header_set always_dropped = headers(id::proxy, id::x_original_url, id::x_rewrite_url);
constexpr header_set judged = singletons | always_dropped | headers(id::connection, id::expect);

constexpr refusal bad_request(std::string_view message) {
  return {400, "bad_request", message};
}
constexpr refusal headers_too_large(std::string_view message) {
  return {431, "headers_too_large", message};
}

constexpr refusal refusal_of(field_fault fault) {
  switch (fault) {
    case field_fault::none:
      break;
    case field_fault::line_end:
      return bad_request("a line does not end in CRLF");
    case field_fault::folded:
      return bad_request("a field line begins with whitespace");
    case field_fault::name:
      return bad_request("malformed field name");
    case field_fault::control:
      return bad_request("control byte in a field value");
    case field_fault::name_too_long:
      return headers_too_large("field name too long");
    case field_fault::line_too_long:
      return headers_too_large("field line too long");
    case field_fault::too_many:
      return headers_too_large("too many fields");
  }
  return {};
}

}  // namespace

class request_scanner {
 public:
  request_scanner(request_head& head, std::string_view buffer) noexcept
      : head_(head), data_(buffer.data()), received_(buffer.size()) {
    open_window();
  }

  scan_status run() noexcept {
    scan_status s = scan_status::complete;
    if (head_.phase_ == empty_lines) s = skip_empty_lines();
    if (s == scan_status::complete && head_.phase_ == method) s = read_method();
    if (s == scan_status::complete && head_.phase_ == target) s = read_target();
    if (s == scan_status::complete && head_.phase_ == version) s = read_version();
    if (s == scan_status::complete && head_.phase_ == field_lines) s = read_fields();
    if (s == scan_status::need_more && head_.started_ &&
        size_ == head_.method_at_ + head_.limits_.header_size) {
      return refuse(headers_too_large("request head too large"));
    }
    return s;
  }

 private:
  // Each part answers `complete` when its phase is over.

  scan_status refuse(const refusal& r) noexcept {
    head_.refusal_ = r;
    return scan_status::refused;
  }
  scan_status refuse(std::string_view message) noexcept { return refuse(bad_request(message)); }

  /// Nothing beyond the limit of the whole head is looked at; empty lines before it do not count.
  void open_window() noexcept {
    size_ = static_cast<std::uint32_t>(std::min(received_, head_.method_at_ + head_.limits_.header_size));
  }

  scan_status skip_empty_lines() noexcept {
    for (; head_.cursor_ < received_; ++head_.cursor_) {
      const char c = data_[head_.cursor_];
      const bool inside = head_.cursor_ > 0 && data_[head_.cursor_ - 1] == '\r';
      if (inside) {
        if (c != '\n') return refuse("a line does not end in CRLF");
        ++head_.empty_lines_;
      } else if (c != '\r') {
        head_.started_ = true;
        head_.method_at_ = head_.cursor_;
        head_.phase_ = method;
        open_window();
        return scan_status::complete;
      } else if (head_.empty_lines_ == max_empty_lines) {
        return refuse("too many empty lines before the request");
      }
    }
    return scan_status::need_more;
  }

  scan_status read_method() noexcept {
    const std::size_t limit = head_.method_at_ + max_method_size;
    const char* const stop = data_ + std::min<std::size_t>(size_, limit + 1);
    const char* const at = grammar::skip_token(data_, data_ + head_.cursor_, stop);
    head_.cursor_ = static_cast<std::uint32_t>(at - data_);
    if (head_.cursor_ > limit) return refuse({501, "not_implemented", "method too long"});
    if (head_.cursor_ == size_) return scan_status::need_more;
    head_.method_size_ = head_.cursor_ - head_.method_at_;
    if (data_[head_.cursor_] != ' ' || head_.method_size_ == 0) return refuse("malformed request line");
    const std::string_view name{data_ + head_.method_at_, head_.method_size_};
    head_.method_id = identify_method(name);
    switch (head_.method_id) {
      case method_id::connect:
      case method_id::trace:
        return refuse({405, "method_not_allowed", "method not allowed", true, true});
      case method_id::other:
        if (is_miscased_method(name)) return refuse({501, "not_implemented", "unknown method"});
        break;
      default:
        break;
    }
    head_.target_at_ = ++head_.cursor_;
    head_.phase_ = target;
    return scan_status::complete;
  }

  scan_status read_target() noexcept {
    const std::size_t limit = head_.target_at_ + head_.limits_.target_size;
    const char* const stop = data_ + std::min<std::size_t>(size_, limit + 1);
    const char* const at = grammar::skip_target(data_, data_ + head_.cursor_, stop);
    head_.cursor_ = static_cast<std::uint32_t>(at - data_);
    if (head_.cursor_ > limit) return refuse({414, "uri_too_long", "request target too long"});
    if (head_.cursor_ == size_) return scan_status::need_more;
    head_.target_size_ = head_.cursor_ - head_.target_at_;
    if (*at != ' ' || head_.target_size_ == 0) return refuse("malformed request target");
    ++head_.cursor_;
    head_.phase_ = version;
    return scan_status::complete;
  }

  scan_status read_version() noexcept {
    constexpr std::string_view pattern = "HTTP/M.m\r\n";
    constexpr std::string_view usual = "HTTP/1.1\r\n";
    const std::uint32_t begin = head_.target_at_ + head_.target_size_ + 1;
    const bool arrived = size_ - begin >= usual.size();
    if (arrived && std::memcmp(data_ + begin, usual.data(), usual.size()) == 0) {
      head_.version_major_ = 1;
      head_.version_minor = 1;
      head_.cursor_ = begin + static_cast<std::uint32_t>(usual.size());
    }
    for (; head_.cursor_ - begin < pattern.size(); ++head_.cursor_) {
      if (head_.cursor_ == size_) return scan_status::need_more;
      const char c = data_[head_.cursor_];
      switch (pattern[head_.cursor_ - begin]) {
        case 'M':
          if (!grammar::is_digit(c)) return refuse("malformed version");
          head_.version_major_ = static_cast<std::uint8_t>(c - '0');
          break;
        case 'm':
          if (!grammar::is_digit(c)) return refuse("malformed version");
          head_.version_minor = c - '0';
          break;
        default:
          if (c != pattern[head_.cursor_ - begin]) return refuse("malformed request line");
      }
    }
    if (head_.version_major_ != 1 || head_.version_minor > 1) {
      return refuse({505, "version_not_supported", "HTTP version not supported"});
    }
    head_.phase_ = field_lines;
    return judge_target();
  }

  scan_status judge_target() noexcept {
    const std::string_view text{data_ + head_.target_at_, head_.target_size_};
    if (text.front() == '/') {
      head_.form = target_form::origin;
      return scan_status::complete;
    }
    if (text == "*") {
      head_.form = target_form::asterisk;
      return head_.method_id == method_id::options ? scan_status::complete
                                                   : refuse("malformed request target");
    }
    return judge_absolute_form(text);
  }

  scan_status judge_absolute_form(std::string_view text) noexcept {
    const std::size_t colon = text.find("://");
    const std::string_view scheme = text.substr(0, colon);
    const bool known =
        grammar::equals_ignoring_case(scheme, "http") || grammar::equals_ignoring_case(scheme, "https");
    if (colon == std::string_view::npos || !known) return refuse("malformed request target");
    const std::size_t at = colon + 3;
    const std::size_t path = std::min(text.find_first_of("/?", at), text.size());
    const authority a = split_authority(text.substr(at, path - at));
    if (!is_valid(a) || (a.has_port && a.port.empty())) return refuse("malformed request target");
    head_.form = target_form::absolute;
    head_.host_at_ = head_.target_at_ + static_cast<std::uint32_t>(at);
    head_.host_size_ = static_cast<std::uint32_t>(path - at);
    head_.host_name_size_ = static_cast<std::uint32_t>(a.host.size());
    head_.target_at_ += static_cast<std::uint32_t>(path);
    head_.target_size_ -= static_cast<std::uint32_t>(path);
    return scan_status::complete;
  }

  scan_status read_fields() noexcept {
    const std::size_t count_limit = std::min(head_.limits_.header_count, max_fields);
    field_reader reader{data_, size_, head_.cursor_, static_cast<line_phase>(head_.line_phase_),
                        head_.limits_.field_size};
    for (;;) {
      const bool room = head_.field_count < count_limit;
      // without room only the end of the head may follow, which touches no field
      field& f = head_.fields[room ? head_.field_count : 0];
      const auto event = reader.next(f, room);
      if (event != field_reader::event::field) return end_fields(reader, event);
      ++head_.field_count;
      identify(f, reader.plain_name);
      if (contains(judged, f.id) && judge(f) != scan_status::complete) return scan_status::refused;
    }
  }

  scan_status end_fields(const field_reader& reader, field_reader::event why) noexcept {
    head_.cursor_ = reader.cursor;
    head_.line_phase_ = static_cast<std::uint8_t>(reader.phase);
    if (why == field_reader::event::fault) return refuse(refusal_of(reader.fault));
    return why == field_reader::event::head_end ? finish() : scan_status::need_more;
  }

  void identify(field& f, bool plain_name) noexcept {
    const std::string_view name{data_ + f.name_at, f.name_size};
    f.id = identify_header(name);
    if (!plain_name && (f.id == header_id::other || f.id == header_id::x_forwarded_other)) {
      // many upstreams map '_' and '-' to one name: an alias would slip past everything that reads the real
      // one
      f.dropped = name.find('_') != std::string_view::npos;
      head_.underscore_names += f.dropped ? 1U : 0U;
    }
    if (f.id == header_id::other) return;
    head_.repeated_ |= head_.seen_ & headers(f.id);
    head_.seen_ |= headers(f.id);
  }

  scan_status judge(field& f) noexcept {
    if (contains(head_.repeated_ & singletons, f.id))
      return refuse("repeated field that may occur only once");
    const std::string_view value{data_ + f.value_at, f.value_size};
    switch (f.id) {
      case header_id::host:
        return judge_host(f, value);
      case header_id::content_length:
        if (!parse_content_length(value, head_.content_length)) return refuse("malformed Content-Length");
        return judge_framing();
      case header_id::transfer_encoding:
        return judge_transfer_encoding(value);
      case header_id::connection:
        return judge_connection(value);
      case header_id::expect:
        return judge_expect(value);
      case header_id::max_forwards:
        return judge_max_forwards(value);
      default:
        f.dropped = f.dropped || contains(always_dropped, f.id);
        return scan_status::complete;
    }
  }

  scan_status judge_expect(std::string_view value) noexcept {
    if (head_.version_minor == 0) return scan_status::complete;  // without meaning there
    const bool once = !contains(head_.repeated_, header_id::expect);
    if (once && grammar::equals_ignoring_case(value, "100-continue")) return scan_status::complete;
    return refuse({417, "expectation_failed", "unknown expectation"});
  }

  /// Acts on OPTIONS alone, since TRACE is refused; other methods relay it unread.
  scan_status judge_max_forwards(std::string_view value) noexcept {
    if (head_.method_id != method_id::options) return scan_status::complete;
    if (!parse_hops(value, head_.hops)) return refuse("malformed Max-Forwards");
    return scan_status::complete;
  }

  scan_status judge_host(const field& f, std::string_view value) noexcept {
    const authority a = split_authority(value);
    if (!is_valid(a)) return refuse("malformed Host");
    if (head_.form == target_form::absolute) return scan_status::complete;  // the target's authority wins
    head_.host_at_ = f.value_at;
    head_.host_size_ = f.value_size;
    head_.host_name_size_ = static_cast<std::uint32_t>(a.host.size());
    return scan_status::complete;
  }

  scan_status judge_transfer_encoding(std::string_view value) noexcept {
    if (head_.version_minor == 0) return refuse("Transfer-Encoding in HTTP/1.0");
    const coding c = parse_transfer_encoding(value);
    if (c == coding::invalid) return refuse("malformed Transfer-Encoding");
    head_.unknown_coding_ = c == coding::unsupported;
    return judge_framing();
  }

  scan_status judge_framing() noexcept {
    constexpr header_set both = headers(header_id::content_length, header_id::transfer_encoding);
    if ((head_.seen_ & both) == both) return refuse("Transfer-Encoding beside Content-Length");
    return scan_status::complete;
  }

  scan_status judge_connection(std::string_view value) noexcept {
    const connection_options options = parse_connection(value);
    if (!options.valid) return refuse("malformed Connection");
    const std::size_t count = head_.connection_options_ + options.count;
    if (count > max_connection_options) return refuse(headers_too_large("too many connection options"));
    head_.connection_options_ = static_cast<std::uint16_t>(count);
    head_.close_ = head_.close_ || options.close;
    head_.nominates = head_.nominates || options.nominates;
    return scan_status::complete;
  }

  scan_status finish() noexcept {
    const auto seen = [this](header_id h) { return contains(head_.seen_, h); };
    if (head_.version_minor == 1 && !seen(header_id::host)) return refuse("missing Host");
    if (head_.unknown_coding_) return refuse({501, "not_implemented", "transfer coding not implemented"});
    if (seen(header_id::transfer_encoding)) {
      head_.framing = framing::chunked;
    } else if (seen(header_id::content_length)) {
      head_.framing = framing::content_length;
    }
    const bool body = head_.framing == framing::chunked || head_.content_length > 0;
    head_.expect_continue = head_.version_minor == 1 && seen(header_id::expect) && body;
    head_.keep_alive = head_.version_minor == 1 && !head_.close_;
    head_.size_ = head_.cursor_;
    head_.phase_ = done;
    return scan_status::complete;
  }

  request_head& head_;
  const char* data_;
  std::size_t received_;
  std::uint32_t size_ = 0;  // of the window
};

void request_head::begin(const head_limits& limits) noexcept {
  // `fields` is left as it is: 4 KiB that nobody reads beyond field_count
  limits_ = limits;
  refusal_ = {};
  size_ = 0;
  started_ = false;
  seen_ = repeated_ = 0;
  cursor_ = 0;
  phase_ = empty_lines;
  line_phase_ = static_cast<std::uint8_t>(line_phase::start);
  empty_lines_ = 0;
  version_major_ = 0;
  connection_options_ = 0;
  close_ = unknown_coding_ = false;
  method_at_ = method_size_ = 0;
  target_at_ = target_size_ = 0;
  host_at_ = host_size_ = host_name_size_ = 0;
  method_id = http::method_id::other;
  form = target_form::origin;
  framing = http::framing::none;
  content_length = 0;
  version_minor = 1;
  keep_alive = true;
  expect_continue = false;
  nominates = false;
  hops = any_hops;
  field_count = 0;
  underscore_names = 0;
}

scan_status request_head::scan(std::string_view buffer) noexcept {
  if (refusal_.status != 0) return scan_status::refused;
  return request_scanner(*this, buffer).run();
}

}  // namespace weir::http
