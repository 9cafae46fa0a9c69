// SPDX-License-Identifier: Apache-2.0
#include "proxy/http/field_lines.hpp"
#include "proxy/http/grammar.hpp"
#include "proxy/http/head.hpp"
#include "proxy/http/header_set.hpp"

#include <algorithm>

namespace weir::http {
namespace {

constexpr std::size_t max_head_size = 32 * 1024;
constexpr std::size_t max_field_count = 100;
static_assert(max_field_count <= max_fields);

enum phase : std::uint8_t { status_line, reason, status_line_end, field_lines, done };

constexpr std::string_view message_of(field_fault fault) {
  switch (fault) {
    case field_fault::none:
      break;
    case field_fault::line_end:
      return "a line of the response head does not end in CRLF";
    case field_fault::folded:
      return "folded field line in the response head";
    case field_fault::name:
      return "malformed field name in the response head";
    case field_fault::control:
      return "control byte in a field value of the response head";
    case field_fault::name_too_long:
      return "field name in the response head is too long";
    case field_fault::line_too_long:
      return "response head is too large";
    case field_fault::too_many:
      return "too many fields in the response head";
  }
  return {};
}

}  // namespace

class response_scanner {
 public:
  response_scanner(response_head& head, std::string_view buffer) noexcept
      : head_(head),
        data_(buffer.data()),
        size_(static_cast<std::uint32_t>(std::min(buffer.size(), max_head_size))) {}

  scan_status run() noexcept {
    scan_status s = scan_status::complete;
    if (head_.phase_ == status_line) s = read_status();
    if (s == scan_status::complete && head_.phase_ == reason) s = read_reason();
    if (s == scan_status::complete && head_.phase_ == status_line_end) s = end_status_line();
    if (s == scan_status::complete && head_.phase_ == field_lines) s = read_fields();
    if (s == scan_status::need_more && size_ == max_head_size) return refuse("response head is too large");
    return s;
  }

 private:
  // Each part answers `complete` when its phase is over.

  scan_status refuse(std::string_view message) noexcept {
    head_.refusal_ = {502, "bad_gateway", message};
    return scan_status::refused;
  }

  /// "HTTP/1.x NNN" and the byte after it.
  scan_status read_status() noexcept {
    constexpr std::string_view pattern = "HTTP/1.v dnn";
    constexpr std::string_view usual = "HTTP/1.1 ";
    if (head_.cursor_ == 0 && std::string_view(data_, size_).starts_with(usual)) {
      head_.version_minor = 1;
      head_.cursor_ = usual.size();
    }
    for (; head_.cursor_ < pattern.size(); ++head_.cursor_) {
      if (head_.cursor_ == size_) return scan_status::need_more;
      const char c = data_[head_.cursor_];
      switch (pattern[head_.cursor_]) {
        case 'v':
          if (c != '0' && c != '1') return refuse("not an HTTP/1.0 or HTTP/1.1 response");
          head_.version_minor = c - '0';
          break;
        case 'd':
          if (c < '1' || c > '5') return refuse("malformed status code");
          head_.status = c - '0';
          break;
        case 'n':
          if (!grammar::is_digit(c)) return refuse("malformed status code");
          head_.status = head_.status * 10 + (c - '0');
          break;
        default:
          if (c != pattern[head_.cursor_]) return refuse("malformed status line");
      }
    }
    if (head_.cursor_ == size_) return scan_status::need_more;
    const char c = data_[head_.cursor_++];
    if (c != ' ' && c != '\r') return refuse("malformed status line");
    head_.reason_at_ = head_.cursor_;
    head_.phase_ = c == ' ' ? reason : status_line_end;
    return scan_status::complete;
  }

  scan_status read_reason() noexcept {
    const char* const at = grammar::skip_text(data_, data_ + head_.cursor_, data_ + size_);
    head_.cursor_ = static_cast<std::uint32_t>(at - data_);
    if (head_.cursor_ == size_) return scan_status::need_more;
    if (*at != '\r') return refuse("control byte in the reason phrase");
    head_.reason_size_ = head_.cursor_ - head_.reason_at_;
    ++head_.cursor_;
    head_.phase_ = status_line_end;
    return scan_status::complete;
  }

