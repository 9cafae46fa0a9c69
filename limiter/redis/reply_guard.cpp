// SPDX-License-Identifier: Apache-2.0
#include "limiter/redis/reply_guard.hpp"

#include <algorithm>

namespace weir::limiter::redis {

namespace {

constexpr std::string_view crlf = "\r\n";

/// Longest line of this type; 0 = not a RESP2 type. Integers have a limit of their own.
constexpr std::size_t line_limit(char type) noexcept {
  switch (type) {
    case '*':
    case '$':
      return max_header_line;
    case '+':
    case '-':
      return max_text_line;
    default:
      return 0;
  }
}

constexpr bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}

bool all_digits(std::string_view text) noexcept {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_digit);
}

/// A count or length; anything that is not a small number becomes one that every limit refuses.
std::size_t parse_size(std::string_view digits) noexcept {
  constexpr std::size_t too_large = ~std::size_t{0};
  constexpr std::size_t longest = 9;
  if (digits.size() > longest || !all_digits(digits)) return too_large;
  std::size_t value = 0;
  for (const char c : digits) value = value * 10 + static_cast<std::size_t>(c - '0');
  return value;
}

}  // namespace

reply_guard::progress reply_guard::scan(std::string_view bytes, std::size_t elements) noexcept {
  while (missing_ > 0 && !violated_) {
    const progress element = bulk_ > 0 ? scan_bulk_body(bytes) : scan_element(bytes, elements);
    if (element == progress::incomplete) return element;
    violated_ = element == progress::violation;
  }
  return violated_ ? progress::violation : progress::complete;
}

reply_guard::progress reply_guard::scan_element(std::string_view bytes, std::size_t elements) noexcept {
  const std::string_view rest = bytes.substr(seen_);
  if (rest.empty()) return progress::incomplete;
  if (rest.front() == ':') return scan_integer(rest);
  const std::size_t limit = line_limit(rest.front());
  if (limit == 0) return progress::violation;
  const std::size_t end = rest.substr(0, limit).find('\n');
  if (end == std::string_view::npos) return rest.size() < limit ? progress::incomplete : progress::violation;

  const std::string_view line = rest.substr(1, end - 1);
  // hiredis ends a line at the first CRLF: a second CR would be harmless there, but nothing honest sends one
  if (end < 2 || line.find('\r') != line.size() - 1) return progress::violation;
  seen_ += end + 1;
  if (seen_ > max_reply_bytes) return progress::violation;
  return scan_line(rest.front(), line.substr(0, line.size() - 1), elements);
}

/// A decision is a row of integers: one pass over each.
reply_guard::progress reply_guard::scan_integer(std::string_view rest) noexcept {
  constexpr std::size_t longest = 19;  // digits of 2^63
  const std::size_t first = rest.substr(1).starts_with('-') ? 2 : 1;
  const std::size_t limit = std::min(rest.size(), first + longest);
  std::size_t end = first;
  while (end < limit && is_digit(rest[end])) ++end;
  const std::string_view tail = rest.substr(end, crlf.size());
  if (tail.size() < crlf.size() && crlf.starts_with(tail)) return progress::incomplete;
  if (tail != crlf || end == first) return progress::violation;
  seen_ += end + crlf.size();
  --missing_;
  return seen_ > max_reply_bytes ? progress::violation : progress::complete;
}

reply_guard::progress reply_guard::scan_line(char type, std::string_view line,
                                             std::size_t elements) noexcept {
  if (type == '*') return scan_array_header(line, elements);
  if (type == '$') return scan_bulk_header(line);
  --missing_;
  return progress::complete;
}

reply_guard::progress reply_guard::scan_array_header(std::string_view digits, std::size_t elements) noexcept {
  if (in_array_) return progress::violation;
  const bool control = elements == 0;
  if (control && digits == "-1") {
    missing_ = 0;
    return progress::complete;
  }
  const std::size_t count = parse_size(digits);
  if (control ? count > max_control_elements : count != elements) return progress::violation;
  in_array_ = true;
  missing_ = count;
  return progress::complete;
}

reply_guard::progress reply_guard::scan_bulk_header(std::string_view digits) noexcept {
  if (digits == "-1") {
    --missing_;
    return progress::complete;
  }
  const std::size_t length = parse_size(digits);
  if (length > max_reply_bytes || seen_ + length + crlf.size() > max_reply_bytes) return progress::violation;
  bulk_ = length + crlf.size();
  return progress::complete;
}

reply_guard::progress reply_guard::scan_bulk_body(std::string_view bytes) noexcept {
  const std::string_view rest = bytes.substr(seen_);
  if (rest.size() < bulk_) return progress::incomplete;
  if (rest.substr(bulk_ - crlf.size(), crlf.size()) != crlf) return progress::violation;
  seen_ += bulk_;
  bulk_ = 0;
  --missing_;
  return progress::complete;
}

}  // namespace weir::limiter::redis