  scan_status end_status_line() noexcept {
    if (head_.cursor_ == size_) return scan_status::need_more;
    if (data_[head_.cursor_] != '\n') return refuse(message_of(field_fault::line_end));
    ++head_.cursor_;
    if (head_.status == 101 && !head_.may_switch_) return refuse("101 without a forwarded Upgrade");
    head_.phase_ = field_lines;
    return scan_status::complete;
  }

  scan_status read_fields() noexcept {
    field_reader reader{data_, size_, head_.cursor_, static_cast<line_phase>(head_.line_phase_),
                        max_head_size};
    for (;;) {
      field& f = head_.fields[head_.field_count];
      const auto event = reader.next(f, head_.field_count < max_field_count);
      if (event != field_reader::event::field) return end_fields(reader, event);
      f.id = identify_header({data_ + f.name_at, f.name_size});
      ++head_.field_count;
      if (f.id != header_id::other && !judge(f)) return scan_status::refused;
    }
  }

  scan_status end_fields(const field_reader& reader, field_reader::event why) noexcept {
    head_.cursor_ = reader.cursor;
    head_.line_phase_ = static_cast<std::uint8_t>(reader.phase);
    if (why == field_reader::event::fault) return refuse(message_of(reader.fault));
    return why == field_reader::event::head_end ? finish() : scan_status::need_more;
  }

  /// Judges a field that decides framing or persistence. False: refused.
  bool judge(const field& f) noexcept {
    const bool first = !contains(head_.seen_, f.id);
    head_.seen_ |= headers(f.id);
    const std::string_view value{data_ + f.value_at, f.value_size};
    switch (f.id) {
      case header_id::content_length:
        if (first && parse_content_length(value, head_.content_length))
          return head_.has_content_length = true;
        refuse("malformed or repeated Content-Length");
        return false;
      case header_id::transfer_encoding:
        if (first && parse_transfer_encoding(value) == coding::chunked) return true;
        refuse("unsupported or repeated Transfer-Encoding");
        return false;
      case header_id::connection:
        return judge_connection(value);
      default:
        return true;
    }
  }

  bool judge_connection(std::string_view value) noexcept {
    const connection_options options = parse_connection(value);
    const std::size_t count = head_.connection_options_ + options.count;
    if (count > max_connection_options) {
      refuse("too many connection options");
      return false;
    }
    head_.connection_options_ = static_cast<std::uint16_t>(count);
    head_.close_ =
        head_.close_ || options.close || !options.valid;  // unclear: the connection is not used again
    head_.nominates = head_.nominates || options.nominates;
    return true;
  }

  scan_status finish() noexcept {
    const bool chunked = contains(head_.seen_, header_id::transfer_encoding);
    if (chunked && head_.has_content_length) return refuse("Transfer-Encoding beside Content-Length");
    if (chunked && head_.version_minor == 0) return refuse("Transfer-Encoding in HTTP/1.0");
    const bool interim = head_.status < 200;
    if (interim && (chunked || head_.has_content_length)) return refuse("a 1xx response announces a body");
    if (head_.head_request_ || interim || head_.status == 204 || head_.status == 304) {
      head_.framing = framing::none;
    } else if (chunked) {
      head_.framing = framing::chunked;
    } else {
      head_.framing = head_.has_content_length ? framing::content_length : framing::until_close;
    }
    head_.keep_alive = head_.version_minor == 1 && !head_.close_ && head_.framing != framing::until_close;
    head_.size_ = head_.cursor_;
    head_.phase_ = done;
    return scan_status::complete;
  }

  response_head& head_;
  const char* data_;
  std::uint32_t size_;
};

void response_head::begin(bool head_request, bool may_switch) noexcept {
  // `fields` is left as it is: 4 KiB that nobody reads beyond field_count
  refusal_ = {};
  size_ = 0;
  head_request_ = head_request;
  may_switch_ = may_switch;
  seen_ = 0;
  cursor_ = 0;
  phase_ = status_line;
  line_phase_ = static_cast<std::uint8_t>(line_phase::start);
  connection_options_ = 0;
  close_ = false;
  reason_at_ = reason_size_ = 0;
  status = 0;
  version_minor = 1;
  framing = http::framing::none;
  content_length = 0;
  has_content_length = false;
  keep_alive = true;
  nominates = false;
  field_count = 0;
}

scan_status response_head::scan(std::string_view buffer) noexcept {
  if (refusal_.status != 0) return scan_status::refused;
  return response_scanner(*this, buffer).run();
}

}  // namespace weir::http
